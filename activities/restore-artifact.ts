/** Makes the object that the endpoint loads for a customer what the ledger says shall serve. */
import { log } from "@temporalio/activity";
import type pg from "pg";
import { namingOf, targetModel } from "../fleet/names.js";
import { hasOwnEndpoint } from "../fleet/serving.js";
import { versionToGoBackTo } from "../fleet/way-back.js";
import type { CopyStore } from "./copy-object.js";
import { wantInstead } from "./ledger/customer-endpoints.js";
import type { StageRef } from "./ledger/publications.js";
import {
  readCustomerVersions,
  recordPassedOver,
  type CustomerVersion,
} from "./ledger/withdrawals.js";
import { copyArtifact, heldVersion, removeArtifact } from "./served-artifacts.js";

export interface RestoreDependencies extends CopyStore {
  readonly ledger: pg.Pool;
}

export interface RestoredArtifact {
  readonly customerKey: string;
  /** The version that is there now; null: none shall serve, and none is there. */
  readonly version: number | null;
}

export interface Restored {
  readonly restored: RestoredArtifact;
  /**
   * The name is one that is overwritten, so the containers may hold another version. Told by the name and not by
   * what this attempt has changed: an earlier one may have made the change.
   */
  readonly reload: boolean;
}

export async function restoreArtifact(
  dependencies: RestoreDependencies,
  place: StageRef,
  customerKey: string,
): Promise<Restored> {
  // Each turn passes one version over, so there are no more turns than versions.
  for (;;) {
    const versions = await readCustomerVersions(dependencies.ledger, place, customerKey);
    const serving = versions.find(({ serves }) => serves);
    const next = versionToServe(versions);
    const restored = { customerKey, version: next?.version ?? null };
    const isVersioned = serving?.targetModel && namingOf(serving.targetModel) === "versioned";
    const isThere = isVersioned
      ? await putVersioned(dependencies, place, customerKey, versions)
      : await overwriteStable(dependencies, place, customerKey, next);
    if (isThere) {
      await wantRestored(dependencies.ledger, place, customerKey, { serving, next });
      return { restored, reload: !isVersioned };
    }
    if (serving?.withdrawal && next !== null) {
      const because = `its artifact is gone: ${next.artifactUri} does not exist`;
      const passed = { customerKey, version: serving.version, candidate: next.version, because };
      await recordPassedOver(dependencies.ledger, place, passed);
      continue;
    }
    // What serves cannot be put back; what was denied or rejected must not be loaded in its place.
    log.error("artifact of the serving version is gone", { ...place, ...restored });
    await removeArtifact(dependencies, place, targetModel(customerKey, 0, "stable"));
    return { restored, reload: true };
  }
}

/** What a customer's own endpoint shall serve. Without a way back it keeps the denied version until nobody is sent there. */
async function wantRestored(
  ledger: pg.Pool,
  place: StageRef,
  customerKey: string,
  { serving, next }: { serving: CustomerVersion | undefined; next: CustomerVersion | null },
): Promise<void> {
  const isOwn = serving !== undefined && hasOwnEndpoint(serving.endpointKind ?? "multi-model");
  if (isOwn && next === null) return;
  await wantInstead(ledger, place, {
    customerKey,
    version: isOwn ? (next?.version ?? null) : null,
  });
}

/** The version that the ledger says serves; if it is withdrawn, the one to go back to. */
export function versionToServe(versions: readonly CustomerVersion[]): CustomerVersion | null {
  const serving = versions.find(({ serves }) => serves);
  if (serving === undefined) return null;
  const { withdrawal, version } = serving;
  if (withdrawal === null) return serving;
  const { to, passedOver, retires } = withdrawal;
  const next = versionToGoBackTo(versions, { version, to: to ?? undefined, passedOver, retires });
  return versions.find((one) => one.version === next) ?? null;
}

/** Its own name per version: it is there, unless somebody has tidied up. False when its source is gone too. */
async function putVersioned(
  store: CopyStore,
  place: StageRef,
  customerKey: string,
  versions: readonly CustomerVersion[],
): Promise<boolean> {
  const next = versionToServe(versions);
  if (next !== null) {
    const target = targetModel(customerKey, next.version);
    const folder = { ...place, generation: next.generation };
    const isThere = (await heldVersion(store, folder, target)) !== null;
    if (!isThere && !(await copyArtifact(store, folder, { ...next, targetModel: target })))
      return false;
  }
  // A fleet that has just changed to stable names, and whose first such version was refused.
  const stableName = targetModel(customerKey, 0, "stable");
  const held = await heldVersion(store, place, stableName);
  const stray = versions.find(({ version }) => version === held);
  if (stray?.publication === "rejected" || stray?.publication === "withdrawn")
    await removeArtifact(store, place, stableName);
  return true;
}

/** False when the source is gone. */
async function overwriteStable(
  store: CopyStore,
  place: StageRef,
  customerKey: string,
  next: CustomerVersion | null,
): Promise<boolean> {
  const stableName = targetModel(customerKey, 0, "stable");
  const held = await heldVersion(store, place, stableName);
  if (held === (next?.version ?? null)) return true;
  if (next !== null) return copyArtifact(store, place, { ...next, targetModel: stableName });
  await removeArtifact(store, place, stableName);
  return true;
}
