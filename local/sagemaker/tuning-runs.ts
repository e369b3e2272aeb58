/** The tuning jobs that have not ended: started, stopped, and taken up again after a restart. */
import type { ResourceKey } from "./arns.js";
import { persistently } from "./persistently.js";
import { liveTuningJob } from "./tuning-life.js";
import type { TuningEndRequest, TuningLifeParts } from "./tuning-life.js";

type TuningKey = ResourceKey<"hyper-parameter-tuning-job">;

export interface TuningRuns {
  start(key: TuningKey): void;
  /** After a creation whose outcome nobody knows, since the database went away: starts what it left. */
  recover(key: TuningKey): void;
  stop(key: TuningKey): void;
  /** After a start of the server, and after its training jobs were taken up again: the searches go on. */
  resume(): Promise<void>;
  /** Ends the searches without a word in the store. */
  close(): Promise<void>;
}

export function createTuningRuns(parts: TuningLifeParts): TuningRuns {
  const runs = new Map<string, { ending: AbortController; over: Promise<void> }>();
  const closing = new AbortController();
  const { store, onUnexpected } = parts;

  const start: TuningRuns["start"] = (key) => {
    const id = idOf(key);
    if (runs.has(id)) return;
    const ending = new AbortController();
    const over = liveTuningJob(parts, { key, ending, closing: closing.signal })
      .catch((error: unknown) => onUnexpected(error, key))
      .finally(() => runs.delete(id));
    runs.set(id, { ending, over });
  };
  const stop: TuningRuns["stop"] = (key) =>
    runs.get(idOf(key))?.ending.abort("stop" satisfies TuningEndRequest);
  const startIfThere = async (key: TuningKey): Promise<void> => {
    const row = await persistently(() => store.find(key));
    if (row?.status === "InProgress") start(key);
  };

  return {
    start,
    stop,
    recover: (key) => void startIfThere(key).catch((error: unknown) => onUnexpected(error, key)),

    async resume() {
      const kind = "hyper-parameter-tuning-job";
      for (const { key, status } of await store.inStatus(kind, ["InProgress", "Stopping"])) {
        start(key);
        if (status === "Stopping") stop(key);
      }
    },

    async close() {
      closing.abort();
      for (const { ending } of runs.values()) ending.abort("shutdown" satisfies TuningEndRequest);
      await Promise.all([...runs.values()].map(({ over }) => over));
    },
  };
}

const idOf = ({ account, region, name }: ResourceKey): string => `${account}/${region}/${name}`;
