/** When a search launches another training job, waits, or is over: decided from what its jobs have come to. */
import { compare } from "./tuning-history.js";
import type { Objective, TuningJob, TuningPlan } from "./tuning-request.js";
import { bestOf, isFinished } from "./tuning-trials.js";
import type { TrialRecord } from "./tuning-trials.js";

export type NextStep =
  | { readonly kind: "launch" }
  | { readonly kind: "wait" }
  /** What still runs is stopped first. */
  | { readonly kind: "complete" }
  | { readonly kind: "fail"; readonly reason: string };

/** AWS gives up a search when so many jobs have ended and none with an objective. */
const attemptsWithoutObjective = 5;

/** AWS API, BestObjectiveNotImproving and ConvergenceDetected: a smaller improvement counts as none. */
const significantImprovement = 0.01;

/** AWS does not publish its rule: so many jobs in a row without improvement, for each range and at all. */
const jobsPerRangeToConverge = 2;
const leastJobsToConverge = 10;

export function nextStep(
  plan: TuningPlan,
  records: readonly TrialRecord[],
  pointsAreLeft: boolean,
): NextStep {
  const ended = records.filter(isFinished);
  const succeeded = ended.some(({ trial }) => trial.objective !== undefined);
  if (!succeeded && ended.length >= attemptsWithoutObjective) return fail(ended);
  if (meetsCriteria(plan, ended)) return { kind: "complete" };
  const running = records.length - ended.length;
  if (!pointsAreLeft || records.length >= plan.maxJobs) {
    if (running > 0) return { kind: "wait" };
    return succeeded || ended.length === 0 ? { kind: "complete" } : fail(ended);
  }
  return running < plan.parallelJobs ? { kind: "launch" } : { kind: "wait" };
}

function fail(ended: readonly TrialRecord[]): NextStep {
  const completed = ended.some(({ summary }) => summary.TrainingJobStatus === "Completed");
  const reason = completed
    ? `No objective metrics found after running ${ended.length} training jobs. Please ensure that the custom ` +
      "algorithm is emitting the objective metric as defined by the regular expression provided."
    : `No training job succeeded after ${ended.length} attempts. For additional details, please take a look at the ` +
      "training job failures by listing training jobs for the hyperparameter tuning job.";
  return { kind: "fail", reason };
}

function meetsCriteria(plan: TuningPlan, ended: readonly TrialRecord[]): boolean {
  const { TargetObjectiveMetricValue: target } = plan.criteria;
  const { BestObjectiveNotImproving, ConvergenceDetected } = plan.criteria;
  const best = bestOf(ended, plan.objective)?.FinalHyperParameterTuningJobObjectiveMetric?.Value;
  if (best === undefined) return false;
  if (target !== undefined && compare(plan.objective, best, target) <= 0) return true;
  const { NumberOfTrainingJobsObjectiveNotImproving: count = 0, ConvergenceDetectedTime } =
    completionDetails(plan, ended);
  const { MaxNumberOfTrainingJobsNotImproving: limit = Infinity } = BestObjectiveNotImproving ?? {};
  if (count >= limit) return true;
  return (
    ConvergenceDetected?.CompleteOnConvergence === "Enabled" &&
    ConvergenceDetectedTime !== undefined
  );
}

type CompletionDetails = NonNullable<TuningJob["TuningJobCompletionDetails"]>;

/** The latest jobs in a row, in the order in which they ended, that were not better by 1 % than the best before. */
export function completionDetails(
  plan: TuningPlan,
  records: readonly TrialRecord[],
): CompletionDetails {
  const patience = Math.max(leastJobsToConverge, jobsPerRangeToConverge * plan.ranges.length);
  let best: number | undefined;
  let notImproving = 0;
  let convergedAt: number | undefined;
  for (const { trial, summary } of inOrderOfEnd(records)) {
    if (trial.objective === undefined) continue;
    if (best === undefined || isImprovement(plan.objective, best, trial.objective)) {
      best = trial.objective;
      notImproving = 0;
      convergedAt = undefined;
      continue;
    }
    notImproving += 1;
    if (notImproving === patience) convergedAt = summary.TrainingEndTime;
  }
  return {
    NumberOfTrainingJobsObjectiveNotImproving: notImproving,
    ...(convergedAt !== undefined && { ConvergenceDetectedTime: convergedAt }),
  };
}

function inOrderOfEnd(records: readonly TrialRecord[]): TrialRecord[] {
  const endOf = ({ summary }: TrialRecord) => summary.TrainingEndTime ?? 0;
  return records.filter(isFinished).sort((a, b) => endOf(a) - endOf(b));
}

function isImprovement(objective: Objective, best: number, value: number): boolean {
  const gain = -compare(objective, value, best);
  return gain > 0 && gain >= Math.abs(best) * significantImprovement;
}
