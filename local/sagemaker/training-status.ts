/** The course of a training job as DescribeTrainingJob tells it: statuses, transitions, times. */
import type { Documents } from "./documents.js";

export type TrainingJob = Documents["training-job"];
type Transitions = NonNullable<TrainingJob["SecondaryStatusTransitions"]>;
export type SecondaryStatus = TrainingJob["SecondaryStatus"];

/** What the API says about each step; its text is no interface. */
const messages: Partial<Record<SecondaryStatus, string>> = {
  Pending: "Waiting for a free instance",
  Starting: "Starting the training job",
  Restarting: "Restarting the training job after an internal error",
  Downloading: "Downloading input data",
  Training: "Training image download completed. Training in progress.",
  Uploading: "Uploading generated training model",
  Interrupted: "Training job interrupted: spot capacity was taken back",
  Stopping: "Stopping the training job",
  Stopped: "Training job stopped",
  MaxRuntimeExceeded: "Training job runtime exceeded MaxRuntimeInSeconds provided",
  MaxWaitTimeExceeded: "Training job exceeded MaxWaitTimeInSeconds provided",
  Completed: "Training job completed",
  Failed: "Training job failed",
};

const isLast = (status: SecondaryStatus) =>
  ["Completed", "Failed", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"].includes(status);

/** Members that change when the job enters a secondary status. */
export function enter(
  job: Pick<TrainingJob, "SecondaryStatusTransitions">,
  status: SecondaryStatus,
  at: number,
): Pick<TrainingJob, "SecondaryStatus" | "SecondaryStatusTransitions" | "LastModifiedTime"> {
  const before: Transitions = (job.SecondaryStatusTransitions ?? []).map((transition) =>
    transition.EndTime === undefined ? { ...transition, EndTime: at } : transition,
  );
  const entered = {
    Status: status,
    StartTime: at,
    ...(isLast(status) && { EndTime: at }),
    StatusMessage: messages[status] ?? status,
  };
  return {
    SecondaryStatus: status,
    SecondaryStatusTransitions: [...before, entered],
    LastModifiedTime: at,
  };
}

/** The API counts whole seconds, and none of its counts is 0. */
export function wholeSeconds(from: number, to: number): number {
  return Math.max(1, Math.ceil(to - from));
}

/** Seconds that the job has spent in these steps, of all its attempts together, up to now. */
export function secondsIn(
  { SecondaryStatusTransitions = [] }: Pick<TrainingJob, "SecondaryStatusTransitions">,
  steps: readonly SecondaryStatus[],
  now: number,
): number {
  return SecondaryStatusTransitions.filter(({ Status }) => steps.includes(Status))
    .map(({ StartTime, EndTime = now }) => EndTime - StartTime)
    .reduce((sum, seconds) => sum + seconds, 0);
}

/** A timer for as long as a job may take: Node's own end a little under 25 days. */
export function longTimer(seconds: number, action: () => void): NodeJS.Timeout {
  const longestMs = 2 ** 31 - 1;
  return setTimeout(action, Math.min(seconds * 1000, longestMs));
}

/** AWS, DescribeTrainingJob: FailureReason has at most 1024 characters. */
export function failureReason(text: string): string {
  return text.slice(0, 1024);
}
