/** The fleet file: what a user declares, and the plain-JSON spec that it resolves to. */
import { z } from "zod";
import { approvalSchema } from "./approval.schema.js";
import { gateSchema } from "./gate.schema.js";
import { LIMITS } from "./limits.js";
import { scheduleSchema } from "./schedule.schema.js";
import { checkTuning, tuningSchema } from "./tuning.schema.js";

/** Newest spec version this code understands. A spec with a higher number is refused. */
export const SPEC_VERSION = 1;

const identifier = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/,
    "a column name as Postgres reports it, for example arr_delay",
  );
const share = z.number().gt(0).lt(1);

export const fleetNameSchema = z
  .string()
  .max(LIMITS.fleetNameLength, `at most ${LIMITS.fleetNameLength} characters`)
  .regex(
    /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/,
    "lower-case letters, digits and single dashes, starting with a letter: it becomes part of AWS names",
  );

export const windowSchema = z.strictObject({
  /** Length of the window in whole months. */
  months: z.int().min(1).max(1200),
  /** Days between the scheduled time and the window's ceiling: labels need time to settle. */
  pushbackDays: z.int().min(0).max(3650).default(0),
});

export const splitSchema = z
  .strictObject({
    /** `hash`: a stable hash of the row. `time`: oldest rows train, newest test, by `column`. */
    by: z.enum(["hash", "time"]).default("hash"),
    column: identifier.optional(),
    validation: share,
    test: share,
  })
  .refine((split) => split.validation + split.test < 1, {
    message:
      "validation and test together must leave rows for training (their sum must be below 1)",
  })
  .refine((split) => (split.by === "time") === (split.column !== undefined), {
    path: ["column"],
    message: 'split by "time" needs `column`; split by "hash" takes none',
  });

export const sourceSchema = z.strictObject({
  kind: z.literal("postgres"),
  /** Name of the secret (an environment variable of the worker) that holds the connection URL. */
  connection: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]*$/, "the name of a secret, such as WAREHOUSE_URL, never the URL"),
  /** SQL text, or in a fleet file a path ending in `.sql`, relative to the file. Uses `:floor` and `:ceiling`. */
  query: z.string().min(1),
  /** Optional SQL whose first column lists all customers, so that one without rows is told, not forgotten. */
  customers: z.string().min(1).optional(),
  /** Column that tells customers apart. */
  customer: identifier,
  /** Column to predict. */
  target: identifier,
  window: windowSchema,
  split: splitSchema,
  /** Customers with fewer rows in the window are skipped, with the number told. */
  minimumRows: z.int().min(3).default(50),
});

export const hyperparameterValueSchema = z.string().max(LIMITS.hyperParameterValueLength);

export const trainingSchema = z.strictObject({
  kind: z.literal("script"),
  /** Folder of the Python sources, relative to the fleet file; in a resolved spec only told, not used. */
  source: z.string().min(1),
  entryPoint: z.string().default("train.py"),
  inferenceEntryPoint: z.string().default("inference.py"),
  /** Container image; by default SageMaker's own XGBoost image of the worker's region. */
  image: z.string().max(255).regex(/^\S+$/).optional(),
  instanceType: z
    .string()
    .regex(/^ml\./, "a SageMaker instance type, such as ml.m5.large")
    .default("ml.m5.large"),
  volumeSizeInGb: z.int().min(1).max(16384).default(10),
  maxRuntimeSeconds: z.int().min(60).max(LIMITS.trainingJobMaxRuntimeSeconds).default(1800),
  hyperparameters: z.record(z.string().min(1).max(256), hyperparameterValueSchema).default({}),
});

export const endpointSchema = z.strictObject({
  kind: z.literal("multi-model"),
  instanceType: z
    .string()
    .regex(/^ml\./, "a SageMaker instance type, such as ml.m5.xlarge")
    .default("ml.m5.xlarge"),
  instances: z.int().min(1).max(100).default(1),
  /** `versioned`: a name per version, and a pointer. `stable`: one name, overwritten, then a refresh. */
  naming: z.enum(["versioned", "stable"]).default("versioned"),
});

export const stageSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9]{0,15}$/, "up to 16 lower-case letters and digits, such as sandbox"),
  account: z.string().regex(/^\d{12}$/, "an AWS account id is 12 digits"),
});

const fleetObjectSchema = z.strictObject({
  specVersion: z
    .int()
    .max(
      SPEC_VERSION,
      `this modelfleet understands spec versions up to ${SPEC_VERSION}: upgrade it to use this file`,
    )
    .default(SPEC_VERSION),
  name: fleetNameSchema,
  source: sourceSchema,
  training: trainingSchema,
  /** By default one training job with the hyperparameters as they stand. */
  tuning: tuningSchema.optional(),
  gate: gateSchema.prefault({}),
  approval: approvalSchema.optional(),
  endpoint: endpointSchema,
  stages: z.tuple(
    [stageSchema],
    "declare exactly one stage: promotion through several is not available yet",
  ),
  /** Customers whose models are in the making at a time. */
  concurrency: z.int().min(1).max(500).default(50),
  /** Share of customers that may fail before the cycle counts as failed. */
  failureBudget: z.number().min(0).max(1).default(0.05),
  /** When the fleet is retrained; `modelfleet apply` makes it a Temporal Schedule. */
  schedule: scheduleSchema.optional(),
});

/** What `defineFleet` takes: paths are still relative to the fleet file. */
export const fleetDeclarationSchema = fleetObjectSchema.superRefine(checkTuning);

/** The resolved, plain-JSON spec: SQL is text, and code is the hash of the packed source folder. */
export const fleetSpecSchema = fleetDeclarationSchema.safeExtend({
  training: trainingSchema.extend({
    /** sha256 over the source folder's paths and contents, hex. */
    sourceHash: z.string().regex(/^[0-9a-f]{64}$/),
  }),
});

export type FleetDeclarationInput = z.input<typeof fleetDeclarationSchema>;
export type FleetDeclaration = z.infer<typeof fleetDeclarationSchema>;
export type FleetSpec = z.infer<typeof fleetSpecSchema>;
export type SplitSpec = z.infer<typeof splitSchema>;
