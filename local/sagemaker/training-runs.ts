/** The training jobs that have not ended: started, stopped, and taken up again after a restart. */
import type { ResourceKey } from "./arns.js";
import { imageKind } from "./container-image.js";
import { instanceLost, internalServerError } from "./job-failure.js";
import type { Metric } from "./metrics.js";
import { runNoopJob } from "./noop-training.js";
import { persistently } from "./persistently.js";
import type { Store } from "./store.js";
import { liveTrainingJob } from "./training-life.js";
import type { EndRequest, TrainingLifeParts } from "./training-life-parts.js";
import { createTrainingProgress } from "./training-progress.js";
import type { TrainingProgress } from "./training-progress.js";
import type { TrainingJob } from "./training-status.js";
import type { WarmPools } from "./warm-pools.js";

export interface TrainingRuns {
  start(key: ResourceKey<"training-job">, job: TrainingJob): void;
  /** After a creation whose outcome nobody knows, since the database went away: starts what it left. */
  recover(key: ResourceKey<"training-job">): void;
  /** False when no such job is under way. */
  stop(key: ResourceKey<"training-job">): Promise<boolean>;
  /**
   * Tells every value of every metric of a job that is under way. Resolves when the job has ended, at
   * once for one that is not under way; how it ended stands in the store.
   */
  watch(key: ResourceKey<"training-job">, onMetric: (metric: Metric) => void): Promise<void>;
  /** After a start of the server: what waited goes on waiting, what ran has lost its instance. */
  resume(): Promise<void>;
  /** Ends what runs without a word in the store; the next start tells what became of it. */
  close(): Promise<void>;
}

interface Run {
  readonly progress: TrainingProgress;
  readonly ending: AbortController;
  readonly over: Promise<void>;
  readonly listeners: Set<(metric: Metric) => void>;
}

export interface TrainingRunParts extends TrainingLifeParts {
  readonly store: Store;
  readonly pools: Pick<WarmPools, "after">;
}

export function createTrainingRuns(parts: TrainingRunParts): TrainingRuns {
  const { store } = parts;
  /** Only jobs that have not ended: the past is in the store. */
  const runs = new Map<string, Run>();

  const start: TrainingRuns["start"] = (key, job) => {
    const id = idOf(key);
    if (runs.has(id)) return;
    const progress = createTrainingProgress(parts, key, job);
    const ending = new AbortController();
    const listeners: Run["listeners"] = new Set();
    const onMetric = (metric: Metric) => {
      for (const listener of listeners) listener(metric);
    };
    const isNoop = imageKind(job.AlgorithmSpecification?.TrainingImage ?? "") === "noop";
    const life = isNoop
      ? runNoopJob(parts, progress)
      : liveTrainingJob(parts, { key, progress, ending, onMetric });
    const over = life
      .catch((error: unknown) => {
        parts.onUnexpected(error, key);
        return progress.end({ status: "Failed", reason: internalServerError });
      })
      .catch((error: unknown) => parts.onUnexpected(error, key))
      .finally(() => runs.delete(id));
    runs.set(id, { progress, ending, over, listeners });
  };

  const startIfWaiting = async (key: ResourceKey<"training-job">): Promise<void> => {
    const row = await persistently(() => store.find(key));
    if (row?.document.SecondaryStatus === "Pending") start(key, row.document);
  };

  return {
    start,
    recover: (key) =>
      void startIfWaiting(key).catch((error: unknown) => parts.onUnexpected(error, key)),

    async stop(key) {
      const run = runs.get(idOf(key));
      if (run === undefined) return false;
      const told = run.progress.stopping();
      run.ending.abort("stop" satisfies EndRequest);
      await told;
      return true;
    },

    async watch(key, onMetric) {
      const run = runs.get(idOf(key));
      run?.listeners.add(onMetric);
      await run?.over;
    },

    async resume() {
      for (const { key, document } of await store.inStatus("training-job", ["Stopping"]))
        await createTrainingProgress(parts, key, document).end({
          status: "Stopped",
          because: "Stopped",
          metrics: [],
        });
      for (const { key, document } of await store.inStatus("training-job", ["InProgress"]))
        if (document.SecondaryStatus === "Pending") start(key, document);
        else
          await createTrainingProgress(parts, key, document).end({
            status: "Failed",
            reason: instanceLost,
          });
    },

    async close() {
      for (const run of runs.values()) {
        run.progress.abandon();
        run.ending.abort("shutdown" satisfies EndRequest);
      }
      await Promise.all([...runs.values()].map(({ over }) => over));
    },
  };
}

const idOf = ({ account, region, name }: ResourceKey): string => `${account}/${region}/${name}`;
