/** Starts a child whose id an earlier run of the same cycle may still hold. */
import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import { sleep } from "@temporalio/workflow";
import { FAILURES } from "../fleet/errors.js";
import { LIMITS } from "../fleet/limits.js";
import { workflowFailure } from "./failures.js";

/**
 * The earlier run was cancelled or terminated, and its children, which stop their jobs first, are ending. Once
 * they have ended the work is done again, and finds by its names in AWS and in the ledger what is there.
 */
export async function onceFree<T>(workflowId: string, start: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < LIMITS.freeIdAttempts; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const seconds = Math.min(0.1 * 2 ** attempt, 30);
    await sleep(seconds * 1000, { summary: `until ${workflowId} has ended` });
  }
  throw workflowFailure({
    type: FAILURES.unexpected,
    message: `${workflowId} still runs, from an earlier run of the cycle: cancel it, then run the cycle again`,
  });
}
