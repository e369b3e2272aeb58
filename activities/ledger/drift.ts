/** The ledger's drift runs: whom each has compared, what it found, and what is done about it. */
import type pg from "pg";
import { FAILURES } from "../../fleet/errors.js";
import type { DriftAction, DriftedCustomer, DriftFigure } from "../../fleet/drift.js";
import { SHOWN_CUSTOMERS, type DriftFound } from "../../fleet/notifications.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Window } from "../../fleet/window.js";
import { permanent } from "../application-failure.js";
import { readSpec } from "./specs.js";

export interface DriftRunRef {
  readonly fleet: string;
  readonly run: string;
}

export interface DriftRun extends DriftRunRef {
  readonly at: string;
  readonly spec: FleetSpec;
  readonly compared: boolean;
  readonly decided: boolean;
}

/** One that has decided already, and whose cycle did not come to its end, goes on from there; any other begins anew. */
export async function openRun(
  ledger: pg.Pool,
  run: DriftRunRef & {
    readonly at: string;
    readonly spec: FleetSpec;
    readonly specHash: string;
    readonly workflowId: string;
    readonly dryRun: boolean;
  },
): Promise<void> {
  await ledger.query(
    `with spec as (
       insert into fleet_specs (fleet, spec_hash, spec) values ($1, $3, $4) on conflict do nothing),
     anew as (
       delete from drift_runs where fleet = $1 and run = $2 and (decided_at is null or dry_run))
     select`,
    [run.fleet, run.run, run.specHash, JSON.stringify(run.spec)],
  );
  await ledger.query(
    `insert into drift_runs (fleet, run, spec_hash, at, workflow_id, dry_run, state)
     values ($1, $2, $3, $4, $5, $6, 'comparing')
     on conflict (fleet, run) do update set workflow_id = excluded.workflow_id, reason = null, ended_at = null`,
    [run.fleet, run.run, run.specHash, run.at, run.workflowId, run.dryRun],
  );
}

export async function readRun(ledger: pg.Pool, { fleet, run }: DriftRunRef): Promise<DriftRun> {
  const { rows } = await ledger.query<{
    at: Date;
    spec_hash: string;
    compared: boolean;
    decided: boolean;
  }>(
    `select at, spec_hash, compared_at is not null as compared, decided_at is not null as decided
       from drift_runs where fleet = $1 and run = $2`,
    [fleet, run],
  );
  const [row] = rows;
  if (row === undefined)
    throw permanent(FAILURES.specInvalid, {
      message: `the ledger has no drift run ${run} of fleet "${fleet}"`,
      hint: "the worker and whoever started the workflow must use the same MODELFLEET_LEDGER_URL",
    });
  const spec = await readSpec(ledger, { fleet, specHash: row.spec_hash });
  const { compared, decided } = row;
  return { fleet, run, at: row.at.toISOString(), spec, compared, decided };
}

/** Customers whose champions were trained on one window. */
export interface ChampionGroup {
  readonly cycle: string;
  readonly window: Window;
  readonly champions: readonly {
    readonly customer: string;
    readonly customerKey: string;
    readonly version: number;
  }[];
}

/** By cycle, the oldest first. The champion is the newest version that serves. */
export async function* championGroups(
  ledger: pg.Pool,
  fleet: string,
): AsyncGenerator<ChampionGroup> {
  const { rows } = await ledger.query<{ cycle: string; floor: Date; ceiling: Date }>(
    `select distinct y.cycle, y.window_floor as floor, y.window_ceiling as ceiling
       from cycles y join releases r using (fleet, cycle)
      where y.fleet = $1 and r.state = 'serving' order by y.cycle`,
    [fleet],
  );
  for (const { cycle, floor, ceiling } of rows) {
    const { rows: champions } = await ledger.query<ChampionGroup["champions"][number]>(
      `select c.customer, c.customer_key as "customerKey", r.version
         from releases r join customers c using (fleet, cycle, customer_key)
        where r.fleet = $1 and r.cycle = $2 and r.state = 'serving'
          and not exists (select from releases n where n.fleet = r.fleet and n.customer_key = r.customer_key
                             and n.state = 'serving' and n.version > r.version)
        order by c.customer collate "C"`,
      [fleet, cycle],
    );
    if (champions.length === 0) continue;
    const window = { floor: floor.toISOString(), ceiling: ceiling.toISOString() };
    yield { cycle, window, champions };
  }
}

