/** The flights fleet over tables of other sizes, and the cycles that the measured exports fill. */
import { fileURLToPath } from "node:url";
import pg from "pg";
import { createCycleActivities } from "../../activities/cycles.js";
import { anyAccount, loadFleetFile } from "../../client/fleet-file.js";
import { LIMITS } from "../../fleet/limits.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Window } from "../../fleet/window.js";

export const WHOLE_YEAR: Window = {
  floor: "2013-01-01T00:00:00.000Z",
  ceiling: "2014-01-02T00:00:00.000Z",
};
/** What is exported before the clock starts. */
export const ONE_DAY: Window = {
  floor: "2013-01-01T00:00:00.000Z",
  ceiling: "2013-01-02T00:00:00.000Z",
};

export const ONE_MONTH: Window = {
  floor: "2013-01-01T00:00:00.000Z",
  ceiling: "2013-02-01T00:00:00.000Z",
};

/** Copies of the flights that one customer gets: thirty copies make 1,050 customers and 10 million rows. */
const COPIES_PER_CUSTOMER = 3;

export async function exportFleet(name: string, table: string): Promise<FleetSpec> {
  const file = new URL("../../examples/flights/fleet.ts", import.meta.url);
  const { spec } = await loadFleetFile(fileURLToPath(file), anyAccount);
  const query = spec.source.query.replace("from flights", `from ${table}`);
  const source = { ...spec.source, query };
  delete source.customers; // Lists the customers of `flights`, which are not those of the other tables.
  return { ...spec, name, source };
}

/** `flights` repeated, every third copy with customers of its own. */
export async function repeatFlights(url: string, table: string, copies: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`create unlogged table ${table} (like flights)`);
    await client.query(
      `insert into ${table}
       select year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time,
              arr_delay, carrier, flight, tailnum, origin, dest || '-' || copy / ${COPIES_PER_CUSTOMER},
              air_time, distance, hour, minute, time_hour
         from generate_series(0, ${copies - 1}) as copy, flights`,
    );
    await client.query(`vacuum analyze ${table}`);
    await client.query("checkpoint"); // Its writes must not go on beside the first measurement.
  } finally {
    await client.end();
  }
}

export async function openCycles(
  ledger: pg.Pool,
  spec: FleetSpec,
  cycles: readonly { readonly cycle: string; readonly window: Window }[],
): Promise<void> {
  const account = spec.stages[0].account;
  const activities = createCycleActivities({
    ledger,
    account,
    bucket: "bench",
    region: "us-east-1",
    // Nothing of it is trained here: there is room for whatever a spec may ask.
    maxTrainingJobs: LIMITS.tuningParallel,
  });
  for (const { cycle, window } of cycles) {
    await activities.openCycle({ spec, cycle, window, workflowId: `bench/${cycle}`, force: false });
  }
}

/** The query as the activity wrapped it: what the contenders run. */
export async function exportedSql(ledger: pg.Pool, fleet: string, cycle: string): Promise<string> {
  const { rows } = await ledger.query<{ sql: string | null }>(
    "select sql from cycles where fleet = $1 and cycle = $2",
    [fleet, cycle],
  );
  const sql = rows[0]?.sql;
  if (!sql) throw new Error(`cycle ${cycle} of ${fleet} was not exported`);
  return sql;
}
