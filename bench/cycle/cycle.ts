/** `npm run bench -- cycle`: what a customer costs beside its job, and the same steps in other engines. */
import type { Report, Table } from "../report.js";
import { PEER_PORT, required, type BenchStack, type Tell } from "../stack.js";
import { formatMegabytes, formatNumber } from "../statistics.js";
import { overTime } from "../memory-samples.js";
import { measureOurCycle, type OurCycle } from "./our-cycle.js";
import {
  createDatabase,
  runDbos,
  runPrefect,
  runTemporal,
  STEPS_PER_CUSTOMER,
  type PeerRun,
} from "./peers.js";

export interface CycleOptions {
  /** Fleet sizes. */
  readonly customers: readonly number[];
  /** Prefect, which is much slower, runs the sizes up to this one. */
  readonly prefectUpTo: number;
  /** Folder for the worker's CPU profiles; profiling slows it down. */
  readonly profile?: string;
}

const IN_FLIGHT = 50;

export async function benchCycle(
  stack: BenchStack,
  options: CycleOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  const ours: OurCycle[] = [];
  const stepRows: string[][] = [];
  for (const customers of options.customers) {
    const size = { customers, inFlight: IN_FLIGHT };
    const cycle = await measureOurCycle(stack, { ...size, profile: options.profile }, tell);
    ours.push(cycle);
    stepRows.push(ourRow(cycle), ...(await peerRows(stack, size, options, tell)));
  }
  return {
    title: "overhead per customer, with jobs that do nothing",
    tables: [
      overheadTable(ours),
      cpuTable(ours),
      costTable(ours),
      callTable(ours),
      stepTable(stepRows),
    ],
    notes: NOTES,
  };
}

async function peerRows(
  stack: BenchStack,
  size: { customers: number; inFlight: number },
  { prefectUpTo }: CycleOptions,
  tell: Tell,
): Promise<string[][]> {
  const { customers } = size;
  const address = required(stack.environment, "TEMPORAL_ADDRESS");
  const namespace = required(stack.environment, "TEMPORAL_NAMESPACE");
  const temporal = await runTemporal(stack, { address, namespace }, size);
  tell(`${customers} customers in Temporal alone: ${temporal.seconds.toFixed(1)} s`);
  const database = await createDatabase(stack.warehouseUrl, `dbos_${customers}`);
  const dbos = await runDbos(stack, database, size);
  tell(`${customers} customers in DBOS: ${dbos.seconds.toFixed(1)} s`);
  const rows = [
    stepRow("Temporal alone: a workflow of 6 activities", customers, temporal),
    stepRow("DBOS: a workflow of 6 steps", customers, dbos),
  ];
  if (customers > prefectUpTo) return rows;
  const prefect = await runPrefect(stack, PEER_PORT, size);
  tell(`${customers} customers in Prefect: ${prefect.seconds.toFixed(1)} s`);
  return [...rows, stepRow("Prefect: a task of 6 tasks", customers, prefect)];
}

function overheadTable(cycles: readonly OurCycle[]): Table {
  return {
    title: "A cycle of modelfleet",
    headers: [
      "customers",
      "registered, s",
      "serving, s",
      "ms per customer, registered",
      "ms per customer, serving",
      "worker RSS peak, MB",
      "RSS by fifths of the time, MB",
    ],
    rows: cycles.map(({ customers, registeredSeconds, servingSeconds, residentBytes }) => [
      formatNumber(customers, 0),
      formatNumber(registeredSeconds, 1),
      formatNumber(servingSeconds, 1),
      formatNumber((registeredSeconds * 1000) / customers, 1),
      formatNumber((servingSeconds * 1000) / customers, 1),
      formatMegabytes(Math.max(...residentBytes)),
      overTime(residentBytes),
    ]),
  };
}

function cpuTable(cycles: readonly OurCycle[]): Table {
  const parts = [...new Set(cycles.flatMap(({ cpuSeconds }) => Object.keys(cpuSeconds)))];
  return {
    title: "Where a cycle's CPU time goes: ms per customer, until serving",
    headers: ["customers", ...parts, "all"],
    rows: cycles.map(({ customers, cpuSeconds }) => {
      const perCustomer = (seconds: number) => formatNumber((seconds * 1000) / customers, 1);
      return [
        formatNumber(customers, 0),
        ...parts.map((part) => perCustomer(cpuSeconds[part] ?? 0)),
        perCustomer(sumOf(cpuSeconds)),
      ];
    }),
  };
}

