/** Takes denied versions out of service: records the denial, puts back what serves instead, tells who waits. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { log } from "@temporalio/activity";
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { namingOf, targetModel } from "../fleet/names.js";
import { refusalOfWithdrawal, withdrawalWords } from "../fleet/way-back.js";
import {
  withdrawalDelayed,
  workflowIds,
  type Decision,
  type Publication,
  type Withdrawal,
} from "../workflows/messages.js";
import { rejectRequests } from "./answer-releases.js";
import { permanent } from "./application-failure.js";
import { removeCustomerEndpoint } from "./customer-endpoints.js";
import { inParallel } from "./in-parallel.js";
import { readAskedVersions } from "./ledger/publications.js";
import {
  readCustomerVersions,
  recordDelay,
  recordRemoved,
  recordWithdrawal,
} from "./ledger/withdrawals.js";
import { withHeartbeat } from "./patience.js";
import { rejectInRegistry } from "./registry-decision.js";
import { restoreArtifact, type RestoredArtifact } from "./restore-artifact.js";
import { removeArtifact } from "./served-artifacts.js";
import { settleWithdrawal } from "./settle-withdrawal.js";

export interface WithdrawalDependencies {
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly sagemaker: SageMakerClient;
  readonly runtime: SageMakerRuntimeClient;
  readonly temporal: Client;
  readonly bucket: string;
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
   * then on nobody publishes it. Throws WithdrawalRefused, with nothing changed, when there is nothing to withdraw or no way back to `to`.
   */
  recordWithdrawal: (input: RecordWithdrawalInput): Promise<void> => deny(dependencies, input),

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
    await withHeartbeat(() =>
      inParallel(AT_A_TIME, customerKeys, async (customerKey) => {
        const one = await restoreArtifact(dependencies, { fleet, stage }, customerKey);
        restored.push(one.restored);
        reload ||= one.reload;
      }),
    );
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
    await withHeartbeat(() =>
      inParallel(AT_A_TIME, withdrawals, async (withdrawal) => {
        const put = restored?.find((one) => one.customerKey === withdrawal.customerKey) ?? null;
        await settleWithdrawal(dependencies, { fleet, stage }, withdrawal, put).then(
          (isSettled) => (isSettled ? undefined : open.push(withdrawal)),
          (error: unknown) => failures.push(error),
        );
      }),
    );
    log.info("withdrawals settled", {
      ...{ fleet, stage, of: withdrawals.length },
      ...{ open: open.length, failures: failures.length },
    });
    if (failures.length > 0) throw failures[0];
    return { open };
  },

  /** Writes down why versions that were denied still serve, and signals `withdrawalDelayed`. */
  tellDelay: (input: WithdrawalBatch & { readonly because: string }): Promise<void> =>
    tellDelay(dependencies, input),

  /** Takes the artifact away once nobody is sent to it any more, so that it cannot be loaded again. */
  removeWithdrawnArtifact: (input: WithdrawalRef): Promise<void> => remove(dependencies, input),
});
export type WithdrawalActivities = ReturnType<typeof createWithdrawalActivities>;

async function deny(
  dependencies: WithdrawalDependencies,
  input: RecordWithdrawalInput,
): Promise<void> {
  const { fleet, stage, customerKey, version, decision, to } = input;
  const { ledger, sagemaker } = dependencies;
  const versions = await readCustomerVersions(ledger, { fleet, stage }, customerKey);
  const leaving = versions.find((one) => one.version === version);
  // On record already, by an earlier attempt or an earlier run: it was not refused then.
  if (leaving?.withdrawal) return;
  const refused = refusalOfWithdrawal(versions, { version, to });
  if (refused !== null || leaving === undefined)
    throw permanent(FAILURES.withdrawalRefused, {
      message: `customer ${customerKey} of fleet "${fleet}": ${refused ?? "no such version"}`,
      hint: `modelfleet models ${fleet} --customer ${customerKey} lists the versions and their states`,
    });
  // A cohort's package is its other members', too: the ledger alone says that this one has left.
  if (!leaving.cohort) await rejectInRegistry(sagemaker, leaving.modelPackageArn, decision);
  await recordWithdrawal(ledger, {
    ...{ fleet, stage, customerKey, version, to },
    by: decision.by,
    because: decision.note,
    workflowId: workflowIds.withdrawModel(fleet, customerKey, version),
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
  { ledger, temporal }: WithdrawalDependencies,
  { fleet, stage, withdrawals, because }: WithdrawalBatch & { readonly because: string },
): Promise<void> {
  await inParallel(AT_A_TIME, withdrawals, async (withdrawal) => {
    const { version, withdrawWorkflowId } = withdrawal;
    await recordDelay(ledger, { fleet, stage }, withdrawal, because);
    try {
      const handle = temporal.workflow.getHandle(withdrawWorkflowId);
      await handle.signal(withdrawalDelayed, { version, because });
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
  if (own === undefined || own.serves || own.state !== "withdrawn") return;
  const target = own.targetModel ?? targetModel(customerKey, version);
  const folder = { ...place, generation: own.generation };
  if (namingOf(target) === "versioned") await removeArtifact(dependencies, folder, target);
  await removeCustomerEndpoint(dependencies, place, customerKey);
  await recordRemoved(dependencies.ledger, place, input);
}
