/** Finds models whose figures deviate from their cohort: they are left for a person to look at. */

/** One model's error beside the two it is compared with, on the same held-out rows. */
export interface Judged {
  readonly metric: string;
  readonly error: number | null;
  readonly championError: number | null;
  readonly baselineError: number | null;
}

/** Iglewicz and Hoaglin (1993), How to Detect and Handle Outliers: above 3.5 a modified z-score is one. */
const THRESHOLD = 3.5;
/** Medians of fewer models say little. */
const SMALLEST_COHORT = 8;
/** Below any error that matters: the logarithm of an error of 0 must be a number, and far away. */
const TINY = 1e-12;
/** Of logarithms: what differs by a billionth differs by rounding. */
const NO_DEVIATION = 1e-9;

/**
 * Errors are compared by their logarithms, as they are never negative and differ by factors. Both ends count: a
 * model that is far too good has often seen the answer. Returns, for a model, why it is an outlier, or null.
 */
export function outlierJudge(cohort: readonly Judged[]): (model: Judged) => string | null {
  const measures = MEASURES.map(({ value, ...words }) => ({
    ...words,
    value,
    scale: robustScale(cohort.flatMap((model) => value(model) ?? [])),
  }));
  return (model) => {
    const reasons = measures.flatMap(({ value, describe, scale }) => {
      const own = value(model);
      if (own === null || scale === null) return [];
      const score = scale.score(own);
      if (Math.abs(score) <= THRESHOLD) return [];
      return [`${describe(model, own, scale.median)} (robust z ${score.toFixed(1)})`];
    });
    return reasons.length === 0 ? null : reasons.join("; ");
  };
}

interface Measure {
  readonly value: (model: Judged) => number | null;
  readonly describe: (model: Judged, own: number, median: number) => string;
}

const MEASURES: readonly Measure[] = [
  {
    value: ({ error }) => logarithm(error),
    describe: ({ metric, error }, _own, median) =>
      `${metric} ${figure(error ?? NaN)}, the cohort's median is ${figure(Math.exp(median))}`,
  },
  {
    value: ({ error, championError }) => logarithmOfRatio(error, championError),
    describe: (_model, own, median) =>
      `${share(own)} of the champion's error, the cohort's median is ${share(median)}`,
  },
  {
    value: ({ error, baselineError }) => logarithmOfRatio(error, baselineError),
    describe: (_model, own, median) =>
      `${share(own)} of the baseline's error, the cohort's median is ${share(median)}`,
  },
];

export interface RobustScale {
  readonly median: number;
  /** How far from the median, in standard deviations of a normal distribution with the same middle half. */
  readonly score: (value: number) => number;
}

/** Null for a cohort that is too small, or all of one value. */
export function robustScale(values: readonly number[]): RobustScale | null {
  if (values.length < SMALLEST_COHORT) return null;
  const median = medianOf(values);
  const deviations = values.map((value) => Math.abs(value - median));
  // The second when more than half are equal, and the first is 0; the factors make both a standard deviation.
  const mean = deviations.reduce((sum, one) => sum + one, 0) / deviations.length;
  const deviation = 1.4826 * medianOf(deviations) || 1.2533 * mean;
  if (deviation < NO_DEVIATION) return null;
  return { median, score: (value) => (value - median) / deviation };
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const [low, high] = [Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2)];
  return ((sorted[low] ?? NaN) + (sorted[high] ?? NaN)) / 2;
}

const logarithm = (error: number | null): number | null =>
  error === null || !(error >= 0) ? null : Math.log(Math.max(error, TINY));

function logarithmOfRatio(error: number | null, other: number | null): number | null {
  const [own, reference] = [logarithm(error), logarithm(other)];
  return own === null || reference === null ? null : own - reference;
}

const figure = (value: number): string => String(Number(value.toPrecision(4)));
const share = (log: number): string => `${Number((100 * Math.exp(log)).toPrecision(3))} %`;
