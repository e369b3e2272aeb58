/** `npm run bench -- drift`: how often drift is found where there is some, and where there is none; time and memory. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { z } from "zod";
import { createDriftRunActivities } from "../../activities/drift.js";
import { repeatFlights } from "../export/fleet.js";
import { withLedger } from "../ledger.js";
import { lastJsonLine, runMeasured } from "../measured-process.js";
import type { Report, Table } from "../report.js";
import { ensureFlights, type BenchStack, type Tell } from "../stack.js";
import { formatMegabytes, formatNumber } from "../statistics.js";
import { aWatchedFleet, serveAll } from "./fleets.js";
import { flightsTable, watchFlights, type MonthFound } from "./flights.js";
import { detect, detectionTables, type Detection } from "./synthetic.js";

export interface DriftOptions {
  readonly quick: boolean;
  /** Synthetic customers of each change. */
  readonly customers: number;
  /** Tables whose comparison is measured: how often each repeats the flights. */
  readonly copies: readonly number[];
}

export async function benchDrift(
  stack: BenchStack,
  options: DriftOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  const { quick, customers, copies } = options;
  const { warehouseUrl } = stack;
  await ensureFlights(stack, tell);
  const { detections, months, sizes } = await withLedger(stack, async (ledger) => {
    const rows = quick
      ? ([[300, 200]] as const)
      : ([
          [1000, 250],
          [5000, 1000],
        ] as const);
    const found = await detect({ ledger, warehouseUrl }, { customers, rows }, tell);
    const flights = await watchFlights({ ledger, warehouseUrl }, { months: quick ? 1 : 6 }, tell);
    const measured: Size[] = [];
    for (const each of copies) measured.push(await measureSize(stack, ledger, each, tell));
    return { detections: found, months: flights, sizes: measured };
  });
  if (!quick) await plot(stack, detections, months);
  return {
    title: "who is found to have drifted, and what it takes to look",
    tables: [...detectionTables(detections, customers), flightsTable(months), sizeTable(sizes)],
    notes: NOTES,
  };
}

interface Size {
  readonly rows: number;
  readonly customers: number;
  readonly seconds: number;
  readonly peakRssBytes: number;
}

const HALF_YEAR = { floor: "2013-01-01T00:00:00.000Z", ceiling: "2013-07-01T00:00:00.000Z" };
const AT = "2014-01-02T00:00:00.000Z";

const measuredSchema = z.object({ seconds: z.number(), customers: z.number() });

async function measureSize(
  stack: BenchStack,
  ledger: pg.Pool,
  copies: number,
  tell: Tell,
): Promise<Size> {
  const table = copies === 1 ? "flights" : `drift_flights_${copies}`;
  if (copies > 1) await repeatFlights(stack.warehouseUrl, table, copies);
  const spec = await aWatchedFleet({
    name: `drift-size-${copies}`,
    query: `select dest, arr_delay, dep_delay, distance, carrier, origin, day, hour, minute, air_time, sched_dep_time
              from ${table} where time_hour >= :floor and time_hour < :ceiling and arr_delay is not null`,
    customer: "dest",
    target: "arr_delay",
    drift: { ks: 0.2 },
  });
  const { rows, customers } = await countTable(stack.warehouseUrl, table);
  await serveAll(ledger, spec, { customers, window: HALF_YEAR });
  const ref = { fleet: spec.name, run: "size" };
  const { openDriftRun } = createDriftRunActivities({ ledger });
  await openDriftRun({ ...ref, spec, at: AT, workflowId: "bench", dryRun: true });
  const { usage, stdout } = await runMeasured(stack, {
    command: process.execPath,
    args: [join(import.meta.dirname, "drift-process.mjs"), ref.fleet, ref.run],
  });
  const { seconds } = measuredSchema.parse(lastJsonLine(stdout));
  tell(`${formatNumber(rows, 0)} rows: ${seconds.toFixed(1)} s`);
  return { rows, customers: customers.length, seconds, peakRssBytes: usage.peakRssBytes };
}

async function countTable(
  url: string,
  table: string,
): Promise<{ rows: number; customers: string[] }> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ dest: string; count: string }>(
      `select dest, count(*) from ${table} group by dest order by dest`,
    );
    return {
      rows: rows.reduce((sum, { count }) => sum + Number(count), 0),
      customers: rows.map(({ dest }) => dest),
    };
  } finally {
    await client.end();
  }
}

const sizeTable = (sizes: readonly Size[]): Table => ({
  title: "One look: ten columns, half a year beside half a year",
  headers: ["rows", "customers", "seconds", "rows a second", "peak memory of the process, MB"],
  rows: sizes.map(({ rows, customers, seconds, peakRssBytes }) => [
    formatNumber(rows, 0),
    formatNumber(customers, 0),
    seconds.toFixed(1),
    formatNumber(Math.round(rows / seconds), 0),
    formatMegabytes(peakRssBytes),
  ]),
});

async function plot(
  stack: BenchStack,
  detections: readonly Detection[],
  months: readonly MonthFound[],
): Promise<void> {
  const rows = detections.at(-1)?.rows;
  const shown = detections.filter((one) => one.rows === rows && one.policy === "PSI 0.25");
  const input = join(stack.workFolder, "drift.json");
  writeFileSync(input, JSON.stringify({ detections: shown, months }));
  await runMeasured(stack, {
    command: stack.python.executable,
    args: [
      join(import.meta.dirname, "plot.py"),
      input,
      join(import.meta.dirname, "..", "drift.svg"),
    ],
  });
}

const NOTES = [
  "Synthetic customers have a label, two features and a category of four values, all drawn anew for each window; one of them changes as the row says. A shift of 0.5 σ is a PSI of about 0.25 with any number of rows, so that half of such customers are found and half are not: the threshold is where it says.",
  "Flights: `month` and `day` are not looked at. The first row deals January to June by a hash of each row to both windows, so that whatever is found there is a false alarm on real data; what the months find is weather, holidays and a changed timetable, which are real changes but need not be harmful ones.",
  "Time and memory: the activity in a process of its own on the built package; Postgres on the same machine with its settings as they are, reading the reference twice and the new rows once. Memory is the process's, which holds the names of the customers and one customer's counts.",
  "![Customers found by kind and strength of drift, and destinations found by month](drift.svg)",
];
