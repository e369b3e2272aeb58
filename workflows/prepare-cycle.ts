/** What is done once for all customers of a cycle before they are trained: preparation, and a pipeline's preprocessor. */
import { CancellationScope, condition, log, setHandler, sleep } from "@temporalio/workflow";
import { FAILURES } from "../fleet/errors.js";
import { classifyFailure, failureSentence } from "../fleet/failure.js";
import { LIMITS } from "../fleet/limits.js";
import { admission, cohortAdmission, controlPlane, preparing } from "./activities.js";
import { failureOf, workflowFailure } from "./failures.js";
import { type JobEnded, jobEnded, type Pace } from "./messages.js";

interface CycleRef {
  readonly fleet: string;
  readonly cycle: string;
}

export interface CycleJobs extends CycleRef {
  readonly pace: Pace;
  /** By name: a signal may come twice, late, or for the job of an earlier round. */
  readonly ended: Map<string, JobEnded>;
}

/** Call before anything is started: then no signal comes before its handler. */
export function listenForCycleJobs(cycle: CycleRef & { readonly pace: Pace }): CycleJobs {
  const ended = new Map<string, JobEnded>();
  setHandler(jobEnded, (job) => {
    if (isEnd(job)) ended.set(job.jobName, job);
  });
  return { ...cycle, ended };
}

/** One processing job makes of the exported rows what the cycle trains on. Throws PreparationFailed. */
export function prepareRows(jobs: CycleJobs): Promise<void> {
  return stopWhenCut(jobs, async () => {
    const { fleet, cycle } = jobs;
    let folder = "";
    await runJob(jobs, {
      called: "preparation",
      start: async (round) => {
        const started = await admission.startProcessingJob({ fleet, cycle, round });
        folder = started.folder;
        return started;
      },
      findEnded: (jobName) => controlPlane.findEndedProcessingJob({ jobName }),
    });
    await preparing.readPrepared({ fleet, cycle, folder });
  });
}

/** Fits the preprocessor unless it is there, and prepares every planned customer's rows. Throws PreparationFailed. */
export function preparePipeline(jobs: CycleJobs): Promise<void> {
  return stopWhenCut(jobs, async () => {
    const { fleet, cycle } = jobs;
    const generation = await fitPreprocessor(jobs);
    const planned = await preparing.planTransforms({ fleet, cycle, generation });
    await Promise.all(
      planned.parts.map(({ objects: _objects, ...part }) =>
        runJob(jobs, {
          called: `batch transform of the ${part.part} rows`,
          start: (round) => admission.startTransformJob({ fleet, cycle, round, ...part }),
          findEnded: (jobName) => controlPlane.findEndedTransformJob({ jobName }),
        }),
      ),
    );
    await preparing.keepTransformed({ fleet, cycle, ...planned });
  });
}

async function fitPreprocessor(jobs: CycleJobs): Promise<number> {
  const { fleet, cycle } = jobs;
  let there: number | undefined;
  const trainingJobName = await runJob(jobs, {
    called: "training of the preprocessor",
    start: async (round) => {
      const fit = await cohortAdmission.startPreprocessorJob({ fleet, cycle, round });
      if (fit.kind === "fits") return fit;
      there = fit.generation;
      return { jobName: "", ended: { jobName: "", status: "Completed" } };
    },
    findEnded: (name) => controlPlane.findEndedJob({ trainingJobName: name }),
  });
  if (there !== undefined) return there;
  const { generation } = await controlPlane.keepPreprocessor({ fleet, cycle, trainingJobName });
  return generation;
}

interface CycleJob {
  /** For sentences. */
  readonly called: string;
  readonly start: (
    round: number,
  ) => Promise<{ readonly jobName: string; readonly ended?: JobEnded }>;
  readonly findEnded: (jobName: string) => Promise<JobEnded | null>;
}

/** As a customer's job: rounds for what is SageMaker's own fault. Returns the name of the job that completed. */
async function runJob(jobs: CycleJobs, job: CycleJob): Promise<string> {
  let failures = 0;
  for (let round = 0; round < LIMITS.trainingRounds + LIMITS.stoppedRounds; round++) {
    const started = await job.start(round);
    const end = started.ended ?? (await waitForEnd(jobs, job, started.jobName));
    if (end.status === "Completed") return end.jobName;
    // Stopped before this run asked for it: an earlier run of the cycle was cancelled. Not this run's failure.
    if (started.ended?.status === "Stopped") continue;
    // The watcher lists jobs, and lists carry no reason: one Describe, for failed jobs only.
    const reason = end.failureReason ?? (await job.findEnded(end.jobName))?.failureReason;
    failures++;
    if (!mayRepeat(end, reason) || failures >= LIMITS.trainingRounds)
      throw workflowFailure({
        type: FAILURES.preparationFailed,
        message: `the ${job.called} ${end.status === "Stopped" ? "was stopped" : "failed"}: ${failureSentence(reason)}`,
        details: [{ hint: `read the log of job ${end.jobName}` }],
      });
    await sleep(jobs.pace.roundSeconds * 1000 * 2 ** (failures - 1), {
      summary: "before another round",
    });
  }
  throw workflowFailure({
    type: FAILURES.trainingStopped,
    message: `all ${LIMITS.stoppedRounds} jobs of the ${job.called} were stopped: run another cycle`,
  });
}

function mayRepeat({ status }: JobEnded, reason: string | undefined): boolean {
  if (status === "Stopped") return false;
  const kind = classifyFailure(reason);
  return kind === "internal" || kind === "capacity";
}

/** The watcher's signal ends the wait; the guard only covers a watcher that is gone. */
async function waitForEnd(
  { pace, ended }: CycleJobs,
  { findEnded }: CycleJob,
  jobName: string,
): Promise<JobEnded> {
  for (let factor = 1; ; factor = Math.min(2 * factor, 16)) {
    const guard = { summary: `guard of ${jobName}` };
    await condition(() => ended.has(jobName), pace.guardSeconds * 1000 * factor, guard);
    const end = ended.get(jobName) ?? (await findEnded(jobName));
    if (end !== null && isEnd(end)) return end;
  }
}

/** Whatever ends the work early, its jobs do not bill on. */
async function stopWhenCut({ fleet, cycle }: CycleJobs, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    try {
      await CancellationScope.nonCancellable(() => controlPlane.stopCycleJobs({ fleet, cycle }));
    } catch (stopping) {
      log.error("jobs of the cycle not stopped", { fleet, cycle, ...failureOf(stopping) });
    }
    throw error;
  }
}

const isEnd = ({ status }: JobEnded): boolean =>
  status === "Completed" || status === "Failed" || status === "Stopped";
