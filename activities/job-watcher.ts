/** Watches SageMaker's training jobs for everybody who waits for one, and signals the owners. */
import { setTimeout as delay } from "node:timers/promises";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { cancellationSignal, heartbeat, log } from "@temporalio/activity";
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { jobEnded, type JobEnded, type WatchJobsInput } from "../workflows/messages.js";
import { describeJob } from "./describe-job.js";
import { inParallel } from "./in-parallel.js";
import { dismissJob } from "./ledger/jobs.js";
import {
  awaitedJobs,
  leaveWatch,
  recordNotified,
  showWatcher,
  type AwaitedJob,
} from "./ledger/watched-jobs.js";
import { listEndedJobs, type ListedUntil } from "./list-ended-jobs.js";
import { translateError } from "./translate-error.js";

export interface JobWatcherDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly temporal: Client;
  /** Seconds between rounds. */
  readonly watchSeconds: number;
}

/** Rounds without an awaited job after which the watcher leaves; the next job wakes it again. */
const IDLE_ROUNDS = 20;
const SIGNALS_AT_A_TIME = 16;
/** Then the activity ends, and its workflow starts it anew: a worker that stays too long is never replaced. */
const SHIFT_SECONDS = 60 * 60;
/** An admission this old belongs to an activity that died between the ledger and SageMaker. Seconds. */
const DEAD_ADMISSION = 10 * 60;

export const createJobWatcherActivities = (dependencies: JobWatcherDependencies) => ({
  /**
   * Runs long and heartbeats every few seconds. Signals carry the status only; whoever needs the reason of a
   * failure calls findEndedJob. Returns idle when no job has been awaited for a while: the workflow then
   * completes, and startTrainingJob wakes it again; and not idle after an hour.
   */
  async watchJobs(place: WatchJobsInput): Promise<{ idle: boolean }> {
    const signal = cancellationSignal();
    const pulse = setInterval(() => heartbeat(), 2000);
    const endOfShift = Date.now() + SHIFT_SECONDS * 1000;
    try {
      let listed: ListedUntil | undefined;
      for (let idle = 0; idle < IDLE_ROUNDS || !(await leaveWatch(dependencies.ledger, place));) {
        signal.throwIfAborted();
        if (Date.now() > endOfShift) return { idle: false };
        await showWatcher(dependencies.ledger, place);
        const awaited = await awaitedJobs(dependencies.ledger, place);
        idle = awaited.length === 0 ? idle + 1 : 0;
        // Nobody waits: nothing that ends meanwhile concerns anybody, so the next list starts afresh.
        listed = awaited.length === 0 ? undefined : await round(dependencies, awaited, listed);
        await delay(dependencies.watchSeconds * 1000, undefined, { signal });
      }
      return { idle: true };
    } finally {
      clearInterval(pulse);
    }
  },
});
export type JobWatcherActivities = ReturnType<typeof createJobWatcherActivities>;

/** A round that is throttled is made up for by the next: the watermark moves only with what was read. */
async function round(
  dependencies: JobWatcherDependencies,
  awaited: readonly AwaitedJob[],
  listed: ListedUntil | undefined,
): Promise<ListedUntil | undefined> {
  try {
    const { ended, until } = await listEndedJobs(dependencies.sagemaker, awaited, listed);
    await notify(dependencies, ended);
    await reclaim(dependencies, awaited);
    return until;
  } catch (error) {
    const failure = translateError(error);
    const type = failure instanceof Error && "type" in failure ? failure.type : undefined;
    if (type !== FAILURES.throttled) throw failure;
    log.info("job watcher throttled");
    return listed;
  }
}

/** Signals first, then marks: who is told twice does not mind, who is never told waits for the guard. */
async function notify(
  { ledger, temporal }: JobWatcherDependencies,
  ended: readonly { readonly job: AwaitedJob; readonly end: JobEnded }[],
): Promise<void> {
  if (ended.length === 0) return;
  await inParallel(SIGNALS_AT_A_TIME, ended, async ({ job, end }) => {
    try {
      await temporal.workflow.getHandle(job.workflowId).signal(jobEnded, end);
    } catch (error) {
      // It was cancelled or terminated, and nobody waits for its job any more.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  });
  await recordNotified(
    ledger,
    ended.map(({ end }) => end),
  );
  log.info("training jobs ended", { jobs: ended.length });
}

/** Gives back places that dead admissions hold; one whose job was created after all is only looked at again. */
async function reclaim(
  { ledger, sagemaker }: JobWatcherDependencies,
  awaited: readonly AwaitedJob[],
): Promise<void> {
  const dead = awaited.find(
    (job) => job.admittedSeconds !== null && job.admittedSeconds > DEAD_ADMISSION,
  );
  if (dead === undefined) return;
  if ((await describeJob(sagemaker, dead.jobName)) === null) await dismissJob(ledger, dead.jobName);
  else
    await ledger.query(
      "update jobs set state = 'created', created_at = admitted_at where job_name = $1",
      [dead.jobName],
    );
}
