/** Metrics by the minute: collected in memory, kept in Postgres, so that they survive a restart. */
import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import type { Scope } from "./arns.js";
import { createSummary, summaryOf } from "./metric-summary.js";
import type { MetricSummary } from "./metric-summary.js";
import { persistently } from "./persistently.js";
import { variantMetrics } from "./variant-metrics.js";
import type { VariantMeter, VariantMetric } from "./variant-metrics.js";

export interface Dimension {
  readonly Name: string;
  readonly Value: string;
}

export interface Metric {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: readonly Dimension[];
}

export interface MinuteOfMetric extends MetricSummary {
  /** Epoch seconds of the minute's begin. */
  readonly minute: number;
  readonly unit: string;
}

export type MetricStore = ReturnType<typeof createMetricStore>;

/** AWS keeps minutes for 15 days; a local stack is asked about today. */
export const retentionSeconds = 3 * 24 * 60 * 60;
/** How much a crash may lose, and how often a busy endpoint writes. */
const writeEveryMs = 1_000;
const cleanUpEveryMs = 60 * 60 * 1000;

/** A minute that is under way, or whose end is still to be written. */
interface OpenMinute {
  readonly scope: Scope;
  readonly metric: Metric;
  readonly unit: string;
  readonly minute: number;
  readonly samples: ReturnType<typeof createSummary>;
  gauge: number | undefined;
  isWritten: boolean;
}

const minuteOf = (nowMs: number): number => Math.floor(nowMs / 60_000) * 60;

export function createMetricStore(db: Pool) {
  const { current, writeNext } = createMinutes(db);
  return {
    /** The meter of one variant: its metrics under the endpoint's and the variant's name. */
    meter(scope: Scope, endpointName: string, variantName: string): VariantMeter {
      const dimensions = sorted([
        { Name: "EndpointName", Value: endpointName },
        { Name: "VariantName", Value: variantName },
      ]);
      const series = new Map<VariantMetric, Series>();
      const seriesOf = (name: VariantMetric): Series => {
        const found = series.get(name) ?? aSeries(scope, name, dimensions);
        series.set(name, found);
        return found;
      };
      return {
        sample: (name, value) => current(seriesOf(name)).samples.add(value),
        gauge: (name, value) => void (current(seriesOf(name)).gauge = value),
      };
    },

    /** Minutes that begin in [from, to), oldest first; of several processes in one minute each its own. */
    async minutes(
      scope: Scope,
      { namespace, name, dimensions }: Metric,
      { from, to }: { from: number; to: number },
    ): Promise<MinuteOfMetric[]> {
      const sql = `select minute::float8 as minute, unit, count, sum, minimum, maximum, histogram
                   from sagemaker.metrics
                   where account = $1 and region = $2 and namespace = $3 and name = $4
                     and dimensions = $5 and minute >= $6 and minute < $7 order by minute`;
      const series = [scope.account, scope.region, namespace, name, textOf(dimensions)];
      // Minutes are whole seconds: the next whole second bounds the same ones.
      const values = [...series, Math.ceil(from), Math.ceil(to)];
      return (await db.query<MinuteOfMetric>(sql, values)).rows;
    },

    /** Metrics that have had a sample since then, by namespace, name and dimensions. */
    async list(scope: Scope, since: number): Promise<Metric[]> {
      const sql = `select distinct namespace, name, dimensions from sagemaker.metrics
                   where account = $1 and region = $2 and minute >= $3
                   order by namespace, name, dimensions`;
      const values = [scope.account, scope.region, Math.floor(since)];
      const { rows } = await db.query<{ namespace: string; name: string; dimensions: string }>(
        sql,
        values,
      );
      return rows.map((row) => ({
        ...row,
        dimensions: JSON.parse(row.dimensions) as Dimension[], // Written by textOf.
      }));
    },

    /** What has been told is stored: a reader sees its own samples. */
    settled: writeNext,
  };
}

/** Collects samples by the minute and writes each minute that has changed, again and again until it is over. */
function createMinutes(db: Pool) {
  /** What an earlier process counted in the same minute is a row of its own. */
  const run = randomUUID();
  const open = new Map<string, OpenMinute>();
  let writing: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let nextCleanUpMs = 0;

  const write = async (): Promise<void> => {
    const due = [...open.values()].filter(({ isWritten }) => !isWritten);
    for (const minute of due) minute.isWritten = true;
    const now = minuteOf(Date.now());
    if (due.length > 0) await persistently(() => upsert(db, run, due));
    for (const [key, { minute, isWritten }] of open)
      if (isWritten && minute < now) open.delete(key);
    if (Date.now() < nextCleanUpMs) return;
    nextCleanUpMs = Date.now() + cleanUpEveryMs;
    await db.query("delete from sagemaker.metrics where minute < $1", [now - retentionSeconds]);
  };
  const writeNext = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    writing = writing.then(write).catch(() => undefined); // The next write takes up what is open.
    return writing;
  };
  return {
    /** The minute that is under way; it is written soon. */
    current: (series: Series): OpenMinute => {
      const minute = minuteOf(Date.now());
      const key = `${series.id} ${minute}`;
      let found = open.get(key);
      if (found === undefined) {
        found = { ...series, minute, samples: createSummary(), gauge: undefined, isWritten: false };
        open.set(key, found);
      }
      found.isWritten = false;
      timer ??= setTimeout(() => void writeNext(), writeEveryMs).unref();
      return found;
    },
    writeNext,
  };
}

interface Series {
  readonly id: string;
  readonly scope: Scope;
  readonly metric: Metric;
  readonly unit: string;
}

function aSeries(scope: Scope, name: VariantMetric, dimensions: readonly Dimension[]): Series {
  const { namespace, unit } = variantMetrics[name];
  const { account, region } = scope;
  const id = JSON.stringify([account, region, namespace, name, dimensions]);
  return { id, scope: { account, region }, metric: { namespace, name, dimensions }, unit };
}

const sorted = (dimensions: readonly Dimension[]) =>
  [...dimensions].sort((a, b) => (a.Name < b.Name ? -1 : 1));

/** The same dimensions are the same text, in whatever order they were given. */
const textOf = (dimensions: readonly Dimension[]): string =>
  JSON.stringify(sorted(dimensions).map(({ Name, Value }) => ({ Name, Value })));

async function upsert(db: Pool, run: string, minutes: readonly OpenMinute[]): Promise<void> {
  const rows = minutes.map(({ scope, metric, minute, unit, samples, gauge }) => ({
    ...scope,
    ...{ namespace: metric.namespace, name: metric.name, dimensions: textOf(metric.dimensions) },
    ...{ minute, run, unit },
    ...(gauge === undefined ? samples.summary() : summaryOf(gauge)),
  }));
  await db.query(
    `insert into sagemaker.metrics
       select * from jsonb_to_recordset($1::jsonb) as sample (account text, region text,
         namespace text, name text, dimensions text, minute bigint, run text, unit text,
         count float8, sum float8, minimum float8, maximum float8, histogram jsonb)
     on conflict (account, region, namespace, name, dimensions, minute, run) do update
       set count = excluded.count, sum = excluded.sum, minimum = excluded.minimum,
           maximum = excluded.maximum, histogram = excluded.histogram`,
    [JSON.stringify(rows)],
  );
}
