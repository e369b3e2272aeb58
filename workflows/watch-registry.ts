/** Keeps one watcher of the model registry at work for an account and region, while there is anything to watch. */
import { continueAsNew, setHandler, workflowInfo } from "@temporalio/workflow";
import { watcher } from "./activities.js";
import { wake, type WatchRegistryInput } from "./messages.js";

/**
 * Ends when no version waits, is being published or serves. A `wake` that comes while it is about to end keeps it
 * going: the server refuses the end of a workflow that has not read all its signals.
 */
export async function watchRegistry(input: WatchRegistryInput): Promise<void> {
  const call = { came: false };
  setHandler(wake, () => {
    call.came = true;
  });
  for (;;) {
    call.came = false;
    const { idle } = await watcher.watchRegistry(input);
    if (idle && !call.came) return;
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof watchRegistry>(input);
  }
}
