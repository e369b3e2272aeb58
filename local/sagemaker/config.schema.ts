/** The local SageMaker server's settings: one JSON file, or an object in tests. */
import { z } from "zod";
import { parsePolicy } from "./iam-policy.js";
import { trustPolicySchema } from "./trust-policy.js";

const accountId = z.string().regex(/^\d{12}$/, "an AWS account id is 12 digits");

/** When a fault befalls a job whose script runs: at once, after a time, or after so many uploaded checkpoints. */
const disruptionSchema = z.strictObject({
  match: z.string(),
  /** Since the script started. */
  afterSeconds: z.number().min(0).optional(),
  /** Checkpoint files that have been uploaded since. */
  afterFiles: z.int().min(1).optional(),
  times: z.int().min(1).default(1),
});

export const faultsSchema = z.strictObject({
  /** A share of calls answers ThrottlingException; of all control-plane operations unless some are named. */
  throttle: z
    .strictObject({
      rate: z.number().min(0).max(1),
      operations: z.array(z.string()).optional(),
      seed: z.int().default(1),
    })
    .optional(),
  /** The account's quota of instances by type, for training and for endpoints each. */
  resourceLimit: z.record(z.string(), z.int().min(0)).optional(),
  /** The first `times` jobs whose name contains `match` fail with `reason` instead of running. */
  failJob: z
    .strictObject({
      match: z.string(),
      reason: z
        .string()
        .default("InternalServerError: We encountered an internal error. Please try again."),
      times: z.int().min(1).default(1),
    })
    .optional(),
  /** Spot capacity is taken back from jobs whose name contains `match`: they start again from their checkpoints. */
  interrupt: disruptionSchema.optional(),
  /** One host of a job (default: the last) is gone from one moment to the next, with its disk. */
  loseInstance: disruptionSchema
    .extend({
      host: z
        .string()
        .regex(/^algo-\d+$/, "hosts are named algo-1, algo-2, …")
        .optional(),
    })
    .optional(),
  /** Every instance stays in Starting for so long, unless a warm pool kept it. */
  slowStartSeconds: z.number().min(0).optional(),
  /** What every UpdateEndpoint ends in: an endpoint that failed, or one back on its old configuration. */
  updateEndpoint: z.enum(["fail", "rollback"]).optional(),
  /** Every endpoint (and every update of one) takes at least so long. */
  endpointStartSeconds: z.number().min(0).optional(),
  /** Memory for the models of endpoints that come up from now on, in place of the settings' `endpointMemoryMb`. */
  endpointMemoryMb: z.int().min(1).optional(),
  /** What was created a moment ago is not yet seen by List calls, nor a configuration by CreateEndpoint. */
  readLagSeconds: z.number().min(0).optional(),
  /** Temporary credentials live no longer than this, whatever was asked for. */
  sessionSeconds: z.number().positive().optional(),
});

/** An IAM policy; what the server would not enforce is refused. */
const policySchema = z.unknown().superRefine((policy, context) => {
  try {
    parsePolicy(policy);
  } catch (error) {
    context.addIssue(error instanceof Error ? error.message : String(error));
  }
});

const accountSchema = z.strictObject({
  id: accountId,
  accessKeys: z.array(
    z.strictObject({
      accessKeyId: z.string().min(1),
      secretAccessKey: z.string().min(1),
      user: z.string().min(1),
      /** Without one the user may do everything in the account. */
      policy: policySchema.optional(),
    }),
  ),
  /** A name alone is a role without a policy, whom every account may assume. */
  roles: z.array(
    z.union([
      z.string().min(1),
      z.strictObject({
        name: z.string().min(1),
        policy: policySchema.optional(),
        trust: trustPolicySchema.optional(),
      }),
    ]),
  ),
});

export const configSchema = z.strictObject({
  host: z.string().default("127.0.0.1"),
  port: z.int().min(0).max(65_535),
  region: z.string().default("us-east-1"),
  /** Postgres URL; the server keeps its tables in the schema `sagemaker` of that database. */
  database: z.string().min(1),
  s3: z.strictObject({
    endpoint: z.url(),
    accessKeyId: z.string().min(1),
    secretAccessKey: z.string().min(1),
    /**
     * Base64: what the gateway checks the tokens of sessions with. Jobs and models then reach S3 as their roles;
     * without it, S3 knows no roles, and the server reads and writes for all of them.
     */
    sessionKey: z.base64().min(44, "at least 32 bytes in base64").optional(),
  }),
  accounts: z.array(accountSchema).min(1),
  /** Folder of job and endpoint files and of their logs. */
  stateDir: z.string().min(1),
  /** A Python with botocore (the service model) and the libraries that user scripts import. */
  python: z.string().min(1),
  /** How many user scripts run at a time. */
  cores: z.int().min(1).default(2),
  /** Memory in which one endpoint keeps models loaded. */
  endpointMemoryMb: z.int().min(64).default(2048),
  /** How long a serverless container stays without a request; AWS does not publish its time. */
  serverlessIdleSeconds: z.number().positive().default(60),
  /** The account's quotas; AWS's defaults (Developer Guide, automatic-model-tuning-limits, serverless-endpoints). */
  quotas: z
    .strictObject({
      /** Tuning jobs at a time. */
      tuningJobs: z.int().min(0).default(100),
      /** Training jobs at a time of one tuning job; AWS raises it to 100 at most. */
      parallelTrainingJobs: z.int().min(1).default(10),
      /** Training jobs of one tuning job, those of its parents included. */
      trainingJobs: z.int().min(1).default(750),
      /** The same for the strategy Random. */
      randomTrainingJobs: z.int().min(1).default(10_000),
      tuningSeconds: z
        .int()
        .min(1)
        .default(30 * 24 * 60 * 60),
      /** Instances of each type that warm pools may hold. AWS's default is 0: KeepAlivePeriodInSeconds is then ignored. */
      warmPoolInstances: z.int().min(0).default(20),
      /** Serverless endpoints, and the MaxConcurrency of all of them together. */
      serverlessEndpoints: z.int().min(0).default(50),
      serverlessConcurrency: z.int().min(0).default(1000),
    })
    .prefault({}),
  /** AWS: a stopped job has 120 s between SIGTERM and SIGKILL. */
  stopGraceSeconds: z.number().min(0).default(120),
  faults: faultsSchema.default({}),
});

export type AccountQuotas = z.infer<typeof configSchema>["quotas"];
export type Faults = z.infer<typeof faultsSchema>;
export type ServerConfig = z.infer<typeof configSchema>;
export type ServerConfigInput = z.input<typeof configSchema>;
