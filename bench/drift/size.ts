/** How long a look takes and how much memory, by modelfleet in Postgres and by pandas on the rows. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { z } from "zod";
import { createDriftRunActivities } from "../../activities/drift.js";
import { newestWindow } from "../../fleet/drift.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { bindWindow } from "../../fleet/sql.js";
import { cycleWindow } from "../../fleet/window.js";
import { repeatFlights } from "../export/fleet.js";
import { lastJsonLine, runMeasured, type Usage } from "../measured-process.js";
import type { Table } from "../report.js";
import type { BenchStack, Tell } from "../stack.js";
import { formatMegabytes, formatNumber, median, withSpread } from "../statistics.js";
import { aWatchedFleet, serveAll } from "./fleets.js";

/** One contender's measurements on one table. */
export interface Size {
  readonly name: string;
  /** Of both windows. */
  readonly rows: number;
  readonly customers: number;
  readonly seconds: readonly number[];
  readonly usages: readonly Usage[];
}

const REFERENCE = { floor: "2013-01-01T00:00:00.000Z", ceiling: "2013-07-01T00:00:00.000Z" };
const AT = "2014-01-02T00:00:00.000Z";
const NUMBERS = "arr_delay, dep_delay, distance, day, hour, minute, air_time, sched_dep_time".split(
  ", ",
);

/** Contenders take turns. Their figures are compared, and the run fails when they differ. */
export async function measureSizes(
  stack: BenchStack,
  ledger: pg.Pool,
  { copies, repetitions }: { readonly copies: readonly number[]; readonly repetitions: number },
  tell: Tell,
): Promise<Size[]> {
  const sizes: Size[] = [];
  for (const each of copies) {
    const prepared = await prepare(stack, ledger, each);
    const ours: Measured[] = [];
    const pandas: Measured[] = [];
    for (let repetition = 1; repetition <= repetitions; repetition++) {
      ours.push(await look(stack, ledger, prepared, repetition));
      pandas.push(await lookByPandas(stack, prepared));
      await compareFigures(stack, ledger, prepared);
      const [one, other] = [ours.at(-1)?.seconds ?? NaN, pandas.at(-1)?.seconds ?? NaN];
      tell(`${prepared.spec.name}: ${one.toFixed(1)} s, pandas ${other.toFixed(1)} s`);
    }
    const rows = pandas[0]?.rows ?? 0;
    for (const [name, measured] of [
      ["modelfleet, counted in Postgres", ours],
      ["pandas, rows read", pandas],
    ] as const)
      sizes.push({
        name,
        rows,
        customers: prepared.customers.length,
        seconds: measured.map(({ seconds }) => seconds),
        usages: measured.map(({ usage }) => usage),
      });
  }
  return sizes;
}

interface Prepared {
  readonly spec: FleetSpec;
  readonly customers: readonly string[];
  readonly reference: string;
  readonly newest: string;
}

async function prepare(stack: BenchStack, ledger: pg.Pool, copies: number): Promise<Prepared> {
  const table = copies === 1 ? "flights" : `drift_flights_${copies}`;
  if (copies > 1) await repeatFlights(stack.warehouseUrl, table, copies);
  const spec = await aWatchedFleet({
    name: `drift-size-${copies}`,
    query: `select dest, ${NUMBERS.join(", ")}, carrier, origin
              from ${table} where time_hour >= :floor and time_hour < :ceiling and arr_delay is not null`,
    customer: "dest",
    target: "arr_delay",
    drift: { psi: 0.25 },
  });
  const customers = await destinations(stack.warehouseUrl, table);
  await serveAll(ledger, spec, { customers, window: REFERENCE });
  const { ceiling } = cycleWindow(spec.source.window, AT);
  const window = newestWindow(REFERENCE, { ceiling, days: undefined });
  if (window === null) throw new Error("there are no new rows to compare");
  const [reference, newest] = [REFERENCE, window].map((one) => bindWindow(spec.source.query, one));
  return { spec, customers, reference: reference ?? "", newest: newest ?? "" };
}

