/** Reads how a tuning job ended: its best training job, or why there is none; and all its training jobs. */
import type {
  DescribeHyperParameterTuningJobResponse,
  HyperParameterTrainingJobSummary,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { failureSentence } from "../fleet/failure.js";
import type { JobEnded } from "../workflows/messages.js";
import { FORGOTTEN, isEnd } from "./describe-job.js";
import { describeTuningJob, trialPages } from "./describe-tuning-job.js";
import { recordSearchCost } from "./ledger/costs.js";
import { recordEnded } from "./ledger/jobs.js";
import {
  markTrialsRead,
  recordTrials,
  recordTuningResult,
  type Trial,
} from "./ledger/tuning-results.js";

export interface TuningResultDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
}

/** One Describe: how the search ended, recorded; null while it runs. */
export async function lookAtTuningJob(
  dependencies: TuningResultDependencies,
  tuningJobName: string,
): Promise<JobEnded | null> {
  const described = await describeTuningJob(dependencies.sagemaker, tuningJobName);
  return endOfTuningJob(dependencies, tuningJobName, described);
}

/**
 * A search that completed without any value of its objective counts as Failed, by the reason of its training jobs:
 * there is no model. One that SageMaker has forgotten counts as its fault: another round may succeed.
 */
export async function endOfTuningJob(
  dependencies: TuningResultDependencies,
  tuningJobName: string,
  described: DescribeHyperParameterTuningJobResponse | null,
): Promise<JobEnded | null> {
  const { ledger } = dependencies;
  const status = described === null ? "Failed" : described.HyperParameterTuningJobStatus;
  if (status === undefined || !isEnd(status)) return null;
  const best = bestOf(described);
  const failureReason =
    described === null
      ? FORGOTTEN
      : best === null
        ? await whyNoModel(dependencies, tuningJobName, described)
        : described.FailureReason;
  await recordTuningResult(ledger, {
    tuningJobName,
    status,
    failureReason,
    trialStatuses: counters(described?.TrainingJobStatusCounters),
    objectiveStatuses: counters(described?.ObjectiveStatusCounters),
    best,
  });
  const reason = failureReason === undefined ? {} : { failureReason };
  await recordEnded(ledger, { jobName: tuningJobName, status, ...reason });
  if (status === "Completed" && best !== null)
    return { jobName: tuningJobName, status, bestTrainingJobName: best.trainingJobName };
  return {
    jobName: tuningJobName,
    status: status === "Completed" ? "Failed" : status,
    ...reason,
  };
}

function bestOf(described: DescribeHyperParameterTuningJobResponse | null) {
  const best = described?.BestTrainingJob;
  if (best?.TrainingJobName === undefined) return null;
  const value = valueOf(best);
  // A metric that is no number cannot be the best of anything.
  if (value === null) return null;
  return {
    trainingJobName: best.TrainingJobName,
    value,
    hyperparameters: best.TunedHyperParameters ?? {},
  };
}

const valueOf = (trial: HyperParameterTrainingJobSummary): number | null => {
  const value = trial.FinalHyperParameterTuningJobObjectiveMetric?.Value;
  return value !== undefined && Number.isFinite(value) ? value : null;
};

/** As SageMaker counts them, with lower-case names. */
const counters = (counted: object | undefined): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counted ?? {}).flatMap(([name, count]: [string, unknown]) =>
      typeof count === "number" ? [[name.charAt(0).toLowerCase() + name.slice(1), count]] : [],
    ),
  );

/**
 * The first training job that failed speaks for all; the class of its fault, by the prefix that SageMaker gives it,
 * stays in front. A stopped search needs no such explanation.
 */
async function whyNoModel(
  { sagemaker }: TuningResultDependencies,
  tuningJobName: string,
  described: DescribeHyperParameterTuningJobResponse,
): Promise<string | undefined> {
  if (described.HyperParameterTuningJobStatus === "Stopped") return described.FailureReason;
  const objective =
    described.HyperParameterTuningJobConfig?.HyperParameterTuningJobObjective?.MetricName ??
    "its objective";
  let trials = 0;
  let failed: string | undefined;
  for await (const page of trialPages(sagemaker, tuningJobName)) {
    trials += page.length;
    failed ??= page.find((trial) => trial.FailureReason !== undefined)?.FailureReason;
  }
  if (trials === 0)
    return described.FailureReason ?? "InternalServerError: no training job was started";
  const none =
    trials === 1
      ? "the only training job did not reach"
      : `none of ${trials} training jobs reached`;
  if (failed !== undefined)
    return `${prefixOf(failed)}: ${none} ${objective}; one failed by: ${failureSentence(failed)}`;
  return `AlgorithmError: ${none} ${objective} as a number: does the training script print "${objective}=<number>;"?`;
}

const prefixOf = (reason: string): string =>
  /^\s*(\w+Error)\b/.exec(reason)?.[1] ?? "AlgorithmError";

/** All training jobs of an ended search, for the history: once read, not read again. */
export async function readTrials(
  { ledger, sagemaker }: TuningResultDependencies,
  tuningJobName: string,
): Promise<void> {
  try {
    for await (const page of trialPages(sagemaker, tuningJobName))
      await recordTrials(ledger, tuningJobName, page.flatMap(trialOf));
  } catch (error) {
    // Deleted in SageMaker: what has not been read by now never will be.
    if (!(error instanceof Error && error.name === "ResourceNotFound")) throw error;
  }
  await recordSearchCost(ledger, tuningJobName);
  await markTrialsRead(ledger, tuningJobName);
}

function trialOf(summary: HyperParameterTrainingJobSummary): Trial[] {
  if (summary.TrainingJobName === undefined) return [];
  return [
    {
      trainingJobName: summary.TrainingJobName,
      status: summary.TrainingJobStatus ?? "InProgress",
      objectiveStatus: summary.ObjectiveStatus ?? null,
      objectiveValue: valueOf(summary),
      hyperparameters: summary.TunedHyperParameters ?? {},
      failureReason: summary.FailureReason ?? null,
      startedAt: summary.TrainingStartTime ?? null,
      endedAt: summary.TrainingEndTime ?? null,
    },
  ];
}
