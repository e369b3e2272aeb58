/** CloudWatch's reading operations over the metrics of endpoints: GetMetricData, GetMetricStatistics, ListMetrics. */
import { createHash } from "node:crypto";
import type * as cloudwatch from "@aws-sdk/client-cloudwatch";
import type { Scope } from "./arns.js";
import { byPeriod, floorTo, statisticNames, statisticOf } from "./cloudwatch-statistics.js";
import { AwsError } from "./errors.js";
import { isMembers } from "./json.js";
import { retentionSeconds } from "./metric-store.js";
import type { Metric, MetricStore } from "./metric-store.js";
import type { Wire } from "./operations.js";

type Operation<Input, Output> = (
  scope: Scope,
  input: Wire<Input>,
) => Promise<Wire<Omit<Output, "$metadata">>>;

export interface CloudWatchOperations {
  GetMetricData: Operation<cloudwatch.GetMetricDataInput, cloudwatch.GetMetricDataOutput>;
  GetMetricStatistics: Operation<
    cloudwatch.GetMetricStatisticsInput,
    cloudwatch.GetMetricStatisticsOutput
  >;
  ListMetrics: Operation<cloudwatch.ListMetricsInput, cloudwatch.ListMetricsOutput>;
}

/** AWS API reference, GetMetricData and GetMetricStatistics. */
const limits = { queries: 500, dataPoints: 100_800, statisticsDataPoints: 1_440 };
/** AWS API reference, ListMetrics. */
const metricsPerPage = 500;
const recentSeconds = 3 * 60 * 60;

export function createCloudWatchOperations(metrics: MetricStore): CloudWatchOperations {
  return {
    GetMetricData: (scope, request) => getMetricData(metrics, scope, request),
    GetMetricStatistics: (scope, request) => getMetricStatistics(metrics, scope, request),
    ListMetrics: (scope, request) => listMetrics(metrics, scope, request),
  };
}

interface Point {
  readonly begin: number;
  readonly value: number;
}

interface Series {
  readonly id: string;
  readonly label: string;
  readonly points: readonly Point[];
}

async function getMetricData(
  metrics: MetricStore,
  scope: Scope,
  request: Wire<cloudwatch.GetMetricDataInput>,
): Promise<Wire<Omit<cloudwatch.GetMetricDataOutput, "$metadata">>> {
  const { MetricDataQueries: queries, MaxDatapoints = limits.dataPoints, NextToken } = request;
  checkQueries(queries);
  if (MaxDatapoints < 1 || MaxDatapoints > limits.dataPoints)
    throw invalid(`MaxDatapoints must be from 1 to ${limits.dataPoints}, not ${MaxDatapoints}.`);
  const skipped = readToken(request, NextToken);
  await metrics.settled();
  const series: Series[] = [];
  for (const query of queries)
    if (query.ReturnData !== false)
      series.push(await readSeries(metrics, scope, { query, request }));
  const results: Wire<cloudwatch.MetricDataResult>[] = [];
  let passed = 0;
  const end = skipped + MaxDatapoints;
  for (const { id, label, points } of series) {
    const own = points.slice(Math.max(0, skipped - passed), Math.max(0, end - passed));
    const isComplete = passed + points.length <= end;
    // A series without points is told once, on the first page.
    const isTold = own.length > 0 || (points.length === 0 && skipped === 0);
    passed += points.length;
    if (!isTold) continue;
    results.push({
      ...{ Id: id, Label: label },
      Timestamps: own.map(({ begin }) => begin),
      Values: own.map(({ value }) => value),
      StatusCode: isComplete ? "Complete" : "PartialData",
    });
  }
  return {
    MetricDataResults: results,
    ...(passed > end && { NextToken: writeToken(request, end) }),
    Messages: [],
  };
}

function checkQueries(queries: readonly Wire<cloudwatch.MetricDataQuery>[]): void {
  if (queries.length === 0 || queries.length > limits.queries)
    throw invalid(
      `MetricDataQueries must hold 1 to ${limits.queries} queries, not ${queries.length}.`,
    );
  const ids = new Set<string>();
  for (const { Id = "", Expression, MetricStat } of queries) {
    if (!/^[a-z][a-zA-Z0-9_]*$/.test(Id))
      throw invalid(
        `The Id "${Id}" must begin with a lower-case letter, and hold letters, digits and _.`,
      );
    if (ids.has(Id)) throw invalid(`The Id "${Id}" is there twice: each query needs its own.`);
    ids.add(Id);
    if (Expression !== undefined)
      throw invalid(
        `Query ${Id} is an expression (${Expression}): the local CloudWatch reads metrics only. ` +
          "Ask for its metrics with MetricStat and compute it from their values.",
      );
    if (MetricStat === undefined) throw invalid(`Query ${Id} needs a MetricStat.`);
  }
}

async function readSeries(
  metrics: MetricStore,
  scope: Scope,
  {
    query,
    request,
  }: {
    query: Wire<cloudwatch.MetricDataQuery>;
    request: Wire<cloudwatch.GetMetricDataInput>;
  },
): Promise<Series> {
  const { Id: id = "", MetricStat, Label } = query;
  const { Metric: wanted = {}, Period = 0, Stat = "", Unit } = MetricStat ?? {};
  const statistic = statisticOf(Stat);
  if (statistic === undefined)
    throw invalid(`The Stat "${Stat}" of query ${id} is not offered: there are ${statisticNames}.`);
  const metric = toMetric(wanted);
  const range = toRange(request, Period);
  const minutes = await metrics.minutes(scope, metric, range);
  const points = byPeriod(minutes, Period)
    .filter(({ unit }) => Unit === undefined || Unit === unit)
    .map((period) => ({ begin: period.begin, value: statistic(period) }));
  if (request.ScanBy !== "TimestampAscending") points.reverse();
  return { id, label: Label ?? metric.name, points };
}

