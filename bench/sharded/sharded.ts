/** `npm run bench -- sharded`: a cohort of Prophet models in one job, and the same fits in a plain pool of processes. */
import { openConnections } from "../../client/connections.js";
import { load } from "../../examples/energy/load.js";
import { overTime } from "../memory-samples.js";
import type { Report, Table } from "../report.js";
import type { BenchStack, Tell } from "../stack.js";
import { formatNumber } from "../statistics.js";
import { measureCohort, type OurCohort } from "./our-cohort.js";
import { runPlainPool, type PlainPool } from "./plain-pool.js";

export interface ShardedOptions {
  readonly customers: number;
  /** Sizes of the job, one cycle each. */
  readonly instances: readonly number[];
}

export async function benchSharded(
  stack: BenchStack,
  { customers, instances }: ShardedOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  tell(await load(stack.warehouseUrl, { customers }));
  const connections = openConnections(process.env);
  try {
    const cohorts: OurCohort[] = [];
    const pools: PlainPool[] = [];
    for (const one of instances) {
      const cohort = await measureCohort(stack, connections, { customers, instances: one }, tell);
      cohorts.push(cohort);
      // In turns, so that a machine that slows down slows both.
      const pool = await runPlainPool(stack, connections, cohort);
      tell(`the same fits in a pool of ${pool.processes}: ${pool.seconds.toFixed(1)} s`);
      pools.push(pool);
    }
    return {
      title: `${formatNumber(customers, 0)} Prophet models from one job`,
      tables: [timeTable(cohorts, pools), memoryTable(cohorts)],
      notes: NOTES,
    };
  } finally {
    await connections.close();
  }
}

function timeTable(cohorts: readonly OurCohort[], pools: readonly PlainPool[]): Table {
  return {
    title: "Time",
    headers: [
      "instances",
      "the job, s",
      "plain pool, s",
      "job to pool",
      "until registered, s",
      "until all serve, s",
    ],
    rows: cohorts.map((cohort, index) => {
      const pool = pools[index]?.wallSeconds ?? NaN;
      return [
        String(cohort.instances),
        formatNumber(cohort.jobSeconds, 1),
        formatNumber(pool, 1),
        `${formatNumber(cohort.jobSeconds / pool, 2)} ×`,
        formatNumber(cohort.registeredSeconds, 1),
        formatNumber(cohort.servingSeconds, 1),
      ];
    }),
  };
}

const memoryTable = (cohorts: readonly OurCohort[]): Table => ({
  title: "Resident memory over the cycle, MB (means of its fifths)",
  headers: ["instances", "worker", "SageMaker server"],
  rows: cohorts.map(({ instances, worker, server }) => [
    String(instances),
    overTime(worker),
    overTime(server),
  ]),
});

const NOTES = [
  "_The job_: from the start of its scripts to their end: imports, fits, scores, artifacts and their upload while it " +
    "runs. _Plain pool_: the same fits and predictions in `multiprocessing.Pool`, imports included, nothing judged or kept.",
  "Both use all cores of the machine; two instances share them, so a second one makes nothing faster here.",
  "_Until registered_: with the export from the warehouse and the gate. _Until all serve_: with one release for all.",
];
