/** Reads the ledger: cycles and their customers. Times are ISO, counts are numbers. */
import type { QueryResultRow } from "pg";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import { nearest } from "./nearest.js";
import { ledgerError } from "./postgres-errors.js";
import { ledgerUrl } from "./settings.js";

export type CycleState =
  "exporting" | "preparing" | "planning" | "training" | "completed" | "failed" | "cancelled";

export const CUSTOMER_STATES = [
  "exported",
  "planned",
  "training",
  "trained",
  "evaluated",
  "pending",
  "approved",
  "serving",
  "champion-kept",
  "skipped",
  "denied",
  "rejected",
  "withdrawn",
  "superseded",
  "expired",
  "failed",
] as const;
export type CustomerState = (typeof CUSTOMER_STATES)[number];
export type StateCounts = Readonly<Partial<Record<CustomerState, number | undefined>>>;

export interface Cycle {
  readonly fleet: string;
  readonly cycle: string;
  readonly state: CycleState;
  readonly reason: string | null;
  /** `drift`: it trains only the customers that have drifted; null: its schedule or a person has called for it. */
  readonly cause: "drift" | null;
  /** Whom drift has had retrained, and the figures of the worst; null: drift has not called for it. */
  readonly drift: CycleDrift | null;
  readonly windowFloor: string;
  readonly windowCeiling: string;
  readonly rows: number | null;
  readonly workflowId: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly customers: number;
  readonly states: StateCounts;
}

export interface CycleDrift {
  readonly customers: number;
  readonly worst: { readonly customer: string; readonly because: string };
}

export interface CycleCustomer {
  readonly customer: string;
  readonly customerKey: string;
  readonly cycle: string;
  readonly state: CustomerState;
  readonly reason: string | null;
  readonly errorType: string | null;
  readonly rows: { readonly train: number; readonly validation: number; readonly test: number };
  readonly updatedAt: string;
}

/** Runs one statement on the ledger; what goes wrong is told in our words. */
export async function askLedger<Row extends QueryResultRow>(
  connections: Connections,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const pool = await connections.ledger();
  try {
    return (await pool.query<Row>(sql, [...values])).rows;
  } catch (error) {
    throw ledgerError(error, await ledgerUrl(connections.environment));
  }
}

const CYCLES = `
  select c.fleet, c.cycle, c.state, c.reason, c.cause, c.window_floor, c.window_ceiling, c.rows, c.workflow_id,
         c.started_at, c.ended_at, coalesce(sum(s.customers), 0)::int as customers,
         coalesce(jsonb_object_agg(s.state, s.customers) filter (where s.state is not null), '{}') as states,
         (select jsonb_build_object('customers', d.customers, 'worst', jsonb_build_object('customer', d.customer,
                                    'because', d.because))
            from (select customer, because, (count(*) over ())::int as customers from drift_customers
                   where fleet = c.fleet and run = c.cycle and action = 'retrain' and c.cause = 'drift'
                   order by excess desc, customer_key limit 1) d) as drift
    from cycles c
    left join lateral (
           select state, count(*)::int as customers from customers u
            where u.fleet = c.fleet and u.cycle = c.cycle group by state) s on true`;

interface CycleRow {
  fleet: string;
  cycle: string;
  state: CycleState;
  reason: string | null;
  cause: "drift" | null;
  drift: CycleDrift | null;
  window_floor: Date;
  window_ceiling: Date;
  rows: string | null;
  workflow_id: string;
  started_at: Date;
  ended_at: Date | null;
  customers: number;
  states: StateCounts;
}

/** Newest first. */
export async function readCycles(connections: Connections, fleet: string): Promise<Cycle[]> {
  const rows = await askLedger<CycleRow>(
    connections,
    `${CYCLES} where c.fleet = $1 group by c.fleet, c.cycle order by c.cycle desc`,
    [fleet],
  );
  if (rows.length === 0) throw await unknownFleet(connections, fleet);
  return rows.map(toCycle);
}

/** The newest cycle of every fleet. */
export async function readNewestCycles(connections: Connections): Promise<Cycle[]> {
  const rows = await askLedger<CycleRow>(
    connections,
    `${CYCLES} where c.cycle = (select max(n.cycle) from cycles n where n.fleet = c.fleet)
      group by c.fleet, c.cycle order by c.fleet`,
  );
  return rows.map(toCycle);
}

