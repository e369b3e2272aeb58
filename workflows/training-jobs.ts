/** Trains one model: starts its job, waits for the end, and goes another round when SageMaker itself failed. */
import { condition, setCurrentDetails, setHandler, sleep } from "@temporalio/workflow";
import { FAILURES } from "../fleet/errors.js";
import { classifyFailure, failureSentence, failureTypes } from "../fleet/failure.js";
import { LIMITS } from "../fleet/limits.js";
import { admission, controlPlane } from "./activities.js";
import { type Failure, workflowFailure } from "./failures.js";
import { type JobEnded, jobEnded, type RetrainModelInput } from "./messages.js";

export interface TrainingJobs {
  /** By name: a signal may come twice, late, or for the job of an earlier round. */
  readonly ended: Map<string, JobEnded>;
  /** A job may be running whose end has not been seen: whoever gives up must stop it. */
  open: boolean;
}

/** Call before anything else: a signal that comes before its handler would wait for it, but nothing is lost. */
export function listenForEndedJobs(): TrainingJobs {
  const ended = new Map<string, JobEnded>();
  setHandler(jobEnded, (job) => {
    if (isEnd(job)) ended.set(job.jobName, job);
  });
  return { ended, open: false };
}

/** Returns the name of the job that completed; throws the customer's failure. */
export async function train(input: RetrainModelInput, jobs: TrainingJobs): Promise<string> {
  const { fleet, cycle, customerKey, pace } = input;
  let failures = 0;
  for (let round = 0; round < LIMITS.trainingRounds + LIMITS.stoppedRounds; round++) {
    jobs.open = true;
    const started = await admission.startTrainingJob({ fleet, cycle, customerKey, round });
    const jobName = started.trainingJobName;
    setCurrentDetails(`Training job \`${jobName}\`, round ${round + 1}`);
    const end = started.ended ?? (await waitForEnd(jobName, jobs, pace.guardSeconds));
    jobs.open = false;
    if (end.status === "Completed") return jobName;
    // Stopped before this run asked for it: an earlier run of the cycle was cancelled. Not this run's failure.
    if (started.ended?.status === "Stopped") continue;

    const { failure, mayRepeat } = await readFailure(end);
    failures++;
    if (!mayRepeat || failures >= LIMITS.trainingRounds) throw workflowFailure(failure);
    await sleep(pace.roundSeconds * 1000 * 2 ** (failures - 1), {
      summary: "before another round",
    });
  }
  throw workflowFailure({
    type: FAILURES.trainingStopped,
    message: `all ${LIMITS.stoppedRounds} training jobs of this cycle were stopped: run another cycle`,
  });
}

/**
 * The watcher's signal ends the wait within seconds of the job. The guard only covers a watcher that is gone; it
 * doubles up to sixteenfold, so that a job of 28 days adds some hundred events and not thousands.
 */
async function waitForEnd(
  jobName: string,
  { ended }: TrainingJobs,
  guardSeconds: number,
): Promise<JobEnded> {
  for (let factor = 1; ; factor = Math.min(2 * factor, 16)) {
    const guard = { summary: `guard of ${jobName}` };
    await condition(() => ended.has(jobName), guardSeconds * 1000 * factor, guard);
    const end =
      ended.get(jobName) ?? (await controlPlane.findEndedJob({ trainingJobName: jobName }));
    if (end !== null && isEnd(end)) return end;
  }
}

async function readFailure(end: JobEnded): Promise<{ failure: Failure; mayRepeat: boolean }> {
  // The watcher lists jobs, and lists carry no reason: one Describe, for failed jobs only.
  const told = end.failureReason ?? (await describeReason(end.jobName));
  if (end.status === "Stopped")
    return {
      failure: {
        type: FAILURES.trainingStopped,
        message: `the training job was stopped${told === undefined ? "" : `: ${failureSentence(told)}`}`,
      },
      mayRepeat: false,
    };
  const kind = classifyFailure(told);
  return {
    failure: { type: failureTypes[kind], message: failureSentence(told) },
    mayRepeat: kind === "internal" || kind === "capacity",
  };
}

async function describeReason(trainingJobName: string): Promise<string | undefined> {
  return (await controlPlane.findEndedJob({ trainingJobName }))?.failureReason;
}

const isEnd = (job: JobEnded): boolean =>
  job.status === "Completed" || job.status === "Failed" || job.status === "Stopped";
