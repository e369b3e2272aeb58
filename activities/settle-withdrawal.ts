/** Brings one withdrawal to its end: another version serves the customer, or none. */
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { log } from "@temporalio/activity";
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import { namingOf, targetModel } from "../fleet/names.js";
import type pg from "pg";
import { hasOwnEndpoint, servingAddress, type ServingAddress } from "../fleet/serving.js";
import { withdrawalWords } from "../fleet/way-back.js";
import { withdrawn, type Withdrawal, type WithdrawalOutcome } from "../workflows/messages.js";
import { readCustomerEndpoint } from "./ledger/customer-endpoints.js";
import type { StageRef } from "./ledger/publications.js";
import {
  readCustomerVersions,
  recordNothingToMove,
  recordPassedOver,
  recordWayBack,
  type CustomerVersion,
} from "./ledger/withdrawals.js";
import { deletePointer, putPointer } from "./pointers.js";
import { isRejectedInRegistry } from "./registry-decision.js";
import {
  versionToServe,
  type RestoredArtifact,
  type RestoreDependencies,
} from "./restore-artifact.js";
import { verifyModel } from "./verification.js";

export interface SettleDependencies extends RestoreDependencies {
  /** Of the account that has the model registry. */
  readonly registry: SageMakerClient;
  readonly runtime: SageMakerRuntimeClient;
  readonly temporal: Client;
}

/**
 * False when it needs the endpoint refreshed first, or (after a refresh) another version to go back to. `put` is
 * what `restoreArtifact` has put there for this customer before the refresh; null without a refresh.
 */
export async function settleWithdrawal(
  dependencies: SettleDependencies,
  place: StageRef,
  withdrawal: Withdrawal,
  put: RestoredArtifact | null,
): Promise<boolean> {
  const { customerKey, version } = withdrawal;
  const versions = await readCustomerVersions(dependencies.ledger, place, customerKey);
  const serving = versions.find(({ serves }) => serves);
  const leaving = versions.find((one) => one.version === version);
  if (serving !== undefined && serving === leaving && serving.withdrawal !== null) {
    const next = await moveOn(dependencies, place, serving, { customerKey, versions, put });
    if (next === undefined) return false;
    await tell(dependencies.temporal, place, withdrawal, next);
    return true;
  }
  if (leaving?.withdrawal) {
    // The bytes of a stable name, or the customer's endpoint, may be its own already: the next batch puts them right.
    if (put === null && leaving.publication === "copied" && isReplacedInPlace(leaving))
      return false;
    const { askedBy: by, because, retires } = leaving.withdrawal;
    await recordNothingToMove(dependencies.ledger, place, {
      ...{ customerKey, version, servesVersion: serving?.version ?? null },
      because: withdrawalWords({ by, because, retires }),
    });
  } else log.warn("no denial on record", { ...place, customerKey, version });
  await tell(dependencies.temporal, place, withdrawal, serving ?? null);
  return true;
}

interface Moving {
  readonly customerKey: string;
  readonly versions: readonly CustomerVersion[];
  readonly put: RestoredArtifact | null;
}

/** What serves from now on, null when nothing does; undefined when it is not done. */
async function moveOn(
  dependencies: SettleDependencies,
  place: StageRef,
  leaving: CustomerVersion,
  { customerKey, versions, put }: Moving,
): Promise<CustomerVersion | null | undefined> {
  const { ledger, runtime } = dependencies;
  // The containers remember what they loaded under a stable name until they are refreshed; and an endpoint of the
  // customer's own has one version only.
  if (put === null && isReplacedInPlace(leaving)) return undefined;
  const next = await acceptedByRegistry(dependencies, place, leaving, { customerKey, versions });
  // Denied or passed over since the artifact was put there: that version's is to be put there first.
  if (put !== null && put.version !== (next?.version ?? null)) return undefined;
  const { version } = leaving;
  if (next === null) {
    const isLeft = await recordWayBack(ledger, place, { customerKey, version, next }, () =>
      deletePointer(dependencies, place, customerKey),
    );
    return isLeft ? null : undefined;
  }
  const target = targetModel(customerKey, next.version, isStable(leaving) ? "stable" : "versioned");
  const address = addressOf(place, leaving, { ...next, customerKey });
  const verdict =
    (await ownEndpointFailed(ledger, place, leaving, { ...next, customerKey })) ??
    (await verifyModel(runtime, {
      ...address,
      rows: next.verificationRows,
      predictions: next.predictions,
    }));
  if (verdict.kind === "open") return undefined;
  if (verdict.kind === "rejected") {
    const { because } = verdict;
    const passed = { customerKey, version, candidate: next.version, because };
    // Without a refresh the endpoint may still run code that this version was not made for.
    if (put !== null) await recordPassedOver(ledger, place, passed);
    return undefined;
  }
  const { offline, served, latencyMs } = verdict;
  const verification = { offline, served, latencyMs };
  const pointed = { ...next, customerKey, address };
  const step = { customerKey, version, next: { ...next, targetModel: target, verification } };
  const isMoved = await recordWayBack(ledger, place, step, () =>
    putPointer(dependencies, place, pointed),
  );
  return isMoved ? { ...next, targetModel: target, endpointKind: leaving.endpointKind } : undefined;
}

