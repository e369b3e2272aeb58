/** Statistics of a metric's minutes, by the period that was asked for. */
import { merge, percentile } from "./metric-summary.js";
import type { MetricSummary } from "./metric-summary.js";
import type { MinuteOfMetric } from "./metric-store.js";

export interface PeriodOfMetric extends MetricSummary {
  /** Epoch seconds of the period's begin. */
  readonly begin: number;
  readonly unit: string;
}

/** Periods begin at multiples of their length since 1970; one without a sample is not there. Oldest first. */
export function byPeriod(minutes: readonly MinuteOfMetric[], seconds: number): PeriodOfMetric[] {
  const periods = new Map<number, PeriodOfMetric>();
  for (const minute of minutes) {
    const begin = floorTo(minute.minute, seconds);
    const before = periods.get(begin);
    const summary = before === undefined ? minute : merge(before, minute);
    const { count, sum, minimum, maximum, histogram } = summary;
    periods.set(begin, { begin, unit: minute.unit, count, sum, minimum, maximum, histogram });
  }
  return [...periods.values()].sort((a, b) => a.begin - b.begin);
}

export const floorTo = (epochSeconds: number, seconds: number): number =>
  Math.floor(epochSeconds / seconds) * seconds;

export type Statistic = (summary: MetricSummary) => number;

const simple: Readonly<Record<string, Statistic>> = {
  SampleCount: ({ count }) => count,
  Average: ({ sum, count }) => sum / count,
  Sum: ({ sum }) => sum,
  Minimum: ({ minimum }) => minimum,
  Maximum: ({ maximum }) => maximum,
};

/** `Sum` or a percentile such as `p99.9`; undefined for what is not offered (trimmed means and the like). */
export function statisticOf(name: string): Statistic | undefined {
  if (Object.hasOwn(simple, name)) return simple[name];
  const percent = /^p(\d{1,2}(?:\.\d{1,10})?|100)$/.exec(name)?.[1];
  return percent === undefined ? undefined : (summary) => percentile(summary, Number(percent));
}

/** What a refusal says is offered. */
export const statisticNames = `${Object.keys(simple).join(", ")} and percentiles p0 to p100`;
