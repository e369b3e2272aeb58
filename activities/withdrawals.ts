/** Takes denied versions out of service: records the denial, puts back what serves instead, tells who waits. */
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { namingOf, targetModel } from "../fleet/names.js";
import { refusalOfWithdrawal, withdrawalWords } from "../fleet/way-back.js";
import {
  deny as denyRelease,
  withdrawalDelayed,
  workflowIds,
  type Decision,
  type Publication,
  type Withdrawal,
} from "../workflows/messages.js";
import { rejectRequests } from "./answer-releases.js";
import { permanent } from "./application-failure.js";
import { atStage, type StageReach } from "./at-stage.js";
import { waitWhileClosed } from "./closed-stage.js";
import { removeCustomerEndpoint } from "./customer-endpoints.js";
import { inParallel } from "./in-parallel.js";
import { readAskedVersions, type StageRef } from "./ledger/publications.js";
import { releaseUnderWay } from "./ledger/promotions.js";
import {
  readCustomerVersions,
  recordDelay,
  recordRemoved,
  recordWithdrawal,
  stagesOfVersion,
  type CustomerVersion,
} from "./ledger/withdrawals.js";
import { withHeartbeat } from "./patience.js";
import { rejectInRegistry } from "./registry-decision.js";
import { restoreArtifact, type RestoredArtifact } from "./restore-artifact.js";
import { removeArtifact } from "./served-artifacts.js";
import { settleWithdrawal, type SettleDependencies } from "./settle-withdrawal.js";
import { tellDelayed } from "./tell-delayed.js";
import type { TellDependencies } from "./tell-once.js";

export interface WithdrawalDependencies extends StageReach, TellDependencies {
  /** Where the model registry is: the home account's. */
  readonly sagemaker: SageMakerClient;
  readonly temporal: Client;
}

export interface WithdrawalRef {
  readonly fleet: string;
  readonly stage: string;
  readonly customerKey: string;
  readonly version: number;
}

export interface RecordWithdrawalInput extends WithdrawalRef {
  readonly decision: Decision;
  readonly to?: number;
  /** Its customer has left: it stays approved, and nothing serves instead. */
  readonly retire?: boolean;
}

/** Some withdrawals of one stage of one fleet. */
export interface WithdrawalBatch {
  readonly fleet: string;
  readonly stage: string;
  readonly withdrawals: readonly Withdrawal[];
}

export interface SettleWithdrawalsInput extends WithdrawalBatch {
  /** What `restoreArtifacts` has put there, and the endpoint was refreshed after; null when nothing was. */
  readonly restored: readonly RestoredArtifact[] | null;
}

export interface RestoreReport {
  readonly restored: readonly RestoredArtifact[];
  /** An artifact was overwritten or deleted under its name: the endpoint has to forget it. */
  readonly reload: boolean;
}

/** Each may keep one worker of the container busy with loading. */
const AT_A_TIME = 8;

