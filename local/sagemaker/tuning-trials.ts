/** The training jobs of one tuning job: as the API lists them, and as the search sees them. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Trial } from "./documents.js";
import type { Wire } from "./operations.js";
import type { Row } from "./store.js";
import { valuesAtRungs } from "./tuning-early-stopping.js";
import { compare } from "./tuning-history.js";
import type { OwnTrial } from "./tuning-history.js";
import { valueOf } from "./tuning-ranges.js";
import type { Range, Value } from "./tuning-ranges.js";
import type { Hyperband, Objective, TuningJob } from "./tuning-request.js";

export type TrialSummary = Wire<sagemaker.HyperParameterTrainingJobSummary>;
type TrainingJobRow = Row<"training-job">;

/** One training job with all that the tuning job must know of it. */
export interface TrialRecord {
  readonly trial: Trial;
  readonly summary: TrialSummary;
}

const finished = ["Completed", "Failed", "Stopped"];

export const isFinished = ({ summary }: TrialRecord): boolean =>
  finished.includes(summary.TrainingJobStatus);

export function recordOf(
  row: TrainingJobRow,
  trial: Trial,
  objective: Objective,
  tuningJobName: string,
): TrialRecord {
  return { trial, summary: summaryOf(row, trial, objective, tuningJobName) };
}

/** As ListTrainingJobsForHyperParameterTuningJob and BestTrainingJob show a job. */
export function summaryOf(
  { document: job }: TrainingJobRow,
  trial: Trial,
  objective: Objective,
  tuningJobName: string,
): TrialSummary {
  const { TrainingJobName, TrainingJobArn, CreationTime, TrainingJobStatus } = job;
  const { TrainingStartTime, TrainingEndTime, FailureReason } = job;
  return {
    ...{ TrainingJobName, TrainingJobArn, TuningJobName: tuningJobName, CreationTime },
    ...{ TrainingJobStatus, TunedHyperParameters: { ...trial.tuned } },
    ...(TrainingStartTime !== undefined && { TrainingStartTime }),
    ...(TrainingEndTime !== undefined && { TrainingEndTime }),
    ...(FailureReason !== undefined && { FailureReason }),
    ...(trial.objective !== undefined && {
      FinalHyperParameterTuningJobObjectiveMetric: {
        Type: objective.direction === "minimize" ? "Minimize" : "Maximize",
        MetricName: objective.metric,
        Value: trial.objective,
      },
    }),
    ObjectiveStatus: objectiveStatus(TrainingJobStatus, trial),
  };
}

function objectiveStatus(status: string, trial: Trial): "Succeeded" | "Pending" | "Failed" {
  if (!finished.includes(status)) return "Pending";
  return trial.objective === undefined ? "Failed" : "Succeeded";
}

/** The last value of the objective metric; none of a job that failed. */
export function finalObjective(
  { document }: Pick<TrainingJobRow, "document">,
  { metric }: Objective,
): number | undefined {
  const { TrainingJobStatus, FinalMetricDataList = [] } = document;
  if (!["Completed", "Stopped"].includes(TrainingJobStatus)) return undefined;
  return FinalMetricDataList.find(({ MetricName }) => MetricName === metric)?.Value;
}

export function countersOf(
  records: readonly TrialRecord[],
): Pick<TuningJob, "TrainingJobStatusCounters" | "ObjectiveStatusCounters"> {
  const count = (isCounted: (record: TrialRecord) => boolean) => records.filter(isCounted).length;
  const isRetryable = ({ summary }: TrialRecord) =>
    /^(InternalServerError|CapacityError)/.test(summary.FailureReason ?? "");
  const hasStatus = (status: string) => (record: TrialRecord) =>
    record.summary.TrainingJobStatus === status;
  const failed = records.filter(hasStatus("Failed"));
  const retryable = failed.filter(isRetryable).length;
  return {
    TrainingJobStatusCounters: {
      Completed: count(hasStatus("Completed")),
      InProgress: count((record) => !isFinished(record)),
      RetryableError: retryable,
      NonRetryableError: failed.length - retryable,
      Stopped: count(hasStatus("Stopped")),
    },
    ObjectiveStatusCounters: {
      Succeeded: count(({ summary }) => summary.ObjectiveStatus === "Succeeded"),
      Pending: count(({ summary }) => summary.ObjectiveStatus === "Pending"),
      Failed: count(({ summary }) => summary.ObjectiveStatus === "Failed"),
    },
  };
}

/**
 * The job with the best objective. A job that was stopped on the way may have no model yet, so only
 * completed ones count, and those that Hyperband let run up to its MaxResource.
 */
export function bestOf(
  records: readonly TrialRecord[],
  objective: Objective,
): TrialSummary | undefined {
  const candidates = records.filter(
    ({ trial, summary }) =>
      trial.objective !== undefined &&
      (summary.TrainingJobStatus === "Completed" || trial.cut === "max-resource"),
  );
  const [best] = candidates.sort((a, b) =>
    compare(objective, a.trial.objective ?? 0, b.trial.objective ?? 0),
  );
  return best?.summary;
}

/** As the search sees it. */
export function ownTrial(
  record: TrialRecord,
  { ranges, hyperband }: { ranges: readonly Range[]; hyperband?: Hyperband },
): OwnTrial {
  const { tuned, objective, reported = [] } = record.trial;
  const point: Record<string, Value> = {};
  for (const range of ranges) point[range.name] = valueOf(range, tuned[range.name]) ?? "";
  return {
    point,
    state: stateOf(record),
    ...(objective !== undefined && { objective }),
    reported: valuesAtRungs(hyperband, reported),
  };
}

/** What was stopped by somebody with an objective has told as much as what was stopped by the search. */
function stateOf(record: TrialRecord): OwnTrial["state"] {
  if (!isFinished(record)) return "running";
  const { trial, summary } = record;
  if (trial.objective === undefined) return "failed";
  const ranThrough = summary.TrainingJobStatus === "Completed" || trial.cut === "max-resource";
  return ranThrough ? "complete" : "cut";
}
