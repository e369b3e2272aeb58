/** Keeps one job watcher at work for an account and region, for as long as anybody waits for a job. */
import { continueAsNew, setHandler, workflowInfo } from "@temporalio/workflow";
import { watcher } from "./activities.js";
import { wake, type WatchJobsInput } from "./messages.js";

/**
 * Ends when nothing is awaited. A `wake` that comes while it is about to end keeps it going: the server refuses
 * the end of a workflow that has not read all its signals.
 */
export async function watchJobs(input: WatchJobsInput): Promise<void> {
  const call = { came: false };
  setHandler(wake, () => {
    call.came = true;
  });
  for (;;) {
    call.came = false;
    const { idle } = await watcher.watchJobs(input);
    if (idle && !call.came) return;
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof watchJobs>(input);
  }
}
