/** Fleets whose champions are made up, so that a look for drift has something to compare; nothing is trained. */
import { MockActivityEnvironment } from "@temporalio/testing";
import pg from "pg";
import { createDriftActivities, createDriftRunActivities } from "../../activities/drift.js";
import type { DriftCounts } from "../../activities/ledger/drift.js";
import { driftSchema, type DriftInput } from "../../fleet/drift.schema.js";
import { customerKey } from "../../fleet/names.js";
import { daily } from "../../fleet/schedule.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Window } from "../../fleet/window.js";
import { exportFleet, openCycles } from "../export/fleet.js";

export interface WatchedFleet {
  readonly name: string;
  /** Bound by `:floor` and `:ceiling`. */
  readonly query: string;
  readonly customer: string;
  readonly target: string;
  readonly drift: Partial<DriftInput>;
}

/** The champions' cycle. */
const CYCLE = "champions";

export async function aWatchedFleet(of: WatchedFleet): Promise<FleetSpec> {
  const base = await exportFleet(of.name, "flights");
  const { query, customer, target } = of;
  const drift = driftSchema.parse({ schedule: daily({ at: "05:00" }), ...of.drift });
  return { ...base, source: { ...base.source, query, customer, target }, drift };
}

/** Every customer has a model that serves, trained on that window. */
export async function serveAll(
  ledger: pg.Pool,
  spec: FleetSpec,
  { customers, window }: { readonly customers: readonly string[]; readonly window: Window },
): Promise<void> {
  await openCycles(ledger, spec, [{ cycle: CYCLE, window }]);
  await ledger.query("update cycles set state = 'completed' where fleet = $1", [spec.name]);
  const rows = [spec.name, CYCLE, customers.map(customerKey), customers];
  await ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, state)
     select $1, $2, key, customer, 'serving' from unnest($3::text[], $4::text[]) as c (key, customer)`,
    rows,
  );
  await ledger.query(
    `insert into releases (fleet, cycle, customer_key, version, model_package_arn, training_job_name,
                           artifact_uri, state, workflow_id)
     select $1, $2, key, 1, 'arn:aws:sagemaker:us-east-1:111111111111:model-package/' || $1 || '--' || key || '/1',
            'none', 's3://none/none', 'serving', 'none' from unnest($3::text[]) as c (key)`,
    rows.slice(0, 3),
  );
}

export interface Found {
  readonly compared: number;
  /** Names of those that have drifted. */
  readonly drifted: ReadonlySet<string>;
  /** In how many customers a column exceeds, the most often first. */
  readonly columns: readonly (readonly [column: string, customers: number])[];
}

/** One look, as a worker takes it, but for deciding whom to retrain. */
export async function lookAt(
  ledger: pg.Pool,
  spec: FleetSpec,
  at: string,
  warehouseUrl: string,
): Promise<Found> {
  const ref = { fleet: spec.name, run: `look-${at.slice(0, 10)}` };
  const { openDriftRun } = createDriftRunActivities({ ledger });
  const { compareWindows } = createDriftActivities({
    ledger,
    stageAccess: () => Promise.reject(new Error("no champion is asked here")),
    secret: () => Promise.resolve(warehouseUrl),
  });
  await openDriftRun({ ...ref, spec, at, workflowId: "bench", dryRun: true });
  const { compared }: DriftCounts = await new MockActivityEnvironment().run(compareWindows, ref);
  const { rows: drifted } = await ledger.query<{ customer: string }>(
    "select customer from drift_customers where fleet = $1 and run = $2 and drifted",
    [ref.fleet, ref.run],
  );
  const { rows: columns } = await ledger.query<{ column: string; customers: number }>(
    `select column_name as column, count(distinct customer_key)::int as customers
       from drift_figures where fleet = $1 and run = $2 and exceeds group by 1 order by 2 desc, 1`,
    [ref.fleet, ref.run],
  );
  return {
    compared,
    drifted: new Set(drifted.map(({ customer }) => customer)),
    columns: columns.map(({ column, customers }) => [column, customers]),
  };
}