/** One cycle, or undefined before its workflow has opened it. */
export async function findCycle(
  connections: Connections,
  { fleet, cycle }: { fleet: string; cycle: string },
): Promise<Cycle | undefined> {
  const rows = await askLedger<CycleRow>(
    connections,
    `${CYCLES} where c.fleet = $1 and c.cycle = $2 group by c.fleet, c.cycle`,
    [fleet, cycle],
  );
  return rows.map(toCycle)[0];
}

/** The named cycle, by default the newest. */
export async function readCycle(
  connections: Connections,
  { fleet, cycle }: { fleet: string; cycle?: string },
): Promise<Cycle> {
  if (cycle !== undefined) {
    const found = await findCycle(connections, { fleet, cycle });
    if (found !== undefined) return found;
  }
  const cycles = await readCycles(connections, fleet);
  const newest = cycles[0];
  if (cycle === undefined && newest !== undefined) return newest;
  const known = cycles.slice(0, 5).map((one) => one.cycle);
  throw new ClientError(
    `fleet "${fleet}" has no cycle "${cycle}" (newest: ${known.join(", ")})`,
    `modelfleet history ${fleet}`,
  );
}

interface CustomerRow {
  customer: string;
  customer_key: string;
  cycle: string;
  state: CustomerState;
  reason: string | null;
  error_type: string | null;
  train_rows: string;
  validation_rows: string;
  test_rows: string;
  updated_at: Date;
}

export async function readCustomers(
  connections: Connections,
  { fleet, cycle, states }: { fleet: string; cycle: string; states?: readonly CustomerState[] },
): Promise<CycleCustomer[]> {
  const rows = await askLedger<CustomerRow>(
    connections,
    `select * from customers
      where fleet = $1 and cycle = $2 and ($3::text[] is null or state = any($3))
      order by customer`,
    [fleet, cycle, states ?? null],
  );
  return rows.map(toCustomer);
}

/** What the person called the customer: its id in the warehouse, or its key. */
export async function findCustomer(
  connections: Connections,
  { fleet, customer }: { fleet: string; customer: string },
): Promise<{ customer: string; customerKey: string }> {
  const rows = await askLedger<{ customer: string; customer_key: string }>(
    connections,
    `select customer, customer_key from customers where fleet = $1 and (customer = $2 or customer_key = $2)
      order by (customer = $2) desc limit 1`,
    [fleet, customer],
  );
  const found = rows[0];
  if (found !== undefined) return { customer: found.customer, customerKey: found.customer_key };
  const known = await askLedger<{ customer: string }>(
    connections,
    "select distinct customer from customers where fleet = $1",
    [fleet],
  );
  if (known.length === 0) throw await unknownFleet(connections, fleet);
  const names = known.map((row) => row.customer);
  const close = nearest(customer, names);
  const number = `${names.length} customer${names.length === 1 ? "" : "s"}`;
  throw new ClientError(
    `fleet "${fleet}" has no customer "${customer}" (${number}${close === undefined ? "" : `; nearest: "${close}"`})`,
    `modelfleet status ${fleet} --customers`,
  );
}

export async function unknownFleet(connections: Connections, fleet: string): Promise<ClientError> {
  const rows = await askLedger<{ fleet: string }>(
    connections,
    "select distinct fleet from cycles order by fleet",
  );
  const names = rows.map((row) => row.fleet);
  if (names.length === 0) {
    return new ClientError(
      `there is no fleet "${fleet}": nothing has run yet`,
      "modelfleet run FLEETFILE",
    );
  }
  const close = nearest(fleet, names);
  const told = close === undefined ? `known: ${names.join(", ")}` : `nearest: "${close}"`;
  return new ClientError(`there is no fleet "${fleet}" (${told})`, "modelfleet status");
}

function toCycle(row: CycleRow): Cycle {
  return {
    fleet: row.fleet,
    cycle: row.cycle,
    state: row.state,
    reason: row.reason,
    cause: row.cause,
    drift: row.drift,
    windowFloor: row.window_floor.toISOString(),
    windowCeiling: row.window_ceiling.toISOString(),
    rows: row.rows === null ? null : Number(row.rows),
    workflowId: row.workflow_id,
    startedAt: row.started_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
    customers: row.customers,
    states: row.states,
  };
}

function toCustomer(row: CustomerRow): CycleCustomer {
  return {
    customer: row.customer,
    customerKey: row.customer_key,
    cycle: row.cycle,
    state: row.state,
    reason: row.reason,
    errorType: row.error_type,
    rows: {
      train: Number(row.train_rows),
      validation: Number(row.validation_rows),
      test: Number(row.test_rows),
    },
    updatedAt: row.updated_at.toISOString(),
  };
}
