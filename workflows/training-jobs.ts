/** Makes a model, or those of a cohort: starts a job, waits for its end, and goes another round when SageMaker itself failed. */
import { condition, log, setCurrentDetails, setHandler, sleep } from "@temporalio/workflow";
import { FAILURES } from "../fleet/errors.js";
import { classifyFailure, failureSentence, failureTypes } from "../fleet/failure.js";
import { LIMITS } from "../fleet/limits.js";
import { COHORT_KEY } from "../fleet/names.js";
import { admission, cohortAdmission, controlPlane } from "./activities.js";
import { type Failure, failureOf, workflowFailure } from "./failures.js";
import {
  type JobEnded,
  jobEnded,
  type Pace,
  type RetrainCohortInput,
  type RetrainModelInput,
} from "./messages.js";

/** One job after the other, of the same kind and for the same work. */
export interface ModelJobs {
  readonly kind: KindOfJob;
  readonly pace: Pace;
  /** By name: a signal may come twice, late, or for the job of an earlier round. */
  readonly ended: Map<string, JobEnded>;
  /** A job may be running whose end has not been seen: whoever gives up must stop it. */
  open: boolean;
}

/** Call before anything else: a signal that comes before its handler would wait for it, but nothing is lost. */
export function listenForEndedJobs(kind: KindOfJob, pace: Pace): ModelJobs {
  const ended = new Map<string, JobEnded>();
  setHandler(jobEnded, (job) => {
    if (kind.isEnd(job)) ended.set(job.jobName, job);
  });
  return { kind, pace, ended, open: false };
}

export interface MadeModel {
  /** The job whose model is to be evaluated: of a search, the best of its training jobs. */
  readonly trainingJobName: string;
  /** How it was made, for the workflow's page. */
  readonly details: string;
}

/** Throws what the job failed with. */
export async function makeModel(jobs: ModelJobs): Promise<MadeModel> {
  const { kind, pace } = jobs;
  let failures = 0;
  for (let round = 0; round < LIMITS.trainingRounds + LIMITS.stoppedRounds; round++) {
    jobs.open = true;
    const started = await kind.start(round);
    setCurrentDetails(started.details);
    const end = started.ended ?? (await waitForEnd(started.jobName, jobs));
    jobs.open = false;
    if (end.status === "Completed")
      return { trainingJobName: end.bestTrainingJobName ?? end.jobName, details: started.details };
    // Stopped before this run asked for it: an earlier run of the cycle was cancelled. Not this run's failure.
    if (started.ended?.status === "Stopped") continue;

    const { failure, mayRepeat } = await readFailure(end, kind);
    failures++;
    if (!mayRepeat || failures >= LIMITS.trainingRounds) throw workflowFailure(failure);
    await sleep(pace.roundSeconds * 1000 * 2 ** (failures - 1), {
      summary: "before another round",
    });
  }
  throw workflowFailure({
    type: FAILURES.trainingStopped,
    message: `all ${LIMITS.stoppedRounds} ${kind.called}s of this cycle were stopped: run another cycle`,
  });
}

/** A job that cannot be stopped ends by its maximum runtime: no reason to hide the first failure. */
export async function stopOpenJobs({ kind, open }: ModelJobs): Promise<void> {
  if (!open) return;
  try {
    await kind.stop();
  } catch (error) {
    log.error("job not stopped", { ...failureOf(error) });
  }
}

interface StartedJob {
  readonly jobName: string;
  readonly details: string;
  /** It had ended before: its signal may be long gone. */
  readonly ended?: JobEnded;
}

export interface KindOfJob {
  readonly called: string;
  readonly start: (round: number) => Promise<StartedJob>;
  readonly findEnded: (jobName: string) => Promise<JobEnded | null>;
  /** Whether what was told is an end that can be worked with. */
  readonly isEnd: (job: JobEnded) => boolean;
  /** Of the cycle, whatever is open. */
  readonly stop: () => Promise<void>;
}

