/** The fleet file: what a user declares, and the plain-JSON spec that it resolves to. */
import { z } from "zod";
import { approvalSchema } from "./approval.schema.js";
import { budgetSchema, pricesSchema } from "./budget.schema.js";
import { checkCombination } from "./combinations.js";
import { driftSchema } from "./drift.schema.js";
import { gateSchema } from "./gate.schema.js";
import { FRAMEWORKS } from "./images.js";
import { LIMITS, SERVERLESS_MEMORY_SIZES } from "./limits.js";
import { checkRetention, retentionSchema } from "./retention.schema.js";
import { scheduleSchema } from "./schedule.schema.js";
import { accountSchema, stageSchema } from "./stage.schema.js";
import { checkStages } from "./stages.js";
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

const folder = z.string().min(1);
const instanceTypeSchema = z
  .string()
  .regex(/^ml\./, "a SageMaker instance type, such as ml.m5.large");

/** Python that runs in a container: where it is, and in which image of SageMaker's. */
const codeFields = {
  /** Folder of the Python sources, relative to the fleet file; in a resolved spec only told, not used. */
  source: folder,
  /** Folders or files that are packed beside the sources, each under its own name. */
  dependencies: z.array(folder).min(1).max(20).optional(),
  /** Which of SageMaker's framework images runs it, unless `image` names another. */
  framework: z.enum(FRAMEWORKS).default("xgboost"),
  image: z.string().max(255).regex(/^\S+$/).optional(),
};

const trainingFields = {
  ...codeFields,
  entryPoint: z.string().default("train.py"),
  inferenceEntryPoint: z.string().default("inference.py"),
  instanceType: instanceTypeSchema.default("ml.m5.large"),
  volumeSizeInGb: z.int().min(1).max(16384).default(10),
  maxRuntimeSeconds: z.int().min(60).max(LIMITS.trainingJobMaxRuntimeSeconds).default(1800),
  hyperparameters: z.record(z.string().min(1).max(256), hyperparameterValueSchema).default({}),
};

/** One training job, or one search, for each customer. */
export const scriptSchema = z.strictObject({
  kind: z.literal("script"),
  ...trainingFields,
  /** How long an instance is kept after its job, for the next one to start at once on it (a warm pool). */
  keepAliveSeconds: z.int().min(1).max(LIMITS.keepAliveSeconds).optional(),
});

/** One training job for all customers, whose instances share them out: an artifact for each. */
export const shardedSchema = z.strictObject({
  kind: z.literal("sharded"),
  ...trainingFields,
  instances: z.int().min(1).max(100).default(1),
  /** Spot instances: cheaper, and taken away at times; what is lost is trained again, and nothing else. */
  spot: z
    .strictObject({
      /** How long the job may take in all, waiting for instances included. */
      maxWaitSeconds: z.int().min(60).max(LIMITS.trainingJobMaxRuntimeSeconds),
    })
    .optional(),
});

export const preprocessorSchema = z.strictObject({
  ...codeFields,
  framework: codeFields.framework.default("scikit-learn"),
  entryPoint: z.string().default("preprocess.py"),
  inferenceEntryPoint: z.string().default("inference.py"),
  instanceType: instanceTypeSchema.default("ml.m5.large"),
  volumeSizeInGb: trainingFields.volumeSizeInGb,
  maxRuntimeSeconds: trainingFields.maxRuntimeSeconds,
  hyperparameters: trainingFields.hyperparameters,
  /** Batch transform of every customer's rows by the fitted preprocessor. */
  transform: z
    .strictObject({
      instanceType: instanceTypeSchema.default("ml.m5.large"),
      instances: z.int().min(1).max(100).default(1),
      /** Of one request to the container; many records share it. */
      maxPayloadInMb: z
        .int()
        .min(1)
        .max(100, "at most 100: SageMaker's batch transform sends no larger requests")
        .default(6),
    })
    .prefault({}),
});

/** A preprocessor that all customers share, fitted once; a model for each on the rows that it prepared. */
export const pipelineTrainingSchema = z.strictObject({
  kind: z.literal("pipeline"),
  ...trainingFields,
  keepAliveSeconds: scriptSchema.shape.keepAliveSeconds,
  preprocessor: preprocessorSchema,
});

export const trainingSchema = z.discriminatedUnion("kind", [
  scriptSchema,
  shardedSchema,
  pipelineTrainingSchema,
]);

/** Python between the export and the training: one SageMaker Processing job for the whole cycle. */
export const preparationSchema = z.strictObject({
  kind: z.literal("processing"),
  ...codeFields,
  framework: codeFields.framework.default("scikit-learn"),
  entryPoint: z.string().default("prepare.py"),
  instanceType: instanceTypeSchema.default("ml.m5.large"),
  instances: z.int().min(1).max(100).default(1),
  volumeSizeInGb: trainingFields.volumeSizeInGb,
  maxRuntimeSeconds: z.int().min(60).max(LIMITS.processingJobMaxRuntimeSeconds).default(3600),
  /** Command-line arguments of the script. */
  arguments: z.array(z.string().min(1).max(256)).max(90).optional(),
  environment: z
    .record(
      z
        .string()
        .regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/)
        .max(256),
      z.string().max(256),
    )
    .optional(),
});