function costTable(cycles: readonly OurCycle[]): Table {
  const types = [...new Set(cycles.flatMap(({ costs }) => [...costs.keys()]))].sort();
  const rows = cycles.flatMap(({ customers, costs }) => {
    const perCustomer = (count: number) => formatNumber(count / customers, 2);
    const all = [...costs.values()];
    const sum = (read: (cost: { events: number; actions: number; heartbeats: number }) => number) =>
      all.reduce((total, cost) => total + read(cost), 0);
    return [
      ...types.map((type) => {
        const { runs, events, actions, heartbeats } = costs.get(type) ?? {
          ...{ runs: 0, events: 0, actions: 0, heartbeats: 0 },
        };
        return [
          type,
          formatNumber(customers, 0),
          formatNumber(runs, 0),
          ...[events, actions, heartbeats].map(perCustomer),
        ];
      }),
      [
        "**all**",
        formatNumber(customers, 0),
        formatNumber(
          all.reduce((total, { runs }) => total + runs, 0),
          0,
        ),
        perCustomer(sum(({ events }) => events)),
        perCustomer(sum(({ actions }) => actions)),
        perCustomer(sum(({ heartbeats }) => heartbeats)),
      ],
    ];
  });
  return {
    title: "Temporal, per customer",
    headers: ["workflow", "customers", "runs", "events", "actions", "heartbeats, at most"],
    rows,
  };
}

function callTable(cycles: readonly OurCycle[]): Table {
  const operations = [...new Set(cycles.flatMap(({ calls }) => Object.keys(calls)))].sort();
  return {
    title: "AWS calls of the worker, per customer",
    headers: [
      "operation",
      ...cycles.map(({ customers }) => `${formatNumber(customers, 0)} customers`),
    ],
    rows: [
      ...operations.map((operation) => [
        operation,
        ...cycles.map(({ calls, customers }) =>
          formatNumber((calls[operation] ?? 0) / customers, 2),
        ),
      ]),
      ["**all**", ...cycles.map((cycle) => formatNumber(sumOf(cycle.calls) / cycle.customers, 2))],
    ],
  };
}

function stepTable(rows: readonly (readonly string[])[]): Table {
  return {
    title: `Beside it, in the same run: ${IN_FLIGHT} customers in flight, state on disk`,
    headers: [
      "",
      "customers",
      "seconds",
      "ms per customer",
      "ms per step",
      "seconds until all is recorded",
      "CPU ms per customer, clients and servers",
      "client peak RSS, MB",
    ],
    rows,
  };
}

function ourRow({ customers, servingSeconds, residentBytes, cpuSeconds }: OurCycle): string[] {
  return [
    "modelfleet: the whole cycle, until all models serve",
    formatNumber(customers, 0),
    formatNumber(servingSeconds, 1),
    formatNumber((servingSeconds * 1000) / customers, 1),
    "–",
    formatNumber(servingSeconds, 1),
    formatNumber((sumOf(cpuSeconds) * 1000) / customers, 1),
    formatMegabytes(Math.max(...residentBytes)),
  ];
}

const sumOf = (figures: Readonly<Record<string, number>>): number =>
  Object.values(figures).reduce((sum, figure) => sum + figure, 0);

function stepRow(title: string, customers: number, run: PeerRun): string[] {
  const { seconds, recordedSeconds = seconds, recordedShare = 1, peakRssBytes, cpuSeconds } = run;
  const lost = recordedShare < 1 ? ` (${formatNumber(recordedShare * 100, 1)} % of it)` : "";
  return [
    title,
    formatNumber(customers, 0),
    formatNumber(seconds, 1),
    formatNumber((seconds * 1000) / customers, 1),
    formatNumber((seconds * 1000) / customers / STEPS_PER_CUSTOMER, 2),
    formatNumber(recordedSeconds, 1) + lost,
    formatNumber((cpuSeconds * 1000) / customers, 1),
    formatMegabytes(peakRssBytes),
  ];
}

const NOTES = [
  "modelfleet does per customer: write three CSV objects, create a training job (which ends at once) and wait for it, evaluate, register a model version, approve it by policy, copy its artifact, load it into the endpoint and compare its predictions, write the pointer: two workflows of five activities and three signals, all through the local SageMaker and S3 servers, which share the cores. The others' six steps do nothing at all.",
  "Histories are counted event by event; actions as Temporal Cloud bills them (a start 1, a child 2, an activity 1 and each retry 1, a timer, signal, update or upsert 1). Heartbeats leave no event, so their number is an upper bound from how long the activities ran; it is not in the actions.",
  "AWS calls are the worker's HTTP requests, retries included. What the local SageMaker server asks of S3 itself is the service's affair, on AWS too.",
  "Temporal alone: workflows started from a loop on the stack's own dev server (SQLite file with WAL). DBOS: workflows started from a loop, without a queue, on the stack's Postgres with its default settings.",
  "Prefect: its own server with SQLite, the default task runner with 50 threads, results persisted so that finished tasks are skipped when a run is repeated. Its server records task states behind the run's back; the last time is when all of them are in its database, or the last one that ever came: where its server loses some, the share that it kept stands beside it.",
];
