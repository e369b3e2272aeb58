/** `npm run bench -- drift`: how often drift is found where there is some, and where there is none; time and memory. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { withLedger } from "../ledger.js";
import { runMeasured } from "../measured-process.js";
import type { Report } from "../report.js";
import { ensureFlights, type BenchStack, type Tell } from "../stack.js";
import { flightsTable, watchFlights, type MonthFound } from "./flights.js";
import { measureSizes, sizeTable } from "./size.js";
import { detect, detectionTables, type Detection } from "./synthetic.js";

export interface DriftOptions {
  readonly quick: boolean;
  /** Synthetic customers of each change. */
  readonly customers: number;
  /** Tables whose comparison is measured: how often each repeats the flights. */
  readonly copies: readonly number[];
  /** Of each measurement. */
  readonly repetitions: number;
}

export async function benchDrift(
  stack: BenchStack,
  options: DriftOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  const { quick, customers } = options;
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
    const measured = await measureSizes(stack, ledger, options, tell);
    return { detections: found, months: flights, sizes: measured };
  });
  if (!quick) await plot(stack, detections, months);
  return {
    title: "who is found to have drifted, and what it takes to look",
    tables: [...detectionTables(detections, customers), flightsTable(months), sizeTable(sizes)],
    notes: NOTES,
  };
}

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
  "Time and memory: each contender in a process of its own, in turns, modelfleet's on the built package; Postgres on the same machine with its settings as they are. modelfleet has Postgres read the reference twice and the new rows once, and itself holds the customers' names and one customer's counts. pandas reads both windows through a server-side cursor and keeps them, as deciles need all of a customer's rows. Figures of numbers are compared and equal, text is binned by its hash here and by its value there. CPU seconds and memory are the process's, not Postgres'.",
  "![Customers found by kind and strength of drift, and destinations found by month](drift.svg)",
];
