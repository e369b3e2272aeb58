/** What a worker needs to know, read from the environment once and refused in one sentence when it is wrong. */
import { z } from "zod";

const count = (fallback: number) =>
  z.coerce.number("a number").int("a whole number").min(1, "at least 1").default(fallback);

const settingsSchema = z.object({
  AWS_REGION: z.string().min(1),
  MODELFLEET_LEDGER_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "a URL such as postgres://user:password@host:5432/modelfleet"),
  MODELFLEET_BUCKET: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "an S3 bucket's name"),
  MODELFLEET_ROLE_ARN: z
    .string()
    .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/.+/, "the ARN of a role that SageMaker may assume"),
  /** Training jobs at a time in this account, over all fleets and workers. */
  MODELFLEET_MAX_TRAINING_JOBS: count(20),
  /** Seconds between two looks at the jobs that are awaited. */
  MODELFLEET_WATCH_SECONDS: z.coerce
    .number("a number")
    .min(0.1, "at least 0.1")
    .max(300)
    .default(15),
});

export interface WorkerSettings {
  readonly region: string;
  readonly ledgerUrl: string;
  readonly bucket: string;
  readonly roleArn: string;
  readonly maxTrainingJobs: number;
  readonly watchSeconds: number;
  /** Value of a secret that a fleet's spec names; undefined when there is none. */
  readonly secret: (name: string) => string | undefined;
}

/** What is missing or wrong, all at once; never a value, which may be a secret. */
export class SettingsInvalid extends Error {
  readonly hint = "run modelfleet local up for a stack on this machine, or set them for your own";
}

export function readSettings(environment: NodeJS.ProcessEnv): WorkerSettings {
  const parsed = settingsSchema.safeParse(environment);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => {
      const name = issue.path.join(".");
      return environment[name] === undefined || environment[name] === ""
        ? `${name} is not set`
        : `${name} must be ${issue.message}`;
    });
    throw new SettingsInvalid(`the worker cannot start: ${problems.join("; ")}`);
  }
  const settings = parsed.data;
  return {
    region: settings.AWS_REGION,
    ledgerUrl: settings.MODELFLEET_LEDGER_URL,
    bucket: settings.MODELFLEET_BUCKET,
    roleArn: settings.MODELFLEET_ROLE_ARN,
    maxTrainingJobs: settings.MODELFLEET_MAX_TRAINING_JOBS,
    watchSeconds: settings.MODELFLEET_WATCH_SECONDS,
    secret: (name) => environment[name],
  };
}
