/** One look at a fleet for drift: compare, ask a sample of champions, decide, retrain those that are past it. */
import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import {
  CancellationScope,
  executeChild,
  isCancellation,
  log,
  setCurrentDetails,
  workflowInfo,
} from "@temporalio/workflow";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { comparison, ledger, notifications, planning } from "./activities.js";
import { cycleTime, nameCycle, tagCycle } from "./cycle-time.js";
import { failureOf, workflowFailure } from "./failures.js";
import { type DriftReport, type WatchDriftInput, workflowIds } from "./messages.js";
import { retrainFleet } from "./retrain-fleet.js";
import { searchAttributes } from "./search-attributes.js";

interface DriftRun {
  readonly fleet: string;
  /** Of a run that retrains, also the id of its cycle. */
  readonly run: string;
}

/**
 * Lasts as long as the cycle that it calls for, so that the schedule's overlap policy is about both. Run again for the
 * same time, it goes on with what it decided; one that only looked looks again.
 */
export async function watchDrift(input: WatchDriftInput): Promise<DriftReport> {
  const { spec, dryRun = false } = input;
  const at = cycleTime(input.at);
  const cycle = nameCycle({ spec, at, drift: true });
  tagCycle(cycle);
  const run = { fleet: cycle.fleet, run: dryRun ? `${cycle.cycle}-look` : cycle.cycle };
  const { workflowId } = workflowInfo();
  try {
    await ledger.openDriftRun({ ...run, spec, at, workflowId, dryRun });
    await comparison.compareWindows(run);
    if (spec.drift?.error !== undefined) await comparison.scoreChampions(run);
    const decided = await planning.decideDrift(run);
    const retrains = decided.retrain > 0 && !dryRun;
    const found =
      `${decided.drifted} of ${decided.compared} customers have drifted, ${decided.retrain} ` +
      `${dryRun ? "would be" : "are"} retrained`;
    setCurrentDetails(found);
    if (retrains)
      await Promise.all([
        retrain(input, run, { at, customers: decided.retrain }),
        tell(spec, run, found),
      ]);
    const counts = await ledger.closeDriftRun({ ...run, state: "completed" });
    return { ...run, ...counts, cycle: retrains ? run.run : null };
  } catch (error) {
    return await CancellationScope.nonCancellable(() => closeFailed(run, error));
  }
}

/** Whoever cannot be reached holds nothing up: it is told on this page. */
async function tell({ approval }: FleetSpec, run: DriftRun, found: string): Promise<void> {
  if (approval?.webhook === undefined) return;
  try {
    await notifications.notifyDrift({ ...run, webhook: approval.webhook });
  } catch (error) {
    if (isCancellation(error)) return;
    setCurrentDetails(`${found}\n\nThe message about it was not sent: ${failureOf(error).message}`);
  }
}

/** The usual cycle with the usual gates, for some customers. */
async function retrain(
  { spec, pace }: WatchDriftInput,
  { fleet, run }: DriftRun,
  { at, customers }: { readonly at: string; readonly customers: number },
): Promise<void> {
  const workflowId = workflowIds.retrainFleet(fleet, run);
  try {
    await executeChild(retrainFleet, {
      workflowId,
      args: [{ spec: sizedFor(spec, customers), at, drift: true, ...(pace && { pace }) }],
      parentClosePolicy: "REQUEST_CANCEL",
      workflowIdReusePolicy: "ALLOW_DUPLICATE_FAILED_ONLY",
      typedSearchAttributes: searchAttributes({ fleet, cycle: run }),
      staticSummary: `retrain ${customers} of ${fleet} that have drifted`,
    });
  } catch (error) {
    // By another run for the same minute, or by an earlier one of this: its cycle is the same.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    log.info("cycle found, left as it is", { fleet, cycle: run, workflowId });
  }
}

/** A sharded job has no more instances than customers; that makes no other model. */
function sizedFor(spec: FleetSpec, customers: number): FleetSpec {
  const { training } = spec;
  if (training.kind !== "sharded" || training.instances <= customers) return spec;
  return { ...spec, training: { ...training, instances: customers } };
}

async function closeFailed(run: DriftRun, error: unknown): Promise<never> {
  const failure = failureOf(error);
  const reason = isCancellation(error) ? "cancelled on request" : failure.message;
  try {
    await ledger.closeDriftRun({ ...run, state: "failed", reason });
  } catch (closing) {
    log.error("drift run not closed", { ...run, ...failureOf(closing) });
  }
  throw isCancellation(error) ? error : workflowFailure(failure, error);
}