type Customer = Pick<RetrainModelInput, "fleet" | "cycle" | "customerKey">;

export const kindOf = ({ fleet, cycle, customerKey, tune }: RetrainModelInput): KindOfJob =>
  tune ? tuning({ fleet, cycle, customerKey }) : training({ fleet, cycle, customerKey });

const training = (customer: Customer): KindOfJob => ({
  called: "training job",
  start: async (round) => {
    const { trainingJobName, ...rest } = await admission.startTrainingJob({ ...customer, round });
    const details = `Training job \`${trainingJobName}\`, round ${round + 1}`;
    return { jobName: trainingJobName, details, ...rest };
  },
  findEnded: (trainingJobName) => controlPlane.findEndedJob({ trainingJobName }),
  isEnd: ({ status }) => isEndStatus(status),
  stop: () => controlPlane.stopTrainingJob(customer),
});

const tuning = (customer: Customer): KindOfJob => ({
  called: "tuning job",
  start: async (round) => {
    const { tuningJobName, warmStart, ...rest } = await admission.startTuningJob({
      ...customer,
      round,
    });
    const details = `Tuning job \`${tuningJobName}\`, round ${round + 1}\n\n${warmStart}`;
    return { jobName: tuningJobName, details, ...rest };
  },
  findEnded: (tuningJobName) => controlPlane.findEndedTuningJob({ tuningJobName }),
  // A signal sent by hand may lack the name: then the guard looks for it.
  isEnd: ({ status, bestTrainingJobName }) =>
    isEndStatus(status) && (status !== "Completed" || bestTrainingJobName !== undefined),
  stop: () => controlPlane.stopTuningJob(customer),
});

/** Another round trains only what the checkpoints of the rounds before it lack. */
export const shardedJob = ({ fleet, cycle }: RetrainCohortInput): KindOfJob => {
  const cohort = training({ fleet, cycle, customerKey: COHORT_KEY });
  return {
    ...cohort,
    start: async (round) => {
      const { trainingJobName, ...rest } = await cohortAdmission.startShardedJob({
        fleet,
        cycle,
        round,
      });
      const details = `Training job \`${trainingJobName}\`, round ${round + 1}`;
      return { jobName: trainingJobName, details, ...rest };
    },
  };
};

/**
 * The watcher's signal ends the wait within seconds of the job. The guard only covers a watcher that is gone; it
 * doubles up to sixteenfold, so that a job of 28 days adds some hundred events and not thousands.
 */
async function waitForEnd(
  jobName: string,
  { kind: { findEnded, isEnd }, pace, ended }: ModelJobs,
): Promise<JobEnded> {
  for (let factor = 1; ; factor = Math.min(2 * factor, 16)) {
    const guard = { summary: `guard of ${jobName}` };
    await condition(() => ended.has(jobName), pace.guardSeconds * 1000 * factor, guard);
    const end = ended.get(jobName) ?? (await findEnded(jobName));
    if (end !== null && isEnd(end)) return end;
  }
}

async function readFailure(
  end: JobEnded,
  { called, findEnded }: KindOfJob,
): Promise<{ failure: Failure; mayRepeat: boolean }> {
  // The watcher lists jobs, and lists carry no reason: one Describe, for failed jobs only.
  const told = end.failureReason ?? (await findEnded(end.jobName))?.failureReason;
  if (end.status === "Stopped")
    return {
      failure: {
        type: FAILURES.trainingStopped,
        message: `the ${called} was stopped${told === undefined ? "" : `: ${failureSentence(told)}`}`,
      },
      mayRepeat: false,
    };
  const kind = classifyFailure(told);
  return {
    failure: { type: failureTypes[kind], message: failureSentence(told) },
    mayRepeat: kind === "internal" || kind === "capacity",
  };
}

const isEndStatus = (status: string): boolean =>
  status === "Completed" || status === "Failed" || status === "Stopped";