async function getMetricStatistics(
  metrics: MetricStore,
  scope: Scope,
  request: Wire<cloudwatch.GetMetricStatisticsInput>,
): Promise<Wire<Omit<cloudwatch.GetMetricStatisticsOutput, "$metadata">>> {
  const { Period = 0, Statistics = [], ExtendedStatistics = [], Unit } = request;
  if (Statistics.length > 0 === ExtendedStatistics.length > 0)
    throw invalidCombination("Exactly one of Statistics and ExtendedStatistics must be specified.");
  const unknown = ExtendedStatistics.find((name) => !/^p/.test(name) || !statisticOf(name));
  if (unknown !== undefined)
    throw invalidValue(
      `The extended statistic ${unknown} is not offered: there are percentiles p0 to p100.`,
    );
  const metric = toMetric(request);
  const range = toRange(request, Period);
  const wanted = (range.to - range.from) / Period;
  if (wanted > limits.statisticsDataPoints)
    throw invalidCombination(
      `You have requested up to ${Math.ceil(wanted)} datapoints, which exceeds the limit of 1,440. ` +
        "You may reduce the datapoints requested by increasing Period, or decreasing the time range.",
    );
  await metrics.settled();
  const periods = byPeriod(await metrics.minutes(scope, metric, range), Period);
  const named = (names: readonly string[], summary: (typeof periods)[number]) =>
    Object.fromEntries(names.map((name) => [name, statisticOf(name)?.(summary) ?? 0]));
  return {
    Label: metric.name,
    Datapoints: periods
      .filter(({ unit }) => Unit === undefined || Unit === unit)
      .map((period) => ({
        Timestamp: period.begin,
        Unit: period.unit as cloudwatch.StandardUnit, // One of variantMetrics.
        ...named(Statistics, period),
        ...(ExtendedStatistics.length > 0 && {
          ExtendedStatistics: named(ExtendedStatistics, period),
        }),
      })),
  };
}

async function listMetrics(
  metrics: MetricStore,
  scope: Scope,
  request: Wire<cloudwatch.ListMetricsInput>,
): Promise<Wire<Omit<cloudwatch.ListMetricsOutput, "$metadata">>> {
  const { Namespace, MetricName, Dimensions = [], RecentlyActive, NextToken } = request;
  const skipped = readToken(request, NextToken);
  await metrics.settled();
  const age = RecentlyActive === undefined ? retentionSeconds : recentSeconds;
  const found = (await metrics.list(scope, Date.now() / 1000 - age)).filter(
    ({ namespace, name, dimensions }) =>
      (Namespace === undefined || Namespace === namespace) &&
      (MetricName === undefined || MetricName === name) &&
      Dimensions.every(({ Name, Value }) =>
        dimensions.some((own) => own.Name === Name && (Value === undefined || own.Value === Value)),
      ),
  );
  const end = skipped + metricsPerPage;
  return {
    Metrics: found.slice(skipped, end).map(({ namespace, name, dimensions }) => ({
      ...{ Namespace: namespace, MetricName: name, Dimensions: [...dimensions] },
    })),
    ...(found.length > end && { NextToken: writeToken(request, end) }),
  };
}

function toMetric({ Namespace, MetricName, Dimensions = [] }: Wire<cloudwatch.Metric>): Metric {
  if (Namespace === undefined || MetricName === undefined)
    throw invalid("A metric needs a Namespace and a MetricName.");
  const dimensions = Dimensions.map(({ Name = "", Value = "" }) => ({ Name, Value }));
  return { namespace: Namespace, name: MetricName, dimensions };
}

/** From the begin of the period that StartTime falls into, up to EndTime. */
function toRange(
  request: { readonly StartTime?: number; readonly EndTime?: number },
  period: number,
): { from: number; to: number } {
  const { StartTime = 0, EndTime = 0 } = request;
  if (period % 60 !== 0 || period < 60)
    throw invalidValue(
      `The Period ${period} is not a multiple of 60: metrics are kept by the minute.`,
    );
  if (StartTime >= EndTime)
    throw invalidValue("The parameter StartTime must be less than the parameter EndTime.");
  return { from: floorTo(StartTime, period), to: EndTime };
}

/** A token goes on where a page ended, for the same request only. */
function writeToken(request: object, skipped: number): string {
  const token = JSON.stringify({ skipped, request: fingerprint(request) });
  return Buffer.from(token).toString("base64url");
}

function readToken(request: object, token: string | undefined): number {
  if (token === undefined) return 0;
  try {
    const read: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (isMembers(read) && read["request"] === fingerprint(request)) {
      const { skipped } = read;
      if (typeof skipped === "number" && Number.isSafeInteger(skipped) && skipped >= 0)
        return skipped;
    }
  } catch {
    // Not ours.
  }
  throw new AwsError("InvalidNextToken", "The NextToken is not one of this request's.");
}

function fingerprint(request: object): string {
  const { NextToken: _, ...rest } = request as { NextToken?: string };
  return createHash("sha256").update(JSON.stringify(rest)).digest("hex").slice(0, 16);
}

const invalid = (message: string) => new AwsError("ValidationError", message);
const invalidValue = (message: string) => new AwsError("InvalidParameterValue", message);
const invalidCombination = (message: string) =>
  new AwsError("InvalidParameterCombination", message);