const servingInstances = {
  instanceType: z
    .string()
    .regex(/^ml\./, "a SageMaker instance type, such as ml.m5.xlarge")
    .default("ml.m5.xlarge"),
  instances: z.int().min(1).max(100).default(1),
};

/** All customers behind one endpoint, which loads a model when it is first called. */
export const multiModelEndpointSchema = z.strictObject({
  kind: z.literal("multi-model"),
  ...servingInstances,
  /** `versioned`: a name per version, and a pointer. `stable`: one name, overwritten, then a refresh. */
  naming: z.enum(["versioned", "stable"]).default("versioned"),
});

/** An endpoint without instances for each customer: it scales to zero, and is billed by the request. */
export const serverlessEndpointSchema = z.strictObject({
  kind: z.literal("serverless"),
  memorySizeInMb: z
    .int()
    .refine((megabytes) => SERVERLESS_MEMORY_SIZES.includes(megabytes), {
      message: `must be one of ${SERVERLESS_MEMORY_SIZES.join(", ")}: SageMaker offers steps of 1024 MB`,
    })
    .default(2048),
  /** Invocations at a time; more are throttled. */
  maxConcurrency: z
    .int()
    .min(1)
    .max(
      LIMITS.serverlessConcurrency,
      `at most ${LIMITS.serverlessConcurrency}: SageMaker allows one serverless endpoint no more`,
    )
    .default(5),
});

/** An endpoint of its own for each customer. */
export const dedicatedEndpointSchema = z.strictObject({
  kind: z.literal("dedicated"),
  ...servingInstances,
});

/** One endpoint on which every request passes the preprocessor, and then its customer's model. */
export const pipelineEndpointSchema = z.strictObject({
  kind: z.literal("pipeline"),
  ...servingInstances,
});

export const endpointSchema = z.discriminatedUnion("kind", [
  multiModelEndpointSchema,
  serverlessEndpointSchema,
  dedicatedEndpointSchema,
  pipelineEndpointSchema,
]);

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
  /** By default the exported rows are trained on as they are. */
  preparation: preparationSchema.optional(),
  training: trainingSchema,
  /** By default one training job with the hyperparameters as they stand. */
  tuning: tuningSchema.optional(),
  gate: gateSchema.prefault({}),
  approval: approvalSchema.optional(),
  endpoint: endpointSchema,
  /** Where training and the model registry are; by default the first stage's account. */
  account: accountSchema.optional(),
  /** In order of promotion. */
  stages: z
    .tuple(
      [stageSchema],
      stageSchema,
      "declare a list of one to ten stages, each with name and account",
    )
    .refine((stages) => stages.length <= LIMITS.stages, {
      message: `at most ${LIMITS.stages} stages`,
    }),
  /** Customers whose models are in the making at a time. */
  concurrency: z.int().min(1).max(500).default(50),
  /** Share of customers that may fail before the cycle counts as failed. */
  failureBudget: z.number().min(0).max(1).default(0.05),
  /** What the jobs of a cycle may cost; by default there is no bound. */
  budget: budgetSchema.optional(),
  /** US dollars an hour by instance type, where they are not the list prices of the region. */
  prices: pricesSchema.optional(),
  /** When the fleet is retrained; `modelfleet apply` makes it a Temporal Schedule. */
  schedule: scheduleSchema.optional(),
  /** Looks for customers whose rows or errors have changed since they were trained, and retrains those. */
  drift: driftSchema.optional(),
  /** How long `modelfleet gc` keeps what the fleet has made. */
  retention: retentionSchema.optional(),
});

/** What `defineFleet` takes: paths are still relative to the fleet file. */
export const fleetDeclarationSchema = fleetObjectSchema
  .superRefine(checkTuning)
  .superRefine(checkCombination)
  .superRefine(checkStages)
  .superRefine(checkRetention);

/** sha256 over the packed paths and contents, hex. */
const hashed = { sourceHash: z.string().regex(/^[0-9a-f]{64}$/) };

/** The resolved, plain-JSON spec: SQL is text, and code is the hash of what was packed. */
export const fleetSpecSchema = fleetDeclarationSchema.safeExtend({
  preparation: preparationSchema.extend(hashed).optional(),
  training: z.discriminatedUnion("kind", [
    scriptSchema.extend(hashed),
    shardedSchema.extend(hashed),
    pipelineTrainingSchema.extend({ ...hashed, preprocessor: preprocessorSchema.extend(hashed) }),
  ]),
});

export type FleetDeclarationInput = z.input<typeof fleetDeclarationSchema>;
export type FleetDeclaration = z.infer<typeof fleetDeclarationSchema>;
export type FleetSpec = z.infer<typeof fleetSpecSchema>;
export type TrainingSpec = FleetSpec["training"];
export type EndpointSpec = FleetSpec["endpoint"];
export type { StageSpec } from "./stage.schema.js";
export type SplitSpec = z.infer<typeof splitSchema>;
