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
import { stagesIn } from "./promotion.js";
import { retrainModel } from "./retrain-model.js";
import { searchAttributes } from "./search-attributes.js";
import { slidingWindow } from "./sliding-window.js";

/**
 * Never fails for a customer's failure. No continue-as-new: 250 customers at about 9 events each stay far
 * below Temporal's limits, see docs/decisions/0001-shards-without-continue-as-new.md.
 */
export async function retrainShard(input: RetrainShardInput): Promise<ShardTotals> {
  const { fleet, cycle, shard } = input;
  const totals: Totals = { registered: 0, championKept: 0, failed: 0 };
  let done = 0;
  const { customerKeys } = await ledger.readShard({ fleet, cycle, shard });
  showProgress(totals, customerKeys.length);
  await slidingWindow(customerKeys, input.window, async (customerKey) => {
    // Once one was refused, all others would be.
    const because = totals.overBudget?.because;
    const outcome =
      because === undefined
        ? await retrainCustomer(input, customerKey)
        : ({ kind: "over-budget", because } as const);
    count(totals, outcome);
    done++;
    showProgress(totals, customerKeys.length);
    if (done % input.progressStep === 0) await tellCycle(shard, { ...totals });
  });
  return totals;
}

type Totals = { -readonly [Key in keyof ShardTotals]: ShardTotals[Key] };

function count(totals: Totals, outcome: RetrainOutcome | { readonly kind: "failed" }): void {
  switch (outcome.kind) {
    case "registered":
      totals.registered++;
      return;
    case "champion-kept":
      totals.championKept++;
      return;
    case "failed":
      totals.failed++;
      return;
    case "over-budget": {
      const { customers = 0, because = outcome.because } = totals.overBudget ?? {};
      totals.overBudget = { customers: customers + 1, because };
      return;
    }
  }
}

async function retrainCustomer(
  input: RetrainShardInput,
  customerKey: string,
): Promise<RetrainOutcome | { readonly kind: "failed" }> {
  try {
    return await runChild(input, customerKey);
  } catch (error) {
    // Cancelled by itself, a child is a failed customer; with the shard, it ends the shard.
    if (isCancellation(error) && CancellationScope.current().consideredCancelled) throw error;
    log.warn("customer failed", { customerKey, ...failureOf(error) });
    return { kind: "failed" };
  }
}

async function runChild(input: RetrainShardInput, customerKey: string): Promise<RetrainOutcome> {
  const { fleet, cycle, tune, pace } = input;
  const workflowId = workflowIds.retrainModel(fleet, customerKey, cycle);
  return onceFree(workflowId, () =>
    executeChild(retrainModel, {
      workflowId,
      args: [{ fleet, ...stagesIn(input), cycle, customerKey, tune, pace }],
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
      `${totals.failed} failed, ${totals.overBudget?.customers ?? 0} over budget, of ${customers} customers`,
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
