/** Writes the course of one running job to the store, one step after the other. */
import type { ResourceKey } from "./arns.js";
import { persistently } from "./persistently.js";
import type { Store } from "./store.js";
import { enter, failureReason, secondsIn, wholeSeconds } from "./training-status.js";
import type { SecondaryStatus, TrainingJob } from "./training-status.js";
import type { WarmPools } from "./warm-pools.js";

/** How a job ended, with what there is to say about it. */
export type Ending =
  | { readonly status: "Completed"; readonly metrics: TrainingJob["FinalMetricDataList"] }
  | {
      readonly status: "Stopped";
      readonly because: "Stopped" | "MaxRuntimeExceeded" | "MaxWaitTimeExceeded";
      readonly metrics: TrainingJob["FinalMetricDataList"];
    }
  | { readonly status: "Failed"; readonly reason: string };

export type TrainingProgress = ReturnType<typeof createTrainingProgress>;

export function createTrainingProgress(
  { store, pools }: { store: Store; pools: Pick<WarmPools, "after"> },
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

    async end(ending: Ending): Promise<void> {
      if (abandoned) return;
      const at = now();
      const step = ending.status === "Stopped" ? ending.because : ending.status;
      const change: Partial<TrainingJob> = {
        ...enter(job, step, at),
        TrainingJobStatus: ending.status,
        TrainingEndTime: at,
        ...timesUntil(at, job),
        ...(ending.status === "Failed"
          ? { FailureReason: failureReason(ending.reason) }
          : { FinalMetricDataList: ending.metrics ?? [] }),
      };
      const pool = pools.after(key, { ...job, ...change });
      await write({ ...change, ...(pool && { WarmPoolStatus: pool.status }) });
      pool?.open();
    },

    /** Nothing more is written: the server ends, and its successor will tell the job's fate. */
    abandon(): void {
      abandoned = true;
    },
  };
}

/** What spot capacity costs of an ordinary instance: AWS promises discounts of up to 90 %, 70 % are common. */
const spotPriceShare = 0.3;

/** Both count from the moment the instances run; spot capacity is billed by what it costs, and not while it is away. */
function timesUntil(at: number, job: TrainingJob): Partial<TrainingJob> {
  if (job.TrainingStartTime === undefined) return {};
  const seconds = wholeSeconds(job.TrainingStartTime, at);
  const running = secondsIn(job, ["Downloading", "Training", "Uploading", "Stopping"], at);
  const billable =
    job.EnableManagedSpotTraining === true ? wholeSeconds(0, running * spotPriceShare) : seconds;
  return { TrainingTimeInSeconds: seconds, BillableTimeInSeconds: billable };
}

const now = () => Date.now() / 1000;
