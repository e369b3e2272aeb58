/** The processing or transform jobs that have not ended: started, stopped, taken up again after a restart. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { ResourceKey } from "./arns.js";
import type { ServerConfig } from "./config.schema.js";
import { openLog } from "./container-log.js";
import type { Log } from "./container-log.js";
import type { Documents } from "./documents.js";
import type { FaultInjector } from "./faults.js";
import { instanceLost, internalServerError, JobFailure } from "./job-failure.js";
import { createJobProgress } from "./job-progress.js";
import type { JobEnding, JobKind, JobProgress, JobWords } from "./job-progress.js";
import { persistently } from "./persistently.js";
import { removeFolder } from "./remove-folder.js";
import type { Slots } from "./slots.js";
import type { Store } from "./store.js";

export interface JobRunParts {
  readonly config: ServerConfig;
  readonly store: Store;
  readonly faults: FaultInjector;
  /** Jobs that hold an instance: they download, run and upload. */
  readonly instances: Slots;
  readonly onUnexpected: (error: unknown, key: ResourceKey) => void;
}

/** What one run of a job is given. */
export interface JobRun<K extends JobKind> {
  readonly key: ResourceKey<K>;
  readonly job: Documents[K];
  readonly log: Log;
  /** The job's own folder, empty; removed when the job has ended. */
  readonly folder: string;
  readonly progress: Pick<JobProgress<K>, "tellAtEnd">;
  /** Aborted when the job is to end before its work does; a life may do so itself. */
  readonly ending: AbortController;
}

export interface JobFamily<K extends JobKind> {
  readonly kind: K;
  readonly words: JobWords<K>;
  /** From then on the job holds instances, which are lost when the server dies. */
  readonly hasStarted: (job: Documents[K]) => boolean;
  /** Does the work; throws JobFailure with the FailureReason. */
  readonly live: (run: JobRun<K>) => Promise<void>;
}

export interface JobRuns<K extends JobKind> {
  start(key: ResourceKey<K>, job: Documents[K]): void;
  /** After a creation whose outcome nobody knows, since the database went away: starts what it left. */
  recover(key: ResourceKey<K>): void;
  /** False when no such job is under way. */
  stop(key: ResourceKey<K>): Promise<boolean>;
  /** After a start of the server: what waited goes on waiting, what ran has lost its instance. */
  resume(): Promise<void>;
  /** Ends what runs without a word in the store; the next start tells what became of it. */
  close(): Promise<void>;
}

interface Run<K extends JobKind> {
  readonly progress: JobProgress<K>;
  readonly ending: AbortController;
  readonly over: Promise<void>;
}

export function createJobRuns<K extends JobKind>(
  family: JobFamily<K>,
  parts: JobRunParts,
): JobRuns<K> {
  const { store, onUnexpected } = parts;
  const { kind, words } = family;
  /** Only jobs that have not ended: the past is in the store. */
  const runs = new Map<string, Run<K>>();

  const start: JobRuns<K>["start"] = (key, job) => {
    const id = idOf(key);
    if (runs.has(id)) return;
    const progress = createJobProgress(store, key, words);
    const ending = new AbortController();
    const over = runJob(family, parts, { key, job, progress, ending })
      .catch((error: unknown) => {
        onUnexpected(error, key);
        return progress.end({ status: "Failed", reason: internalServerError });
      })
      .catch((error: unknown) => onUnexpected(error, key))
      .finally(() => runs.delete(id));
    runs.set(id, { progress, ending, over });
  };

  const startIfWaiting = async (key: ResourceKey<K>): Promise<void> => {
    const row = await persistently(() => store.find(key));
    if (row?.status === "InProgress" && !family.hasStarted(row.document)) start(key, row.document);
  };

  return {
    start,
    recover: (key) => void startIfWaiting(key).catch((error: unknown) => onUnexpected(error, key)),

    async stop(key) {
      const run = runs.get(idOf(key));
      if (run === undefined) return false;
      const told = run.progress.stopping();
      run.ending.abort("stop");
      await told;
      return true;
    },

    async resume() {
      for (const { key } of await store.inStatus(kind, ["Stopping"]))
        await createJobProgress(store, key, words).end({ status: "Stopped" });
      for (const { key, document } of await store.inStatus(kind, ["InProgress"]))
        if (!family.hasStarted(document)) start(key, document);
        else
          await createJobProgress(store, key, words).end({
            status: "Failed",
            reason: instanceLost,
          });
    },

    async close() {
      for (const run of runs.values()) {
        run.progress.abandon();
        run.ending.abort("shutdown");
      }
      await Promise.all([...runs.values()].map(({ over }) => over));
    },
  };
}

type Beginning<K extends JobKind> = Omit<JobRun<K>, "log" | "folder" | "progress"> & {
  readonly progress: JobProgress<K>;
};

/** Rejects only when the store refuses what it is told: every other trouble becomes the job's status. */
async function runJob<K extends JobKind>(
  family: JobFamily<K>,
  parts: JobRunParts,
  beginning: Beginning<K>,
): Promise<void> {
  const { key, progress } = beginning;
  const { signal } = beginning.ending;
  const folder = placeOf(parts.config, "jobs", key);
  const log = openLog(`${placeOf(parts.config, "logs", key)}.log`, { append: false });
  let release: (() => void) | undefined;
  try {
    release = await parts.instances.acquire(signal);
    const { slowStartSeconds = 0 } = parts.faults.current();
    if (slowStartSeconds > 0) await pause(slowStartSeconds * 1000, undefined, { signal });
    await progress.started();
    const injected = parts.faults.failureOf(key.name);
    if (injected !== undefined) throw new JobFailure(injected);
    await removeFolder(folder);
    await family.live({ ...beginning, log, folder });
    await progress.end({ status: signal.aborted ? "Stopped" : "Completed" });
  } catch (error) {
    const ending = endingOf(error, signal);
    if (ending.status === "Failed") log.write(ending.reason);
    if (!(error instanceof JobFailure) && !signal.aborted) parts.onUnexpected(error, key);
    await progress.end(ending);
  } finally {
    release?.();
    await log.close();
    await removeFolder(folder);
  }
}

/** What somebody asked for comes before what the work made of it. */
function endingOf(error: unknown, signal: AbortSignal): JobEnding {
  if (signal.aborted) return { status: "Stopped" };
  const reason = error instanceof JobFailure ? error.message : internalServerError;
  return { status: "Failed", reason };
}

/** Apart from the training jobs' folders, whose names a processing job may also have. */
function placeOf(
  { stateDir }: ServerConfig,
  what: "jobs" | "logs",
  { kind, account, region, name }: ResourceKey<JobKind>,
): string {
  return join(stateDir, what, `${kind}s`, account, region, name);
}

const idOf = ({ account, region, name }: ResourceKey): string => `${account}/${region}/${name}`;
