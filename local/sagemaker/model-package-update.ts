/** UpdateModelPackage: approval, metadata and what else of a version may change. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Documents } from "./documents.js";
import { validationError } from "./errors.js";
import { createdBy } from "./model-package-groups.js";
import type { Call, Wire } from "./operations.js";
import { accessPackage } from "./registry-access.js";
import type { Store } from "./store.js";

type UpdateModelPackage = Wire<sagemaker.UpdateModelPackageInput>;
type ModelPackage = Documents["model-package"];

/** AWS API model, CustomerMetadataMap; here of the map after the merge. */
const maxMetadataEntries = 50;

/** Expects to run in a transaction: the row stays locked between reading and writing. */
export async function updateModelPackage(
  store: Store,
  call: Call,
  request: UpdateModelPackage,
): Promise<{ ModelPackageArn: string }> {
  const action = `sagemaker:${call.operation}`;
  const { key, arn } = await accessPackage(store, call, {
    arnOrName: request.ModelPackageArn,
    action,
  });
  const locked = await store.lock(key);
  if (locked === undefined) throw validationError(`ModelPackage ${arn} does not exist.`);
  const modifiedAt = Date.now() / 1000;
  await store.update(key, {
    document: {
      ...changesOf(request, locked.document),
      LastModifiedTime: modifiedAt,
      LastModifiedBy: createdBy(call),
    },
    modifiedAt,
  });
  return { ModelPackageArn: arn };
}

function changesOf(request: UpdateModelPackage, before: ModelPackage): Partial<ModelPackage> {
  const {
    ModelPackageArn,
    ClientToken,
    CustomerMetadataProperties: set,
    CustomerMetadataPropertiesToRemove: drop,
    AdditionalInferenceSpecificationsToAdd: added,
    ...replaced
  } = request;
  const additional = [...(before.AdditionalInferenceSpecifications ?? []), ...(added ?? [])];
  return {
    ...replaced,
    ...((set ?? drop) && { CustomerMetadataProperties: mergeMetadata(before, set, drop) }),
    ...(added && { AdditionalInferenceSpecifications: additional }),
  };
}

function mergeMetadata(
  { CustomerMetadataProperties: before = {} }: ModelPackage,
  set: Readonly<Record<string, string>> = {},
  drop: readonly string[] = [],
): Record<string, string> {
  const merged = Object.entries({ ...before, ...set }).filter(([name]) => !drop.includes(name));
  if (merged.length > maxMetadataEntries)
    throw validationError(
      `A model package has at most ${maxMetadataEntries} CustomerMetadataProperties, not ${merged.length}.`,
    );
  return Object.fromEntries(merged);
}
