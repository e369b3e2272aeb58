/** What a worker needs to know (docs/reference/settings.md), read from the environment once and refused in one sentence when it is wrong. */
import { z } from "zod";
import type { Environment } from "../settings/environment.js";
import { secretReader, type ReadSecret } from "../settings/secrets.js";

const count = (fallback: number) =>
  z.coerce.number("a number").int("a whole number").min(1, "at least 1").default(fallback);

/** Temporal joins both by a dot, and a deployment's name must have none. */
const versionName = (what: string) =>
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, `${what} of letters, digits, - and _`);

const port = z.coerce
  .number("a port's number")
  .int("a port's number")
  .min(0, "a port's number")
  .max(65535, "a port's number");

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
  /** Serves /health/live and /health/ready; without it nothing listens. */
  MODELFLEET_HEALTH_PORT: port.optional(),
  /** 0.0.0.0 in a container whose orchestrator asks from outside. */
  MODELFLEET_HEALTH_HOST: z.string().default("127.0.0.1"),
  /** The process is gone within so many seconds of SIGTERM. */
  MODELFLEET_SHUTDOWN_SECONDS: z.coerce
    .number("a number")
    .min(2, "at least 2")
    .max(3600, "at most 3600")
    .default(45),
  /** Turns worker versioning on: the name of the Worker Deployment. */
  MODELFLEET_DEPLOYMENT: versionName("a name").optional(),
  /** The build within it; by default the package's version and a hash of the workflows. */
  MODELFLEET_BUILD_ID: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "an id of letters, digits, . - and _")
    .optional(),
});

export interface WorkerSettings {
  readonly region: string;
  readonly ledgerUrl: string;
  readonly bucket: string;
  readonly roleArn: string;
  readonly maxTrainingJobs: number;
  readonly watchSeconds: number;
  /** Value of a secret that a fleet's spec names, by value or by reference; undefined when there is none. */
  readonly secret: ReadSecret;
  /** Where to answer whether the worker lives; undefined for nowhere. */
  readonly health: { readonly host: string; readonly port: number } | undefined;
  readonly shutdownSeconds: number;
  /** Versions the worker when a deployment is named. */
  readonly deployment: { readonly name: string; readonly buildId: string | undefined } | undefined;
}

/** What is missing or wrong, all at once; never a value, which may be a secret. */
export class SettingsInvalid extends Error {
  readonly hint =
    "run modelfleet local up for a stack on this machine, or set them for your own: docs/reference/settings.md";
}

/** Rejects with SettingsInvalid, or with SecretUnreadable when the ledger's URL is a reference that leads nowhere. */
export async function readSettings(environment: Environment): Promise<WorkerSettings> {
  const secret = secretReader(environment);
  const ledgerUrl = await secret("MODELFLEET_LEDGER_URL");
  const given = new Map(
    Object.entries({ ...environment, MODELFLEET_LEDGER_URL: ledgerUrl }).filter(
      // A setting that is empty is none: orchestrators write those that nobody set.
      ([, value]) => value !== undefined && value !== "",
    ),
  );
  const parsed = settingsSchema.safeParse(Object.fromEntries(given));
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => {
      const name = issue.path.join(".");
      return !given.has(name) ? `${name} is not set` : `${name} must be ${issue.message}`;
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
    secret,
    ...operation(settings),
  };
}

function operation(
  settings: z.infer<typeof settingsSchema>,
): Pick<WorkerSettings, "health" | "shutdownSeconds" | "deployment"> {
  const { MODELFLEET_HEALTH_PORT: healthPort, MODELFLEET_HEALTH_HOST: host } = settings;
  const { MODELFLEET_DEPLOYMENT: name, MODELFLEET_BUILD_ID: buildId } = settings;
  return {
    health: healthPort === undefined ? undefined : { host, port: healthPort },
    shutdownSeconds: settings.MODELFLEET_SHUTDOWN_SECONDS,
    deployment: name === undefined ? undefined : { name, buildId },
  };
}