async function destinations(url: string, table: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ dest: string }>(
      `select distinct dest from ${table} order by dest`,
    );
    return rows.map(({ dest }) => dest);
  } finally {
    await client.end();
  }
}

interface Measured {
  readonly seconds: number;
  readonly usage: Usage;
  readonly rows: number;
}

const measuredSchema = z.object({ seconds: z.number(), rows: z.number().default(0) });

async function look(
  stack: BenchStack,
  ledger: pg.Pool,
  { spec }: Prepared,
  repetition: number,
): Promise<Measured> {
  const ref = { fleet: spec.name, run: `look-${repetition}` };
  const { openDriftRun } = createDriftRunActivities({ ledger });
  await openDriftRun({ ...ref, spec, at: AT, workflowId: "bench", dryRun: true });
  const { usage, stdout } = await runMeasured(stack, {
    command: process.execPath,
    args: [join(import.meta.dirname, "drift-process.mjs"), ref.fleet, ref.run],
  });
  return { ...measuredSchema.parse(lastJsonLine(stdout)), usage };
}

const figuresFile = (stack: BenchStack): string => join(stack.workFolder, "pandas-figures.json");

async function lookByPandas(
  stack: BenchStack,
  { spec, reference, newest }: Prepared,
): Promise<Measured> {
  const { usage, stdout } = await runMeasured(stack, {
    command: stack.python.executable,
    args: [
      join(import.meta.dirname, "pandas_drift.py"),
      ...[stack.warehouseUrl, spec.source.customer, reference, newest, figuresFile(stack)],
    ],
  });
  return { ...measuredSchema.parse(lastJsonLine(stdout)), usage };
}

/** Rounding only: text is dealt to bins by its hash here and has a bin a value there, so numbers are compared. */
const TOLERANCE = 1e-6;

async function compareFigures(stack: BenchStack, ledger: pg.Pool, { spec }: Prepared) {
  const theirs = z
    .record(z.string(), z.record(z.string(), z.number()))
    .parse(JSON.parse(readFileSync(figuresFile(stack), "utf8")));
  const { rows } = await ledger.query<{ customer: string; column: string; value: number }>(
    `select c.customer, f.column_name as column, f.value
       from drift_figures f join drift_customers c using (fleet, run, customer_key)
      where f.fleet = $1 and f.run = 'look-1' and f.column_name = any($2)`,
    [spec.name, NUMBERS],
  );
  const differing = rows.filter(
    ({ customer, column, value }) =>
      !(Math.abs((theirs[customer]?.[column] ?? NaN) - value) < TOLERANCE),
  );
  if (rows.length === 0) throw new Error("modelfleet has told no figure");
  if (differing.length > 0)
    throw new Error(
      `${differing.length} of ${rows.length} figures differ, first: ${JSON.stringify(differing[0])}`,
    );
}

export const sizeTable = (sizes: readonly Size[]): Table => ({
  title: "One look: ten columns, half a year beside half a year",
  headers: [
    ...["rows", "customers", "", "seconds", "rows a second", "time to pandas'"],
    ...["CPU seconds", "peak memory, MB", "memory to pandas'"],
  ],
  rows: sizes.map(({ name, rows, customers, seconds, usages }) => {
    const beside = sizes.find((one) => one.rows === rows && one.name !== name) ?? sizes[0];
    const isPandas = name.startsWith("pandas");
    const peak = median(usages.map(({ peakRssBytes }) => peakRssBytes));
    const otherPeak = median((beside?.usages ?? []).map(({ peakRssBytes }) => peakRssBytes));
    return [
      formatNumber(rows, 0),
      formatNumber(customers, 0),
      name,
      withSpread(seconds, 1),
      formatNumber(Math.round(rows / median(seconds)), 0),
      isPandas ? "1.00" : (median(seconds) / median(beside?.seconds ?? [])).toFixed(2),
      formatNumber(median(usages.map(({ cpuSeconds }) => cpuSeconds)), 1),
      formatMegabytes(peak),
      isPandas ? "1.00" : (peak / otherPeak).toFixed(2),
    ];
  }),
});
