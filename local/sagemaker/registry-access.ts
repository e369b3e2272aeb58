/** Who may do what with a model package group: its own account all, others what its policy says. */
import { arnOf, keyOf } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import { notAuthorized, validationError } from "./errors.js";
import { isAllowedBy } from "./iam.js";
import type { Call } from "./operations.js";
import type { Row, Store } from "./store.js";

export interface RegistryRequest {
  readonly group: ResourceKey<"model-package-group">;
  readonly action: string;
  /** What the policy's Resource must cover. */
  readonly resource: string;
}

/** Returns the group; throws when it is not there, or (alike) when another account hides it. */
export async function accessGroup(
  store: Pick<Store, "find">,
  call: Call,
  { group, action, resource }: RegistryRequest,
): Promise<Row<"model-package-group">> {
  const row = await store.find(group);
  if (group.account !== call.account) {
    const policy = row?.hidden.policy ?? "";
    const { principal } = call;
    if (row === undefined || !isAllowedBy(policy, { principal, action, resource }))
      throw notAuthorized(principal.arn, action, resource);
    return row;
  }
  if (row === undefined)
    throw validationError(`Model Package Group ${arnOf(group)} does not exist.`);
  return row;
}

/** The group that a version `<group>/<version>` belongs to; undefined for an unversioned package. */
export function groupOf(
  key: ResourceKey<"model-package">,
): ResourceKey<"model-package-group"> | undefined {
  const slash = key.name.lastIndexOf("/");
  if (slash < 0) return undefined;
  return keyOf({ ...key }, "model-package-group", key.name.slice(0, slash));
}

/** Returns the package by its ARN or `<group>/<version>`, when the caller may do this with it. */
export async function accessPackage(
  store: Pick<Store, "find">,
  call: Call,
  { arnOrName, action }: { arnOrName: string; action: string },
): Promise<Row<"model-package">> {
  const key = keyOf(call, "model-package", arnOrName);
  const resource = arnOf(key);
  const group = groupOf(key);
  if (key.account !== call.account && group !== undefined)
    await accessGroup(store, call, { group, action, resource });
  else if (key.account !== call.account) throw notAuthorized(call.principal.arn, action, resource);
  const row = await store.find(key);
  if (row === undefined) throw validationError(`ModelPackage ${resource} does not exist.`);
  return row;
}
