/** Puts a created job under the watcher's eyes, and wakes the watcher when there is none. */
import type { Client } from "@temporalio/client";
import type pg from "pg";
import { TASK_QUEUES, wake, workflowIds, WORKFLOWS } from "../workflows/messages.js";
import { recordCreated, type JobsPlace } from "./ledger/jobs.js";

export interface WakeWatcherDependencies {
  readonly ledger: pg.Pool;
  readonly temporal: Client;
  readonly watchSeconds: number;
}

/** A watcher that was not seen for this long is gone, or so far behind that another call does no harm. */
const staleSeconds = (watchSeconds: number): number => Math.max(30, 4 * watchSeconds);

export async function awaitJob(
  { ledger, temporal, watchSeconds }: WakeWatcherDependencies,
  { account, region, jobName }: JobsPlace & { readonly jobName: string },
): Promise<void> {
  const { unwatched } = await recordCreated(ledger, {
    account,
    region,
    jobName,
    staleSeconds: staleSeconds(watchSeconds),
  });
  if (!unwatched) return;
  try {
    // With start, since the watcher may be gone; a signal, since it may be about to go.
    await temporal.workflow.signalWithStart(WORKFLOWS.watchJobs, {
      workflowId: workflowIds.watchJobs(account, region),
      taskQueue: TASK_QUEUES.control,
      args: [{ account, region }],
      signal: wake,
      signalArgs: [],
      staticSummary: `Training jobs of account ${account} in ${region}`,
    });
  } catch (error) {
    // This caller was the one to wake it: the next must not take it for done.
    await ledger.query("delete from watchers where account = $1 and region = $2", [
      account,
      region,
    ]);
    throw error;
  }
}
