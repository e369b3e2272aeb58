/** Many samples in little room: count, sum, extremes, and a histogram that gives percentiles within 1 %. */

export interface MetricSummary {
  readonly count: number;
  readonly sum: number;
  readonly minimum: number;
  readonly maximum: number;
  /** Samples by bucket: bucket i holds values in (ratio^(i-1), ratio^i], `zero` those that are not above zero. */
  readonly histogram: Readonly<Record<string, number>>;
}

/**
 * As in DDSketch (Masson, Rim, Lee: VLDB 2019): a bucket's middle is within 1 % of all values in it. Times
 * from a microsecond to a day fall into 1,260 buckets, so a summary is bounded whatever is added to it.
 */
const ratio = 1.02;
const zero = "zero";
/** Smaller values count as this one. */
const smallest = 1e-6;

export function summaryOf(value: number): MetricSummary {
  return {
    count: 1,
    sum: value,
    minimum: value,
    maximum: value,
    histogram: { [bucketOf(value)]: 1 },
  };
}

export function merge(one: MetricSummary, other: MetricSummary): MetricSummary {
  const histogram: Record<string, number> = { ...one.histogram };
  for (const [bucket, count] of Object.entries(other.histogram))
    histogram[bucket] = (histogram[bucket] ?? 0) + count;
  return {
    count: one.count + other.count,
    sum: one.sum + other.sum,
    minimum: Math.min(one.minimum, other.minimum),
    maximum: Math.max(one.maximum, other.maximum),
    histogram,
  };
}

/** A running summary: `add` costs the same however many samples there are. */
export function createSummary() {
  const histogram: Record<string, number> = {};
  let [count, sum, minimum, maximum] = [0, 0, Infinity, -Infinity];
  return {
    add(value: number): void {
      count += 1;
      sum += value;
      minimum = Math.min(minimum, value);
      maximum = Math.max(maximum, value);
      const bucket = bucketOf(value);
      histogram[bucket] = (histogram[bucket] ?? 0) + 1;
    },
    summary: (): MetricSummary => ({ count, sum, minimum, maximum, histogram: { ...histogram } }),
  };
}

/** The value that `percent` of the samples do not exceed (nearest rank). */
export function percentile(summary: MetricSummary, percent: number): number {
  const rank = Math.max(1, Math.ceil((percent / 100) * summary.count));
  const buckets = Object.entries(summary.histogram)
    .map(([bucket, count]): [number, number] => [
      bucket === zero ? -Infinity : Number(bucket),
      count,
    ])
    .sort(([a], [b]) => a - b);
  let seen = 0;
  for (const [bucket, count] of buckets) {
    seen += count;
    if (seen < rank) continue;
    const middle = bucket === -Infinity ? 0 : (2 * ratio ** bucket) / (ratio + 1);
    return Math.min(summary.maximum, Math.max(summary.minimum, middle));
  }
  return summary.maximum;
}

function bucketOf(value: number): string {
  if (value <= 0) return zero;
  return String(Math.ceil(Math.log(Math.max(value, smallest)) / Math.log(ratio)));
}