/** Why the customer's own endpoint does not have the version yet (`open`), or cannot have it; null when it has. */
async function ownEndpointFailed(
  ledger: pg.Pool,
  place: StageRef,
  leaving: CustomerVersion,
  { customerKey, version }: CustomerVersion & { readonly customerKey: string },
): Promise<{ kind: "open" } | { kind: "rejected"; because: string } | null> {
  if (!hasOwnEndpoint(leaving.endpointKind ?? "multi-model")) return null;
  const endpoint = await readCustomerEndpoint(ledger, place, customerKey);
  if (endpoint?.version !== version || endpoint.state === "wanted" || endpoint.mayPass)
    return { kind: "open" };
  if (endpoint.state === "live") return null;
  return { kind: "rejected", because: endpoint.reason ?? "its endpoint was not made" };
}

/** The way that the customer is served stays; only the model goes back. */
function addressOf(
  place: StageRef,
  leaving: CustomerVersion,
  { generation, ...version }: CustomerVersion & { readonly customerKey: string },
): ServingAddress {
  const naming = isStable(leaving) ? "stable" : "versioned";
  const kind = leaving.endpointKind ?? "multi-model";
  return servingAddress({ kind, naming, generation }, { ...place, ...version });
}

/** The version to serve; those that somebody has rejected in the registry since are passed over. */
async function acceptedByRegistry(
  { ledger, registry }: SettleDependencies,
  place: StageRef,
  { version }: CustomerVersion,
  { customerKey, versions }: Pick<Moving, "customerKey" | "versions">,
): Promise<CustomerVersion | null> {
  let next = versionToServe(versions);
  // Each turn passes one version over, so there are no more turns than versions.
  while (next !== null && (await isRejectedInRegistry(registry, next.modelPackageArn))) {
    const because = "the model registry says Rejected";
    const passed = { customerKey, version, candidate: next.version, because };
    await recordPassedOver(ledger, place, passed);
    const before = next.version;
    next = versionToServe(await readCustomerVersions(ledger, place, customerKey));
    if (next?.version === before) break; // The withdrawal is over already: nothing was recorded.
  }
  return next;
}

/** A workflow that is gone needs no answer. */
async function tell(
  temporal: Client,
  { stage }: StageRef,
  { version, withdrawWorkflowId, customerKey }: Withdrawal,
  serves: CustomerVersion | null,
): Promise<void> {
  const hasOne = hasOwnEndpoint(serves?.endpointKind ?? "multi-model");
  const servesNow =
    serves === null
      ? null
      : {
          version: serves.version,
          targetModel: hasOne
            ? null
            : (serves.targetModel ?? targetModel(customerKey, serves.version)),
        };
  const outcome: WithdrawalOutcome = { version, stage, servesNow };
  try {
    await temporal.workflow.getHandle(withdrawWorkflowId).signal(withdrawn, outcome);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

const isReplacedInPlace = (version: CustomerVersion): boolean =>
  isStable(version) || hasOwnEndpoint(version.endpointKind ?? "multi-model");

const isStable = ({ targetModel: target }: CustomerVersion): boolean =>
  target !== null && namingOf(target) === "stable";