export const createWithdrawalActivities = (dependencies: WithdrawalDependencies) => ({
  /**
   * Rejects the version in the registry (a cohort's one member in the ledger only), and then in the ledger: from
   * then on nobody publishes it, and its release carries it into no further stage. Of a customer who has left, only the
   * ledger is told. Returns the stages that it has
   * reached, the last of promotion first. Throws WithdrawalRefused, with nothing changed, when there is nothing to
   * withdraw or no way back to `to`.
   */
  recordWithdrawal: (input: RecordWithdrawalInput): Promise<{ stages: string[] }> =>
    deny(dependencies, input),

  /** For publications that were denied before they were made: their releases get the reason. */
  cancelPublications: (input: {
    readonly fleet: string;
    readonly stage: string;
    readonly publications: readonly Publication[];
  }): Promise<void> => cancel(dependencies, input),

  /**
   * Makes the objects that the endpoint loads what the ledger says shall serve these customers: the version that
   * serves; instead of one that is withdrawn the one to go back to; or none. Heartbeats.
   */
  async restoreArtifacts({
    fleet,
    stage,
    customerKeys,
  }: {
    readonly fleet: string;
    readonly stage: string;
    readonly customerKeys: readonly string[];
  }): Promise<RestoreReport> {
    const restored: RestoredArtifact[] = [];
    let reload = false;
    await withHeartbeat(async () => {
      const there = await atStage(dependencies, { fleet, stage });
      await inParallel(AT_A_TIME, customerKeys, async (customerKey) => {
        const one = await restoreArtifact(there, { fleet, stage }, customerKey);
        restored.push(one.restored);
        reload ||= one.reload;
      });
    });
    return { restored, reload };
  },

  /**
   * Lets the version to go back to serve, once it has answered as in training, and signals `withdrawn`. Returns the
   * withdrawals that need the endpoint refreshed first, or another version to go back to. Heartbeats.
   */
  async settleWithdrawals({
    fleet,
    stage,
    withdrawals,
    restored,
  }: SettleWithdrawalsInput): Promise<{ open: Withdrawal[] }> {
    const open: Withdrawal[] = [];
    const failures: unknown[] = [];
    await withHeartbeat(async () => {
      const there = await settlingAt(dependencies, { fleet, stage });
      await inParallel(AT_A_TIME, withdrawals, async (withdrawal) => {
        const put = restored?.find((one) => one.customerKey === withdrawal.customerKey) ?? null;
        await settleWithdrawal(there, { fleet, stage }, withdrawal, put).then(
          (isSettled) => (isSettled ? undefined : open.push(withdrawal)),
          (error: unknown) => failures.push(error),
        );
      });
    });
    log.info("withdrawals settled", {
      ...{ fleet, stage, of: withdrawals.length },
      ...{ open: open.length, failures: failures.length },
    });
    if (failures.length > 0) throw failures[0];
    return { open };
  },

  /** Writes down why versions that were denied still serve, tells people, and signals `withdrawalDelayed`. */
  tellDelay: (input: WithdrawalBatch & { readonly because: string }): Promise<void> =>
    tellDelay(dependencies, input),

  /**
   * Takes the artifact away once nobody is sent to it any more, so that it cannot be loaded again. A stage elsewhere that
   * is closed is tried again: nothing else would take it.
   */
  removeWithdrawnArtifact: (input: WithdrawalRef): Promise<void> =>
    waitWhileClosed(dependencies, input, () => remove(dependencies, input)),
});
export type WithdrawalActivities = ReturnType<typeof createWithdrawalActivities>;

/** The stage's clients, and the home account's registry. */
const settlingAt = async (
  dependencies: WithdrawalDependencies,
  place: StageRef,
): Promise<SettleDependencies> => ({
  ...(await atStage(dependencies, place)),
  registry: dependencies.sagemaker,
});

async function deny(
  dependencies: WithdrawalDependencies,
  input: RecordWithdrawalInput,
): Promise<{ stages: string[] }> {
  const { fleet, customerKey, version, decision, to, retire = false } = input;
  const { ledger, sagemaker } = dependencies;
  const reached = await stagesOfVersion(ledger, input);
  const stages = reached.length === 0 ? [input.stage] : reached;
  const leaving = await withdrawable(ledger, { ...input, stages });
  // On record already, by an earlier attempt or an earlier run: it was not refused then.
  if (leaving === null) {
    if (!retire) await tellRelease(dependencies, input);
    return { stages };
  }
  // A cohort's package is its other members', too: the ledger alone says that this one has left.
  if (!leaving.cohort && !retire)
    await rejectInRegistry(sagemaker, leaving.modelPackageArn, decision);
  // Production last: what is not on record there yet is found by another attempt.
  for (const stage of stages.toReversed())
    await recordWithdrawal(ledger, {
      ...{ fleet, stage, customerKey, version, to },
      by: decision.by,
      because: decision.note,
      retires: retire,
      workflowId: workflowIds.withdrawModel(fleet, customerKey, version),
    });
  if (!retire) await tellRelease(dependencies, input);
  return { stages };
}

