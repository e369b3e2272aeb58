/** Brings one withdrawal to its end: another version serves the customer, or none. */
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { log } from "@temporalio/activity";
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import { endpointName, namingOf, targetModel } from "../fleet/names.js";
import { withdrawalWords } from "../fleet/way-back.js";
import { withdrawn, type Withdrawal, type WithdrawalOutcome } from "../workflows/messages.js";
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
  readonly sagemaker: SageMakerClient;
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
    await tell(dependencies.temporal, withdrawal, next);
    return true;
  }
  if (leaving?.withdrawal) {
    // The bytes of a stable name may be its own already: the batch that publishes it puts them right.
    if (put === null && leaving.publication === "copied" && isStable(leaving)) return false;
    const { askedBy: by, because } = leaving.withdrawal;
    await recordNothingToMove(dependencies.ledger, place, {
      ...{ customerKey, version, servesVersion: serving?.version ?? null },
      because: withdrawalWords({ by, because }),
    });
  } else log.warn("no denial on record", { ...place, customerKey, version });
  await tell(dependencies.temporal, withdrawal, serving ?? null);
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
  // The containers remember what they loaded under a stable name until they are refreshed.
  if (put === null && isStable(leaving)) return undefined;
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
  const verdict = await verifyModel(runtime, {
    endpointName: endpointName(place.fleet, place.stage),
    targetModel: target,
    rows: next.verificationRows,
    predictions: next.predictions,
  });
  if (verdict.kind === "rejected") {
    const { because } = verdict;
    const passed = { customerKey, version, candidate: next.version, because };
    // Without a refresh the endpoint may still run code that this version was not made for.
    if (put !== null) await recordPassedOver(ledger, place, passed);
    return undefined;
  }
  const { offline, served, latencyMs } = verdict;
  const verification = { offline, served, latencyMs };
  const pointed = { ...next, customerKey, targetModel: target };
  const step = { customerKey, version, next: { ...pointed, verification } };
  const isMoved = await recordWayBack(ledger, place, step, () =>
    putPointer(dependencies, place, pointed),
  );
  return isMoved ? { ...next, targetModel: target } : undefined;
}

/** The version to serve; those that somebody has rejected in the registry since are passed over. */
async function acceptedByRegistry(
  { ledger, sagemaker }: SettleDependencies,
  place: StageRef,
  { version }: CustomerVersion,
  { customerKey, versions }: Pick<Moving, "customerKey" | "versions">,
): Promise<CustomerVersion | null> {
  let next = versionToServe(versions);
  // Each turn passes one version over, so there are no more turns than versions.
  while (next !== null && (await isRejectedInRegistry(sagemaker, next.modelPackageArn))) {
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
  { version, withdrawWorkflowId, customerKey }: Withdrawal,
  serves: CustomerVersion | null,
): Promise<void> {
  const servesNow =
    serves === null
      ? null
      : {
          version: serves.version,
          targetModel: serves.targetModel ?? targetModel(customerKey, serves.version),
        };
  const outcome: WithdrawalOutcome = { version, servesNow };
  try {
    await temporal.workflow.getHandle(withdrawWorkflowId).signal(withdrawn, outcome);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

const isStable = ({ targetModel: target }: CustomerVersion): boolean =>
  target !== null && namingOf(target) === "stable";
