/** Writes the course of one running job to the store, one step after the other. */
import type { ResourceKey } from "./arns.js";
import { persistently } from "./persistently.js";
import type { Store } from "./store.js";
import { enter, failureReason, wholeSeconds } from "./training-status.js";
import type { SecondaryStatus, TrainingJob } from "./training-status.js";

/** How a job ended, with what there is to say about it. */
export type Ending =
  | { readonly status: "Completed"; readonly metrics: TrainingJob["FinalMetricDataList"] }
  | {
      readonly status: "Stopped";
      readonly because: "Stopped" | "MaxRuntimeExceeded";
      readonly metrics: TrainingJob["FinalMetricDataList"];
    }
  | { readonly status: "Failed"; readonly reason: string };

export type TrainingProgress = ReturnType<typeof createTrainingProgress>;

export function createTrainingProgress(
  store: Store,
  key: ResourceKey<"training-job">,
  initial: TrainingJob,
) {
  let job = initial;
  let written: Promise<void> = Promise.resolve();
  let abandoned = false;

  const write = (change: Partial<TrainingJob>): Promise<void> => {
    if (abandoned) return written;
    job = { ...job, ...change };
    const { LastModifiedTime: modifiedAt = Date.now() / 1000, TrainingJobStatus: status } = job;
    written = written.then(async () => {
      if (abandoned) return;
      await persistently(() => store.update(key, { document: change, status, modifiedAt }));
    });
    return written;
  };

  return {
    job: () => job,

    /** A stopping job no longer tells its steps. */
    enter(step: SecondaryStatus, also: Partial<TrainingJob> = {}): Promise<void> {
      if (job.TrainingJobStatus !== "InProgress") return written;
      return write({ ...enter(job, step, now()), ...also });
    },

    stopping(): Promise<void> {
      if (job.TrainingJobStatus !== "InProgress") return written;
      return write({ ...enter(job, "Stopping", now()), TrainingJobStatus: "Stopping" });
    },

    end(ending: Ending): Promise<void> {
      const at = now();
      const step = ending.status === "Stopped" ? ending.because : ending.status;
      return write({
        ...enter(job, step, at),
        TrainingJobStatus: ending.status,
        TrainingEndTime: at,
        ...timesUntil(at, job.TrainingStartTime),
        ...(ending.status === "Failed"
          ? { FailureReason: failureReason(ending.reason) }
          : { FinalMetricDataList: ending.metrics ?? [] }),
      });
    },

    /** Nothing more is written: the server ends, and its successor will tell the job's fate. */
    abandon(): void {
      abandoned = true;
    },
  };
}

/** Both count from the moment the instances run; without a warm pool or spot they are the same. */
function timesUntil(at: number, from: number | undefined): Partial<TrainingJob> {
  if (from === undefined) return {};
  const seconds = wholeSeconds(from, at);
  return { TrainingTimeInSeconds: seconds, BillableTimeInSeconds: seconds };
}

const now = () => Date.now() / 1000;