/** What the comparison says of one customer. */
export interface Compared {
  readonly customer: string;
  readonly customerKey: string;
  readonly version: number;
  readonly cycle: string;
  readonly reference: number;
  readonly newest: number;
  /** Of those figures the ledger keeps; empty when it was not compared. */
  readonly figures: readonly DriftFigure[];
  readonly excess: number | null;
  readonly drifted: boolean;
  readonly because: string;
}

/** The same customers again are no others: an attempt that was thought dead may have written them. */
export async function recordCompared(
  ledger: pg.Pool,
  { fleet, run }: DriftRunRef,
  compared: readonly Compared[],
): Promise<void> {
  if (compared.length === 0) return;
  await ledger.query(
    `insert into drift_customers (fleet, run, customer_key, customer, champion_version, champion_cycle,
                                  reference_rows, newest_rows, excess, drifted, action, because)
     select $1, $2, key, customer, version, cycle, reference, newest, excess, drifted, 'none', because
       from unnest($3::text[], $4::text[], $5::int[], $6::text[], $7::bigint[], $8::bigint[], $9::float8[],
                   $10::boolean[], $11::text[])
         as c (key, customer, version, cycle, reference, newest, excess, drifted, because)
     on conflict (fleet, run, customer_key) do update
       set champion_version = excluded.champion_version, champion_cycle = excluded.champion_cycle,
           reference_rows = excluded.reference_rows, newest_rows = excluded.newest_rows,
           excess = excluded.excess, drifted = excluded.drifted, because = excluded.because`,
    [
      fleet,
      run,
      compared.map((one) => one.customerKey),
      compared.map((one) => one.customer),
      compared.map((one) => one.version),
      compared.map((one) => one.cycle),
      compared.map((one) => one.reference),
      compared.map((one) => one.newest),
      compared.map((one) => one.excess),
      compared.map((one) => one.drifted),
      compared.map((one) => one.because),
    ],
  );
  await recordFigures(
    ledger,
    { fleet, run },
    compared.flatMap(({ customerKey, figures }) =>
      figures.map((figure) => ({ customerKey, figure })),
    ),
  );
}

async function recordFigures(
  ledger: pg.Pool,
  { fleet, run }: DriftRunRef,
  found: readonly { readonly customerKey: string; readonly figure: DriftFigure }[],
): Promise<void> {
  await ledger.query(
    `insert into drift_figures (fleet, run, customer_key, measure, column_name, value, threshold, by_chance, exceeds)
     select $1, $2, key, measure, name, value, threshold, chance, exceeds
       from unnest($3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[], $8::float8[], $9::boolean[])
         as f (key, measure, name, value, threshold, chance, exceeds)
     on conflict (fleet, run, customer_key, measure, column_name) do update
       set value = excluded.value, threshold = excluded.threshold, by_chance = excluded.by_chance,
           exceeds = excluded.exceeds`,
    [
      fleet,
      run,
      found.map((one) => one.customerKey),
      found.map((one) => one.figure.measure),
      found.map((one) => one.figure.column),
      found.map((one) => one.figure.value),
      found.map((one) => one.figure.threshold),
      found.map((one) => one.figure.byChance),
      found.map((one) => one.figure.exceeds),
    ],
  );
}

export async function recordComparison(
  ledger: pg.Pool,
  { fleet, run }: DriftRunRef,
  { sql, scores }: { readonly sql: string | null; readonly scores: boolean },
): Promise<void> {
  await ledger.query(
    `update drift_runs set sql = $3, compared_at = now(), state = $4 where fleet = $1 and run = $2`,
    [fleet, run, sql, scores ? "scoring" : "comparing"],
  );
}

/** A customer whose champion is asked about new rows. */
export interface Scored {
  readonly customer: string;
  readonly customerKey: string;
  readonly version: number;
  readonly cycle: string;
  readonly atRegistration: number;
}

