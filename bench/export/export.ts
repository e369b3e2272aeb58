/** `npm run bench -- export`: modelfleet's export beside raw COPY and beside pandas, on the same query. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { withLedger } from "../ledger.js";
import { lastJsonLine, runMeasured } from "../measured-process.js";
import type { Report, Table } from "../report.js";
import { ensureFlights, type BenchStack, type Tell } from "../stack.js";
import { formatMegabytes, formatNumber, median, withSpread } from "../statistics.js";
import {
  exportedSql,
  exportFleet,
  ONE_DAY,
  ONE_MONTH,
  openCycles,
  repeatFlights,
  WHOLE_YEAR,
} from "./fleet.js";
import { psqlCopy, psqlSeconds, psqlVersion } from "./psql-copy.js";

export interface ExportOptions {
  readonly quick: boolean;
  /** Tables measured: how often each repeats the flights. */
  readonly copies: readonly number[];
  readonly repetitions: number;
}

interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
  readonly rows: number;
}

const CONTENDERS = ["psql", "modelfleet", "modelfleet, no S3", "pandas"] as const;
type ContenderName = (typeof CONTENDERS)[number];

const titles: Record<ContenderName, string> = {
  psql: "psql COPY to /dev/null",
  modelfleet: "modelfleet exportDataset",
  "modelfleet, no S3": "modelfleet exportDataset, uploads answered at once",
  pandas: "pandas + psycopg, one CSV per customer on disk",
};

const resultSchema = z.object({
  seconds: z.number(),
  rows: z.number(),
  cpuSeconds: z.number().optional(),
});

export async function benchExport(
  stack: BenchStack,
  options: ExportOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  const psql = psqlVersion();
  await ensureFlights(stack, tell);
  const tables: Table[] = [];
  for (const copies of options.copies)
    tables.push(await measureTable(stack, copies, options, tell));
  return { title: "rows out of the warehouse, split per customer", tables, notes: notes(psql) };
}

async function measureTable(
  stack: BenchStack,
  copies: number,
  options: ExportOptions,
  tell: Tell,
): Promise<Table> {
  const table = copies === 1 ? "flights" : `flights_${copies}`;
  if (copies > 1) {
    tell(`repeating the flights ${copies} times …`);
    await repeatFlights(stack.warehouseUrl, table, copies);
  }
  const window = options.quick ? ONE_MONTH : WHOLE_YEAR;
  const runs = await withLedger(stack, async (ledger) => {
    const spec = await exportFleet(`bench-export-${copies}`, table);
    const names = Array.from({ length: options.repetitions }, (_, index) => `run-${index + 1}`);
    const measured = names.flatMap((name) => [name, `${name}-null`]);
    await openCycles(
      ledger,
      spec,
      ["first", ...measured].flatMap((name) => [
        { cycle: name, window },
        { cycle: `${name}-before`, window: ONE_DAY },
      ]),
    );
    // One that is not measured: it fills Postgres' cache for all, and tells the query that all of them run.
    await ours(stack, spec.name, "first", "s3");
    const sql = await exportedSql(ledger, spec.name, "first");
    return await interleave(names, tell, {
      psql: () => psql(stack, sql),
      modelfleet: (name) => ours(stack, spec.name, name, "s3"),
      "modelfleet, no S3": (name) => ours(stack, spec.name, `${name}-null`, "null"),
      pandas: () => pandas(stack, sql),
    });
  });
  return resultTable(runs);
}

/** One after the other within each repetition, so that a machine that slows down slows all of them. */
async function interleave(
  names: readonly string[],
  tell: Tell,
  contenders: Record<ContenderName, (name: string) => Promise<Run>>,
): Promise<Map<ContenderName, Run[]>> {
  const runs = new Map<ContenderName, Run[]>(CONTENDERS.map((contender) => [contender, []]));
  for (const name of names) {
    for (const contender of CONTENDERS) {
      const run = await contenders[contender](name);
      runs.get(contender)?.push(run);
      tell(
        `${name} ${contender}: ${run.seconds.toFixed(2)} s, ${formatMegabytes(run.peakRssBytes)} MB`,
      );
    }
  }
  return runs;
}

async function psql(stack: BenchStack, sql: string): Promise<Run> {
  const { usage, stdout } = await runMeasured(stack, psqlCopy(stack.warehouseUrl, sql));
  return { ...usage, seconds: psqlSeconds(stdout), rows: NaN };
}

async function ours(
  stack: BenchStack,
  fleet: string,
  cycle: string,
  sink: "s3" | "null",
): Promise<Run> {
  const script = join(import.meta.dirname, "export-process.mjs");
  const { usage, stdout } = await runMeasured(stack, {
    command: process.execPath,
    args: [script, fleet, `${cycle}-before`, cycle, sink],
    env: stack.environment,
  });
  const result = resultSchema.parse(lastJsonLine(stdout));
  return { ...usage, ...result, cpuSeconds: result.cpuSeconds ?? usage.cpuSeconds };
}

async function pandas(stack: BenchStack, sql: string): Promise<Run> {
  const folder = join(stack.workFolder, "pandas");
  mkdirSync(folder, { recursive: true });
  const script = join(import.meta.dirname, "pandas_export.py");
  const { usage, stdout } = await runMeasured(stack, {
    command: stack.python.executable,
    args: [script, stack.warehouseUrl, "customer", folder],
    stdin: sql,
  });
  rmSync(folder, { recursive: true });
  return { ...usage, ...resultSchema.parse(lastJsonLine(stdout)), cpuSeconds: usage.cpuSeconds };
}

function resultTable(runs: ReadonlyMap<ContenderName, readonly Run[]>): Table {
  const rows = runs.get("modelfleet")?.[0]?.rows ?? NaN;
  for (const run of [...runs.values()].flat())
    if (!Number.isNaN(run.rows) && run.rows !== rows)
      throw new Error(`the contenders exported ${run.rows} and ${rows} rows of one query`);
  const fastest = median((runs.get("psql") ?? []).map((run) => run.seconds));
  const repetitions = runs.get("psql")?.length ?? 0;
  return {
    title: `${formatNumber(rows, 0)} rows, ${repetitions} repetitions: median (lowest–highest)`,
    headers: ["", "seconds", "rows/s", "share of raw COPY's speed", "CPU seconds", "peak RSS, MB"],
    rows: CONTENDERS.map((contender) => {
      const of = runs.get(contender) ?? [];
      const seconds = of.map((run) => run.seconds);
      return [
        titles[contender],
        withSpread(seconds, 2),
        formatNumber(rows / median(seconds), 0),
        formatNumber(fastest / median(seconds), 2),
        formatNumber(median(of.map((run) => run.cpuSeconds)), 1),
        formatNumber(Math.max(...of.map((run) => run.peakRssBytes)) / 1e6, 0),
      ];
    }),
  };
}

function notes(psql: string): string[] {
  return [
    `All run the very query that the activity wraps around the fleet's, sorted by customer; the sort is Postgres' and the same for all. ${psql}.`,
    "modelfleet also splits rows into train, validation and test, refuses bad targets, hashes each customer's bytes, uploads to the local S3 server (on the same cores), and writes ledger and manifest; its peak memory is that of a whole Node process with the Temporal SDK. The clock starts after an export of one day in the same process.",
    "pandas reads through a server-side cursor in chunks of 100,000 rows and appends to one local file per customer: no upload, no split, no checks.",
    "CPU seconds are the client's, not those of Postgres or of the S3 server.",
  ];
}
