/** Watches SageMaker's jobs of every kind for everybody who waits for one, and signals the owners. */
import { setTimeout as delay } from "node:timers/promises";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { cancellationSignal, heartbeat, log } from "@temporalio/activity";
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import type pg from "pg";
import { jobEnded, type JobEnded, type WatchJobsInput } from "../workflows/messages.js";
import { messageOf } from "./application-failure.js";
import { describeProcessingJob, describeTransformJob } from "./describe-cycle-job.js";
import { describeJob } from "./describe-job.js";
import { describeTuningJob } from "./describe-tuning-job.js";
import { inParallel } from "./in-parallel.js";
import { settleCosts } from "./job-cost.js";
import { dismissJob, type JobKind } from "./ledger/jobs.js";
import { markTrialsRead, unreadSearches } from "./ledger/tuning-results.js";
import {
  awaitedJobs,
  leaveWatch,
  recordNotified,
  showWatcher,
  type AwaitedJob,
} from "./ledger/watched-jobs.js";
import { listEndedJobs, type EndedJob, type ListedUntil } from "./list-ended-jobs.js";
import { unlessThrottled } from "./unless-throttled.js";
import { lookAtTuningJob, readTrials } from "./tuning-results.js";

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
/** Ended searches whose training jobs are read in one round, for the history: signals go first. */
const SEARCHES_READ_A_ROUND = 5;
/** Then the activity ends, and its workflow starts it anew: a worker that stays too long is never replaced. */
const SHIFT_SECONDS = 60 * 60;
/** An admission this old belongs to an activity that died between the ledger and SageMaker. Seconds. */
const DEAD_ADMISSION = 10 * 60;

export const createJobWatcherActivities = (dependencies: JobWatcherDependencies) => ({
  /**
   * Runs long and heartbeats every few seconds. Signals carry the status only; whoever needs the
   * reason of a failure looks at the job. Those of tuning jobs carry the best training job too. Returns idle when no job has been awaited for a while: the workflow then
   * completes, and startTrainingJob wakes it again; and not idle after an hour.
   */
  async watchJobs(place: WatchJobsInput): Promise<{ idle: boolean }> {
    const signal = cancellationSignal();
    const pulse = setInterval(() => heartbeat(), 2000);
    const endOfShift = Date.now() + SHIFT_SECONDS * 1000;
    try {
      let listed: Listed = {};
      for (let idle = 0; idle < IDLE_ROUNDS || !(await leaveWatch(dependencies.ledger, place));) {
        signal.throwIfAborted();
        if (Date.now() > endOfShift) return { idle: false };
        await showWatcher(dependencies.ledger, place);
        const awaited = await awaitedJobs(dependencies.ledger, place);
        idle = awaited.length === 0 ? idle + 1 : 0;
        listed = await round(dependencies, awaited, listed);
        await readSearches(dependencies, place);
        await readCosts(dependencies, place);
        await delay(dependencies.watchSeconds * 1000, undefined, { signal });
      }
      return { idle: true };
    } finally {
      clearInterval(pulse);
    }
  },
});
export type JobWatcherActivities = ReturnType<typeof createJobWatcherActivities>;

/** By kind: nothing of a kind that nobody waits for, so that its next list starts afresh. */
type Listed = Partial<Readonly<Record<JobKind, ListedUntil>>>;

async function round(
  dependencies: JobWatcherDependencies,
  awaited: readonly AwaitedJob[],
  listed: Listed,
): Promise<Listed> {
  const next: Partial<Record<JobKind, ListedUntil>> = {};
  for (const kind of ["training", "tuning", "processing", "transform"] as const) {
    const jobs = awaited.filter((job) => job.kind === kind);
    if (jobs.length === 0) continue;
    const until = await unlessThrottled("job watcher", () =>
      tellEnded(dependencies, kind, jobs, listed[kind]),
    );
    // A round that was throttled is made up for by the next: the watermark moves only with what was read.
    const reached = until ?? listed[kind];
    if (reached !== undefined) next[kind] = reached;
  }
  await unlessThrottled("job watcher", () => reclaim(dependencies, awaited));
  return next;
}

/** Returns up to when the list has been read and everybody in it told. */
async function tellEnded(
  dependencies: JobWatcherDependencies,
  kind: JobKind,
  jobs: readonly AwaitedJob[],
  listed: ListedUntil | undefined,
): Promise<ListedUntil | undefined> {
  const { ended, until } = await listEndedJobs(dependencies.sagemaker, kind, jobs, listed);
  let told = 0;
  for (let first = 0; first < ended.length; first += SIGNALS_AT_A_TIME)
    told += await notify(dependencies, ended.slice(first, first + SIGNALS_AT_A_TIME));
  if (told > 0) log.info("jobs ended", { kind, jobs: told });
  return told === ended.length ? until : listed;
}

/** Signals first, then marks: who is told twice does not mind, who is never told waits for the guard. */
async function notify(
  dependencies: JobWatcherDependencies,
  ended: readonly EndedJob[],
): Promise<number> {
  const { ledger, temporal } = dependencies;
  const told: JobEnded[] = [];
  const tell = async ({ job, end: listed }: EndedJob): Promise<void> => {
    // Null: what the list shows as ended, Describe does not yet.
    const end = job.kind === "tuning" ? await lookAtTuningJob(dependencies, job.jobName) : listed;
    if (end === null) return;
    try {
      await temporal.workflow.getHandle(job.workflowId).signal(jobEnded, end);
    } catch (error) {
      // It was cancelled or terminated, and nobody waits for its job any more.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
    told.push(end);
  };
  try {
    await inParallel(SIGNALS_AT_A_TIME, ended, tell);
  } finally {
    await recordNotified(ledger, told);
  }
  return told.length;
}

/** What the history shows of ended searches. It may wait, and it holds nobody up. */
async function readSearches(
  dependencies: JobWatcherDependencies,
  place: WatchJobsInput,
): Promise<void> {
  const { ledger } = dependencies;
  for (const name of await unreadSearches(ledger, { ...place, limit: SEARCHES_READ_A_ROUND }))
    try {
      await unlessThrottled("job watcher", () => readTrials(dependencies, name));
    } catch (error) {
      log.warn("training jobs of a search not read", { tuningJobName: name, error: String(error) });
      await markTrialsRead(ledger, name);
    }
}

/** Of jobs that nobody asks about. Whoever waits for a job does not wait for that, nor for a fault of it. */
async function readCosts(
  dependencies: JobWatcherDependencies,
  place: WatchJobsInput,
): Promise<void> {
  try {
    await unlessThrottled("job watcher", () => settleCosts(dependencies, place));
  } catch (error) {
    log.warn("costs of jobs not read", { error: messageOf(error) });
  }
}

const describers: Readonly<
  Record<JobKind, (sagemaker: SageMakerClient, jobName: string) => Promise<object | null>>
> = {
  training: describeJob,
  tuning: describeTuningJob,
  processing: describeProcessingJob,
  transform: describeTransformJob,
};

/** Gives back places that dead admissions hold; one whose job was created after all is only looked at again. */
async function reclaim(
  { ledger, sagemaker }: JobWatcherDependencies,
  awaited: readonly AwaitedJob[],
): Promise<void> {
  const dead = awaited.find(
    (job) => job.admittedSeconds !== null && job.admittedSeconds > DEAD_ADMISSION,
  );
  if (dead === undefined) return;
  if ((await describers[dead.kind](sagemaker, dead.jobName)) === null)
    await dismissJob(ledger, dead.jobName);
  else
    await ledger.query(
      "update jobs set state = 'created', created_at = admitted_at where job_name = $1",
      [dead.jobName],
    );
}
