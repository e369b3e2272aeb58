/** The part of a spec that makes a model: what it changes, a model is trained again for. */
import { canonicalJson, sha256Hex } from "./canonical-json.js";
import type { FleetSpec } from "./spec.schema.js";

/**
 * What may change without another model coming out of the same data: when a fleet is retrained, who decides,
 * how fast it goes. A key that is not listed counts, since a training too many is the smaller harm.
 */
const NO_PART_OF_A_MODEL: readonly string[] = [
  ...["specVersion", "schedule", "drift", "gate", "approval", "concurrency", "failureBudget"],
  ...["budget", "prices", "retention"],
];
/** Where a model serves counts (another account has none of them yet), on which machines does not. */
const NO_PART_OF_SERVING: readonly string[] = [
  ...["instanceType", "instances", "memorySizeInMb", "maxConcurrency"],
];
/** The window and the scarcity of rows are told by the data; the folder's name is told by its hash. */
const NO_PART_OF_DATA: readonly string[] = ["window", "minimumRows", "customers", "connection"];
const NO_PART_OF_TRAINING: readonly string[] = [
  ...["source", "dependencies", "instanceType", "instances", "volumeSizeInGb", "maxRuntimeSeconds"],
  ...["keepAliveSeconds", "spot", "transform"],
];

/** sha256, hex. Together with the hash of the data: equal for a model and the one a training would make now. */
export function modelHash(spec: FleetSpec): string {
  return sha256Hex(
    canonicalJson({
      ...without(spec, NO_PART_OF_A_MODEL),
      source: without(spec.source, NO_PART_OF_DATA),
      training: modelCode(spec.training),
      ...(spec.preparation && { preparation: without(spec.preparation, NO_PART_OF_TRAINING) }),
      endpoint: without(spec.endpoint, NO_PART_OF_SERVING),
    }),
  );
}

const modelCode = (training: FleetSpec["training"]): object => ({
  ...without(training, NO_PART_OF_TRAINING),
  ...(training.kind === "pipeline" && { preprocessor: preprocessorCode(training.preprocessor) }),
});

/** The part of a preprocessor's spec that makes it another one. */
export const preprocessorCode = (
  preprocessor: Extract<FleetSpec["training"], { readonly kind: "pipeline" }>["preprocessor"],
): object => without(preprocessor, NO_PART_OF_TRAINING);

const without = (value: object, keys: readonly string[]): object =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)));