/** Those with enough new rows that were not asked for longest; the same at every attempt of a run. */
export async function customersToScore(
  ledger: pg.Pool,
  { fleet, run }: DriftRunRef,
  {
    metric,
    rows,
    limit,
  }: { readonly metric: string; readonly rows: number; readonly limit: number },
): Promise<Scored[]> {
  const { rows: found } = await ledger.query<Scored>(
    `select d.customer, d.customer_key as "customerKey", d.champion_version as version,
            d.champion_cycle as cycle, (e.metrics ->> $3)::float8 as "atRegistration"
       from drift_customers d
       join evaluations e on e.fleet = d.fleet and e.cycle = d.champion_cycle and e.customer_key = d.customer_key
      where d.fleet = $1 and d.run = $2 and d.newest_rows >= $4
      order by (select max(o.at) from drift_customers s join drift_runs o using (fleet, run)
                 where s.fleet = d.fleet and s.customer_key = d.customer_key and s.run <> d.run
                   and s.scored_rows is not null) nulls first, d.customer_key
      limit $5`,
    [fleet, run, metric, rows, limit],
  );
  return found;
}

/** Names of those whose endpoint has this version now. */
export async function stagesServing(
  ledger: pg.Pool,
  {
    fleet,
    customerKey,
    version,
  }: Pick<Scored, "customerKey" | "version"> & { readonly fleet: string },
): Promise<string[]> {
  const { rows } = await ledger.query<{ stage: string }>(
    `select stage from publications
      where fleet = $1 and customer_key = $2 and version = $3 and state = 'serving'`,
    [fleet, customerKey, version],
  );
  return rows.map(({ stage }) => stage);
}

export interface ScoredFigure {
  readonly customerKey: string;
  readonly rows: number;
  readonly figure: DriftFigure;
  readonly excess: number;
  /** Null: its error says nothing against it. */
  readonly because: string | null;
}

export async function recordScored(
  ledger: pg.Pool,
  ref: DriftRunRef,
  scored: ScoredFigure,
): Promise<void> {
  const { customerKey, figure, excess, because } = scored;
  await recordFigures(ledger, ref, [{ customerKey, figure }]);
  await ledger.query(
    `update drift_customers
        set scored_rows = $4, drifted = drifted or $5,
            excess = case when $5 then greatest(case when drifted then excess end, $6) else excess end,
            because = case when not $5 then because when drifted then because || '; ' || $7 else $7 end
      where fleet = $1 and run = $2 and customer_key = $3 and scored_rows is null`,
    [ref.fleet, ref.run, customerKey, scored.rows, figure.exceeds, excess, because],
  );
}

/** Why the endpoint could not be asked, beside what the comparison said. */
export async function recordUnscored(
  ledger: pg.Pool,
  { fleet, run }: DriftRunRef,
  { customerKey, because }: { readonly customerKey: string; readonly because: string },
): Promise<void> {
  await ledger.query(
    `update drift_customers set because = because || '; its error is not known: ' || $4
      where fleet = $1 and run = $2 and customer_key = $3 and because not like '%its error is not known%'`,
    [fleet, run, customerKey, because],
  );
}

export type Candidate = DriftedCustomer & {
  readonly customerKey: string;
  readonly because: string;
};

const PAGE = 500;

