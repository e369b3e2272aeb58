/** One cycle of a fleet: export, plan, retrain every customer, and tell what came of it. */
import {
  CancellationScope,
  executeChild,
  isCancellation,
  log,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";
import { FAILURES } from "../fleet/errors.js";
import { failureBudgetExceeded } from "../fleet/failure-budget.js";
import { LIMITS } from "../fleet/limits.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { isStaged, promotionStages } from "../fleet/stages.js";
import { history, ledger, notifications, planning, warehouse } from "./activities.js";
import { type CycleProgress, trackProgress } from "./cycle-progress.js";
import { type Cycle, nameCycle, tagCycle } from "./cycle-time.js";
import { failureOf, workflowFailure } from "./failures.js";
import { onceFree } from "./free-id.js";
import {
  type CycleReport,
  cycleStatus,
  DEFAULT_PACE,
  type FleetStages,
  type RetrainFleetInput,
  shardProgress,
  workflowIds,
} from "./messages.js";
import { listenForCycleJobs, preparePipeline, prepareRows } from "./prepare-cycle.js";
import { retrainCohort } from "./retrain-cohort.js";
import { retrainShard } from "./retrain-shard.js";
import { searchAttributes } from "./search-attributes.js";
import { slidingWindow } from "./sliding-window.js";

/** Ends when every challenger is registered; approvals and publications go on by themselves. */
export async function retrainFleet(input: RetrainFleetInput): Promise<CycleReport> {
  const cycle = nameCycle(input);
  const progress = trackProgress(cycle);
  setHandler(cycleStatus, () => progress.read());
  setHandler(shardProgress, ({ shard, totals }) => progress.shard(shard, totals));
  tagCycle(cycle);
  try {
    await runCycle(input, cycle, progress);
    progress.enter("completed");
    const report = await ledger.closeCycle({ ...idsOf(cycle), state: "completed" });
    await writeHistory(cycle);
    return report;
  } catch (error) {
    return await CancellationScope.nonCancellable(() =>
      closeUnfinished(input, cycle, progress, error),
    );
  }
}

async function runCycle(
  input: RetrainFleetInput,
  cycle: Cycle,
  progress: CycleProgress,
): Promise<void> {
  const { spec, force = false, testing = false, pace = DEFAULT_PACE } = input;
  const ids = idsOf(cycle);
  const jobs = listenForCycleJobs({ ...ids, pace });
  const { workflowId } = workflowInfo();

  progress.enter("exporting");
  const opened = { cycle: cycle.cycle, window: cycle.window, workflowId, force, testing };
  const cause = input.drift === true ? ({ cause: "drift" } as const) : {};
  await ledger.openCycle({ spec, ...opened, ...cause });
  await warehouse.exportDataset(ids);
  if (spec.preparation !== undefined) {
    progress.enter("preparing");
    await ledger.setCycleState({ ...ids, state: "preparing" });
    await prepareRows(jobs);
  }

  progress.enter("planning");
  await ledger.setCycleState({ ...ids, state: "planning" });
  const plan = await planning.planCycle({ ...ids, shardSize: LIMITS.customersPerShard, force });
  progress.planned(plan);
  if (spec.training.kind === "pipeline" && plan.train > 0) {
    progress.enter("preparing");
    await ledger.setCycleState({ ...ids, state: "preparing" });
    await preparePipeline(jobs);
  }

  progress.enter("training");
  await ledger.setCycleState({ ...ids, state: "training" });
  if (spec.training.kind === "sharded") await runCohort(input, cycle, progress, plan);
  else await runShards(input, cycle, progress, plan);

  const exceeded = failureBudgetExceeded(progress.read().report, spec.failureBudget);
  if (exceeded !== null)
    throw workflowFailure({ type: FAILURES.failureBudgetExceeded, message: exceeded });
  const overBudget = progress.overBudget();
  if (overBudget !== null)
    throw workflowFailure({ type: FAILURES.budgetExceeded, message: overBudget });
}

async function runShards(
  { spec, pace = DEFAULT_PACE }: RetrainFleetInput,
  { fleet, cycle }: Cycle,
  progress: CycleProgress,
  plan: { readonly shards: number; readonly train: number },
): Promise<void> {
  const inFlight = Math.min(plan.shards, LIMITS.shardsAtATime);
  const window = Math.max(1, Math.floor(spec.concurrency / inFlight));
  const everyShare = Math.ceil(plan.train / LIMITS.progressSignals);
  const progressStep = Math.max(LIMITS.progressStep, everyShare);
  const stages = stagesOf(spec);
  const tune = spec.tuning !== undefined;
  const shards = Array.from({ length: plan.shards }, (_none, index) => index);
  await slidingWindow(shards, inFlight, async (shard) => {
    const workflowId = workflowIds.retrainShard(fleet, cycle, shard);
    const totals = await onceFree(workflowId, () =>
      executeChild(retrainShard, {
        workflowId,
        args: [{ fleet, ...stages, cycle, shard, tune, window, progressStep, pace }],
        parentClosePolicy: "REQUEST_CANCEL",
        workflowIdReusePolicy: "ALLOW_DUPLICATE",
        typedSearchAttributes: searchAttributes({ fleet, cycle }),
        staticSummary: `Shard ${shard + 1} of ${plan.shards} of ${fleet} for ${cycle}`,
      }),
    );
    progress.shard(shard, totals);
  });
}

/** All customers in one training job. */
async function runCohort(
  { spec, pace = DEFAULT_PACE }: RetrainFleetInput,
  { fleet, cycle }: Cycle,
  progress: CycleProgress,
  { train }: { readonly train: number },
): Promise<void> {
  if (train === 0) return;
  const workflowId = workflowIds.retrainCohort(fleet, cycle);
  const totals = await onceFree(workflowId, () =>
    executeChild(retrainCohort, {
      workflowId,
      args: [{ fleet, ...stagesOf(spec), cycle, pace }],
      parentClosePolicy: "REQUEST_CANCEL",
      workflowIdReusePolicy: "ALLOW_DUPLICATE",
      typedSearchAttributes: searchAttributes({ fleet, cycle }),
      staticSummary: `The ${train} customers of ${fleet} for ${cycle}, in one training job`,
    }),
  );
  progress.shard(0, totals);
}

/** The ledger learns why, and the run fails with the same sentence. */
async function closeUnfinished(
  { spec }: RetrainFleetInput,
  cycle: Cycle,
  progress: CycleProgress,
  error: unknown,
): Promise<never> {
  const cancelled = isCancellation(error);
  const failure = failureOf(error);
  const state = cancelled ? "cancelled" : "failed";
  const reason = cancelled ? "cancelled on request" : failure.message;
  progress.enter(state);
  try {
    await ledger.closeCycle({ ...idsOf(cycle), state, reason });
  } catch (closing) {
    log.error("cycle not closed", { ...idsOf(cycle), ...failureOf(closing) });
  }
  if (failure.type === FAILURES.budgetExceeded) await tellOverBudget(spec, cycle, failure.message);
  await writeHistory(cycle);
  throw cancelled ? error : workflowFailure(failure, error);
}

/** A webhook that does not answer keeps no cycle from ending. */
async function tellOverBudget(
  { approval }: RetrainFleetInput["spec"],
  cycle: Cycle,
  because: string,
): Promise<void> {
  if (approval?.webhook === undefined) return;
  try {
    await notifications.notifyOverBudget({ ...idsOf(cycle), because, webhook: approval.webhook });
  } catch (error) {
    log.error("nobody told of the budget", { ...idsOf(cycle), ...failureOf(error) });
  }
}

/** Last, and not cut short: how the cycle ended is on record already, and nobody waits for these files. */
async function writeHistory({ fleet }: Cycle): Promise<void> {
  try {
    await CancellationScope.nonCancellable(() => history.writeHistoryFiles({ fleet }));
  } catch (error) {
    log.error("history files not written", { fleet, ...failureOf(error) });
  }
}

const idsOf = ({ fleet, cycle }: Cycle): { fleet: string; cycle: string } => ({ fleet, cycle });

/** Most fleets have one stage that takes what is approved: their histories need no more than its name. */
function stagesOf(spec: FleetSpec): FleetStages {
  const stages = promotionStages(spec);
  const stage = spec.stages[0].name;
  return isStaged(stages) ? { stage, stages } : { stage };
}
