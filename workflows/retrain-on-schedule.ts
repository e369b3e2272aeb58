/** What a schedule starts: the cycle of the time it was due, under the id that every run of that cycle has. */
import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import { executeChild, isCancellation, log } from "@temporalio/workflow";
import { cycleTime, nameCycle, tagCycle } from "./cycle-time.js";
import { failureOf, workflowFailure } from "./failures.js";
import { type RetrainFleetInput, type ScheduledOutcome, workflowIds } from "./messages.js";
import { retrainFleet } from "./retrain-fleet.js";
import { searchAttributes } from "./search-attributes.js";

/**
 * Temporal appends a time to the ids of what it starts, so a cycle started by a schedule, by a backfill and by
 * `modelfleet run` would have three. As a child it has one: it is attached to while it runs, run again when it
 * failed, and left alone when it has completed. It lasts as long as its cycle, so that the schedule's overlap
 * policy is about cycles; whoever cancels it cancels the cycle.
 */
export async function retrainOnSchedule(input: RetrainFleetInput): Promise<ScheduledOutcome> {
  const cycle = nameCycle(input);
  tagCycle(cycle);
  const { fleet, cycle: id } = cycle;
  const workflowId = workflowIds.retrainFleet(fleet, id);
  try {
    const report = await executeChild(retrainFleet, {
      workflowId,
      args: [{ ...input, at: cycleTime(input.at) }],
      parentClosePolicy: "REQUEST_CANCEL",
      workflowIdReusePolicy:
        input.force === true ? "ALLOW_DUPLICATE" : "ALLOW_DUPLICATE_FAILED_ONLY",
      typedSearchAttributes: searchAttributes({ fleet, cycle: id }),
      staticSummary: `retrain ${fleet} for ${id}`,
    });
    return { kind: "ran", report };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      log.info("cycle found, left as it is", { fleet, cycle: id, workflowId });
      return { kind: "found", fleet, cycle: id };
    }
    throw isCancellation(error) ? error : workflowFailure(failureOf(error), error);
  }
}