/** Those that have drifted, the worst first, with what speaks against retraining them now. */
export async function* drifted(
  ledger: pg.Pool,
  { fleet, run }: DriftRunRef,
): AsyncGenerator<Candidate[]> {
  let after: { readonly excess: number | null; readonly key: string } = { excess: null, key: "" };
  for (;;) {
    const { rows }: pg.QueryResult<Candidate & { excess: number }> = await ledger.query(
      `select d.customer_key as "customerKey", d.because, d.excess,
              (select to_char(max(o.at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                 from drift_customers s join drift_runs o using (fleet, run)
                where s.fleet = d.fleet and s.customer_key = d.customer_key and s.action = 'retrain'
                  and not o.dry_run and s.run <> d.run) as "retrainedAt",
              (select max(r.version) from releases r
                where r.fleet = d.fleet and r.customer_key = d.customer_key
                  and r.state in ('pending', 'approved')) as "waitingVersion",
              (select min(c.cycle) from customers c join cycles y using (fleet, cycle)
                where c.fleet = d.fleet and c.customer_key = d.customer_key
                  and y.state in ('exporting', 'preparing', 'planning', 'training')
                  and c.state in ('exported', 'planned', 'training', 'trained', 'evaluated')) as "inCycle"
         from drift_customers d
        where d.fleet = $1 and d.run = $2 and d.drifted
          and ($3::float8 is null or (-d.excess, d.customer_key) > (-$3::float8, $4))
        order by d.excess desc, d.customer_key limit ${PAGE}`,
      [fleet, run, after.excess, after.key],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    after = { excess: last.excess, key: last.customerKey };
  }
}

export async function recordActions(
  ledger: pg.Pool,
  { fleet, run }: DriftRunRef,
  decided: readonly { readonly customerKey: string; readonly decision: DriftAction }[],
): Promise<void> {
  await ledger.query(
    `update drift_customers d
        set action = a.action, left_because = a.why
       from unnest($3::text[], $4::text[], $5::text[]) as a (key, action, why)
      where d.fleet = $1 and d.run = $2 and d.customer_key = a.key`,
    [
      fleet,
      run,
      decided.map((one) => one.customerKey),
      decided.map((one) => one.decision.action),
      decided.map(({ decision }) => (decision.action === "left" ? decision.because : null)),
    ],
  );
}

export interface DriftCounts {
  /** With a champion. */
  readonly customers: number;
  /** With enough rows. */
  readonly compared: number;
  readonly scored: number;
  readonly drifted: number;
  readonly retrain: number;
}

export async function countRun(ledger: pg.Pool, { fleet, run }: DriftRunRef): Promise<DriftCounts> {
  const { rows } = await ledger.query<DriftCounts>(
    `select count(*)::int as customers, count(excess)::int as compared, count(scored_rows)::int as scored,
            (count(*) filter (where drifted))::int as drifted,
            (count(*) filter (where action = 'retrain'))::int as retrain
       from drift_customers where fleet = $1 and run = $2`,
    [fleet, run],
  );
  return rows[0] ?? { customers: 0, compared: 0, scored: 0, drifted: 0, retrain: 0 };
}

/** As the warehouse calls them: whom the cycle of this run trains. */
export async function customersToRetrain(
  ledger: pg.Pool,
  { fleet, run }: DriftRunRef,
): Promise<string[]> {
  const { rows } = await ledger.query<{ customer: string }>(
    "select customer from drift_customers where fleet = $1 and run = $2 and action = 'retrain' order by customer",
    [fleet, run],
  );
  return rows.map(({ customer }) => customer);
}

/** What people are told of a run that has customers retrained. */
export async function readDriftFound(
  ledger: pg.Pool,
  { fleet, run }: DriftRunRef,
): Promise<DriftFound> {
  const { compared, drifted: moved, retrain } = await countRun(ledger, { fleet, run });
  const { rows: customers } = await ledger.query<{ customer: string; customer_key: string }>(
    `select customer, customer_key from drift_customers
      where fleet = $1 and run = $2 and action = 'retrain'
      order by excess desc, customer_key limit ${SHOWN_CUSTOMERS}`,
    [fleet, run],
  );
  const { rows: figures } = await ledger.query<DriftFigure>(
    `select measure, column_name as column, value, threshold, by_chance as "byChance", exceeds
       from drift_figures where fleet = $1 and run = $2 and customer_key = $3 and exceeds
      order by value / nullif(threshold, 0) desc nulls first, column_name limit 1`,
    [fleet, run, customers[0]?.customer_key ?? ""],
  );
  const { rows: left } = await ledger.query<DriftFound["left"][number]>(
    `select left_because as because, count(*)::int as customers from drift_customers
      where fleet = $1 and run = $2 and action = 'left' group by left_because
      order by customers desc, left_because`,
    [fleet, run],
  );
  return {
    ...{ fleet, run, compared, drifted: moved, retrained: retrain, left },
    customers: customers.map(({ customer }) => customer),
    worst: figures[0] ?? null,
  };
}
