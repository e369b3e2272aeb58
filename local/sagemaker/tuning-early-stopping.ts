/** When a training job is stopped because it is unlikely to be better than earlier ones. */
import { compare, median } from "./tuning-history.js";
import type { Hyperband, Objective } from "./tuning-request.js";

/**
 * AWS tells no such number. With fewer earlier jobs a median says little, and in most searches a slow
 * learner would be stopped at its first value. Optuna's median rule starts at 5 too.
 */
const leastEarlierJobs = 5;

/**
 * Developer Guide, automatic-model-tuning-early-stopping: worse than the median of the earlier jobs'
 * running averages up to the same epoch. An epoch is one value of the objective metric.
 */
export function isWorseThanMedian(
  objective: Objective,
  values: readonly number[],
  earlier: readonly (readonly number[])[],
): boolean {
  const epoch = values.length;
  const latest = values.at(-1);
  const averages = earlier
    .filter((reported) => reported.length >= epoch)
    .map((reported) => average(reported.slice(0, epoch)));
  if (latest === undefined || averages.length < leastEarlierJobs) return false;
  return compare(objective, latest, median(averages)) > 0;
}

/** Hyperband keeps about one job in so many at each rung. Optuna's default is 3 too. */
export const reductionFactor = 3;

/** The numbers of values at which Hyperband may stop a job. */
export function isRung({ minResource, maxResource }: Hyperband, step: number): boolean {
  for (let rung = minResource; rung < maxResource; rung *= reductionFactor)
    if (rung === step) return true;
  return false;
}

/** The values at the rungs, and the last one. */
export function valuesAtRungs(
  hyperband: Hyperband | undefined,
  values: readonly number[],
): [step: number, value: number][] {
  return values
    .map((value, index): [number, number] => [index + 1, value])
    .filter(
      ([step]) => step === values.length || (hyperband !== undefined && isRung(hyperband, step)),
    );
}

const average = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
