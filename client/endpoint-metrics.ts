/** Reads how endpoints fare from CloudWatch, over a span of time in equal steps. */
import type { CloudWatchClient, MetricDataQuery } from "@aws-sdk/client-cloudwatch";

/** Under the names of CloudWatch, which its console shows as well. */
const METRICS = [
  { name: "Invocations", statistic: "Sum", unit: "count" },
  { name: "Invocation4XXErrors", statistic: "Sum", unit: "count" },
  { name: "Invocation5XXErrors", statistic: "Sum", unit: "count" },
  { name: "InvocationModelErrors", statistic: "Sum", unit: "count" },
  { name: "ModelLatency", statistic: "Average", unit: "microseconds" },
  { name: "ModelCacheHit", statistic: "Average", unit: "ratio" },
  { name: "ModelLoadingWaitTime", statistic: "Average", unit: "microseconds" },
  { name: "ModelDownloadingTime", statistic: "Average", unit: "microseconds" },
  { name: "ModelLoadingTime", statistic: "Average", unit: "microseconds" },
  { name: "ModelUnloadingTime", statistic: "Average", unit: "microseconds" },
  { name: "ModelSetupTime", statistic: "Average", unit: "microseconds" },
  { name: "LoadedModelCount", statistic: "Average", unit: "count" },
  { name: "MemoryUtilization", statistic: "Maximum", unit: "percent" },
] as const;

/** The containers report these themselves, and to a namespace of their own. */
const BY_CONTAINERS: readonly string[] = ["LoadedModelCount", "MemoryUtilization"];

export type MetricUnit = (typeof METRICS)[number]["unit"];

export interface MetricSeries {
  readonly name: string;
  readonly statistic: string;
  readonly unit: MetricUnit;
  /** Oldest first, a value a step; null: nothing was reported. */
  readonly values: readonly (number | null)[];
}

export interface MetricSpan {
  /** ISO, a whole number of steps before `end`. */
  readonly start: string;
  readonly end: string;
  readonly periodSeconds: number;
}

/** A terminal's chart holds so many. */
const STEPS = 60;

/** Steps of whole minutes, as CloudWatch keeps them, that end with the minute that has begun. */
export function spanOf(sinceSeconds: number, now: Date): MetricSpan {
  const periodSeconds = Math.max(60, Math.ceil(sinceSeconds / STEPS / 60) * 60);
  const period = periodSeconds * 1000;
  const end = Math.ceil((now.getTime() + 1) / period) * period;
  const steps = Math.max(1, Math.ceil(sinceSeconds / periodSeconds));
  return {
    start: new Date(end - steps * period).toISOString(),
    end: new Date(end).toISOString(),
    periodSeconds,
  };
}

/** All that the endpoint has reported; a metric of which nothing came is left out. */
export async function readMetrics(
  cloudwatch: CloudWatchClient,
  { endpointName, variant }: { readonly endpointName: string; readonly variant: string },
  span: MetricSpan,
): Promise<MetricSeries[]> {
  const { paginateGetMetricData } = await import("@aws-sdk/client-cloudwatch");
  const Dimensions = [
    { Name: "EndpointName", Value: endpointName },
    { Name: "VariantName", Value: variant },
  ];
  const MetricDataQueries: MetricDataQuery[] = METRICS.map(({ name, statistic }, index) => {
    const Namespace = BY_CONTAINERS.includes(name) ? "/aws/sagemaker/Endpoints" : "AWS/SageMaker";
    const Metric = { Namespace, MetricName: name, Dimensions };
    return {
      Id: `m${index}`,
      MetricStat: { Metric, Period: span.periodSeconds, Stat: statistic },
    };
  });
  const points = new Map<string, Map<number, number>>();
  const pages = paginateGetMetricData(
    { client: cloudwatch },
    { MetricDataQueries, StartTime: new Date(span.start), EndTime: new Date(span.end) },
  );
  for await (const { MetricDataResults = [] } of pages)
    for (const { Id = "", Timestamps = [], Values = [] } of MetricDataResults) {
      const known = points.get(Id) ?? new Map<number, number>();
      for (const [index, time] of Timestamps.entries())
        known.set(time.getTime(), Values[index] ?? NaN);
      points.set(Id, known);
    }
  return METRICS.flatMap((metric, index) => {
    const found = points.get(`m${index}`);
    return found === undefined || found.size === 0
      ? []
      : [{ ...metric, values: stepsOf(span, found) }];
  });
}

function stepsOf(span: MetricSpan, points: ReadonlyMap<number, number>): (number | null)[] {
  const values: (number | null)[] = [];
  const end = Date.parse(span.end);
  for (let at = Date.parse(span.start); at < end; at += span.periodSeconds * 1000)
    values.push(points.get(at) ?? null);
  return values;
}