/** One that is on its way through the stages goes no further; one that asked for this has ended. */
async function tellRelease(
  { ledger, temporal }: WithdrawalDependencies,
  { fleet, customerKey, version, decision }: RecordWithdrawalInput,
): Promise<void> {
  const workflowId = await releaseUnderWay(ledger, { fleet, customerKey, version });
  if (workflowId === null) return;
  const { by, note = "it is being withdrawn" } = decision;
  try {
    await temporal.workflow.getHandle(workflowId).signal(denyRelease, { by, note });
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** The version, if it serves, or did, in one of the stages; null when it is withdrawn there already. */
async function withdrawable(
  ledger: pg.Pool,
  {
    fleet,
    customerKey,
    version,
    to,
    stages,
  }: RecordWithdrawalInput & { readonly stages: readonly string[] },
): Promise<CustomerVersion | null> {
  let refused: string | null = null;
  for (const stage of stages) {
    const versions = await readCustomerVersions(ledger, { fleet, stage }, customerKey);
    const leaving = versions.find((one) => one.version === version);
    if (leaving?.withdrawal) return null;
    const because = refusalOfWithdrawal(versions, { version, to });
    // What one stage cannot go back to, another can: the rule chooses where the wish cannot be met.
    if (because === null && leaving !== undefined) return leaving;
    refused ??= because;
  }
  throw permanent(FAILURES.withdrawalRefused, {
    message: `customer ${customerKey} of fleet "${fleet}": ${refused ?? "no such version"}`,
    hint: `modelfleet models ${fleet} --customer ${customerKey} lists the versions and their states`,
  });
}

async function cancel(
  dependencies: WithdrawalDependencies,
  {
    fleet,
    stage,
    publications,
  }: {
    readonly fleet: string;
    readonly stage: string;
    readonly publications: readonly Publication[];
  },
): Promise<void> {
  const place = { fleet, stage };
  const asked = await readAskedVersions(dependencies.ledger, place, publications);
  const rejected = publications.map((publication, index) => {
    const withdrawal = asked[index]?.release?.withdrawal;
    const because = withdrawal ? withdrawalWords(withdrawal) : "withdrawn";
    return { ...publication, because };
  });
  await rejectRequests(dependencies, place, rejected);
}

async function tellDelay(
  dependencies: WithdrawalDependencies,
  { fleet, stage, withdrawals, because }: WithdrawalBatch & { readonly because: string },
): Promise<void> {
  const { ledger, temporal } = dependencies;
  const untold = await tellDelayed(dependencies, { fleet, stage }, because);
  await inParallel(AT_A_TIME, withdrawals, async (withdrawal) => {
    const { version, withdrawWorkflowId } = withdrawal;
    await recordDelay(ledger, { fleet, stage }, withdrawal, because);
    try {
      const handle = temporal.workflow.getHandle(withdrawWorkflowId);
      await handle.signal(withdrawalDelayed, { version, because: because + untold });
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  });
}

/** A stable name holds another version by now, or was deleted with the refresh. */
async function remove(dependencies: WithdrawalDependencies, input: WithdrawalRef): Promise<void> {
  const { fleet, stage, customerKey, version } = input;
  const place = { fleet, stage };
  const versions = await readCustomerVersions(dependencies.ledger, place, customerKey);
  const own = versions.find((one) => one.version === version);
  if (own === undefined || own.serves || own.withdrawal === null) return;
  const target = own.targetModel ?? targetModel(customerKey, version);
  const folder = { ...place, generation: own.generation };
  const there = await atStage(dependencies, place);
  if (namingOf(target) === "versioned") await removeArtifact(there, folder, target);
  await removeCustomerEndpoint(there, place, customerKey);
  await recordRemoved(dependencies.ledger, place, input);
}
