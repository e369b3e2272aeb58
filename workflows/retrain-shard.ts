/** Retrains the customers of one shard, each in a child workflow, a few at a time. */
import {
  CancellationScope,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  setCurrentDetails,
  workflowInfo,
} from "@temporalio/workflow";
import { ledger } from "./activities.js";
import { failureOf } from "./failures.js";
import { onceFree } from "./free-id.js";
import {
  type RetrainOutcome,
  type RetrainShardInput,
  shardProgress,
  type ShardTotals,
  workflowIds,
} from "./messages.js";
import { retrainModel } from "./retrain-model.js";
import { searchAttributes } from "./search-attributes.js";
import { slidingWindow } from "./sliding-window.js";

/**
 * Never fails for a customer's failure. No continue-as-new: 250 customers at about 9 events each stay far
 * below Temporal's limits, see docs/decisions/0001-shards-without-continue-as-new.md.
 */
export async function retrainShard(input: RetrainShardInput): Promise<ShardTotals> {
  const { fleet, cycle, shard } = input;
  const totals = { registered: 0, championKept: 0, failed: 0 };
  let done = 0;
  const { customerKeys } = await ledger.readShard({ fleet, cycle, shard });
  showProgress(totals, customerKeys.length);
  await slidingWindow(customerKeys, input.window, async (customerKey) => {
    const outcome = await retrainCustomer(input, customerKey);
    totals[outcome]++;
    done++;
    showProgress(totals, customerKeys.length);
    if (done % input.progressStep === 0) await tellCycle(shard, { ...totals });
  });
  return totals;
}

async function retrainCustomer(
  input: RetrainShardInput,
  customerKey: string,
): Promise<keyof ShardTotals> {
  try {
    const outcome = await runChild(input, customerKey);
    return outcome.kind === "registered" ? "registered" : "championKept";
  } catch (error) {
    // Cancelled by itself, a child is a failed customer; with the shard, it ends the shard.
    if (isCancellation(error) && CancellationScope.current().consideredCancelled) throw error;
    log.warn("customer failed", { customerKey, ...failureOf(error) });
    return "failed";
  }
}

async function runChild(input: RetrainShardInput, customerKey: string): Promise<RetrainOutcome> {
  const { fleet, stage, cycle, tune, pace } = input;
  const workflowId = workflowIds.retrainModel(fleet, customerKey, cycle);
  return onceFree(workflowId, () =>
    executeChild(retrainModel, {
      workflowId,
      args: [{ fleet, stage, cycle, customerKey, tune, pace }],
      parentClosePolicy: "REQUEST_CANCEL",
      // The ledger says who is trained. Done twice, it finds its job, its version and its release by name.
      workflowIdReusePolicy: "ALLOW_DUPLICATE",
      typedSearchAttributes: searchAttributes({ fleet, cycle, customer: customerKey }),
      staticSummary: `Retrain ${customerKey} of ${fleet} for ${cycle}`,
    }),
  );
}

function showProgress(totals: ShardTotals, customers: number): void {
  setCurrentDetails(
    `${totals.registered} registered, ${totals.championKept} champions kept, ` +
      `${totals.failed} failed, of ${customers} customers`,
  );
}

/** For the live view only: the cycle that is gone, or gets no signal, still learns the totals in the end. */
async function tellCycle(shard: number, totals: ShardTotals): Promise<void> {
  const parent = workflowInfo().parent;
  if (parent === undefined) return;
  try {
    await getExternalWorkflowHandle(parent.workflowId).signal(shardProgress, { shard, totals });
  } catch (error) {
    if (isCancellation(error)) throw error;
  }
}
