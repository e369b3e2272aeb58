/** Which version each customer is served in each stage, and what is under way to it. */
import { COHORT_KEY } from "../fleet/names.js";
import type { StandingState } from "../fleet/promotion.js";
import type { Connections } from "./connections.js";
import { askLedger, findCustomer, unknownFleet } from "./ledger.js";

export interface ComingVersion {
  readonly version: number;
  readonly state: StandingState;
  /** ISO time at which a lag is over. */
  readonly due: string | null;
  /** Who holds it; why it was rejected. */
  readonly note: string | null;
}

export interface StageCell {
  readonly stage: string;
  /** The version that serves; null: none. */
  readonly version: number | null;
  /** The newest version that has still to come, or was rejected last; null: none. */
  readonly coming: ComingVersion | null;
}

export interface MatrixRow {
  readonly customer: string;
  readonly customerKey: string;
  readonly stages: readonly StageCell[];
}

export interface StageMatrix {
  readonly fleet: string;
  /** In order of promotion, as the newest cycle declares them. */
  readonly stages: readonly string[];
  readonly customers: readonly MatrixRow[];
}

/** Customers that have a version, in the order of their names. Throws ClientError for an unknown fleet or customer. */
export async function readStageMatrix(
  connections: Connections,
  { fleet, customer }: { readonly fleet: string; readonly customer?: string },
): Promise<StageMatrix> {
  const stages = await readStageNames(connections, fleet);
  const only =
    customer === undefined
      ? null
      : (await findCustomer(connections, { fleet, customer })).customerKey;
  const rows = await askLedger<MatrixRow>(
    connections,
    `with known as (
       select distinct on (customer_key) customer_key, customer from customers
        where fleet = $1 and ($3::text is null or customer_key = $3)
          and exists (select from releases r where r.fleet = $1 and r.customer_key = customers.customer_key)
        order by customer_key, updated_at desc),
     coming as (
       select distinct on (customer_key, stage) customer_key, stage, version, state, due_at, note from (
         -- What is denied comes nowhere any more, whatever its stages have answered meanwhile.
         select customer_key, stage, version, state, due_at, note from promotions p
          where fleet = $1 and customer_key <> $4
            and exists (select from releases r where r.fleet = $1 and r.customer_key = p.customer_key
                                                 and r.version = p.version and r.state not in ('denied', 'withdrawn'))
          union all
         -- A cohort's members move with it, but for those that a stage has rejected, or that left it by name.
         select r.customer_key, h.stage, h.version, case when p.state = 'rejected' then p.state else h.state end,
                h.due_at, case when p.state = 'rejected' then p.reason else h.note end
           from promotions h
           join releases r on r.fleet = h.fleet and r.version = h.version and r.cohort
                          and r.state in ('pending', 'approved', 'serving', 'rejected')
           left join publications p on p.fleet = r.fleet and p.stage = h.stage and p.customer_key = r.customer_key
                                   and p.version = r.version
          where h.fleet = $1 and h.customer_key = $4
            and not exists (select from publications f
                             where f.fleet = $1 and f.customer_key = r.customer_key and f.version = r.version
                               and f.state = 'rejected' and f.stage <> h.stage
                               and not exists (select from promotions s
                                                where s.fleet = $1 and s.customer_key = $4 and s.version = h.version
                                                  and s.stage = f.stage and s.state = 'skipped'))) o
        where ($3::text is null or customer_key = $3)
          and state in ('ahead', 'approval', 'stage-approval', 'held', 'lag', 'publishing', 'rejected')
          and version > coalesce((select max(p.version) from publications p
                where p.fleet = $1 and p.stage = o.stage and p.customer_key = o.customer_key and p.state = 'serving'), 0)
        order by customer_key, stage, version desc)
     select k.customer, k.customer_key as "customerKey",
            (select jsonb_agg(jsonb_build_object('stage', s.stage, 'version', p.version, 'coming',
                      case when c.version is not null then jsonb_build_object(
                        'version', c.version, 'state', c.state, 'note', c.note,
                        'due', to_char(c.due_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) end)
                    order by s.place)
               from unnest($2::text[]) with ordinality as s (stage, place)
               left join publications p on p.fleet = $1 and p.stage = s.stage and p.customer_key = k.customer_key
                                       and p.state = 'serving'
               left join coming c on c.customer_key = k.customer_key and c.stage = s.stage) as stages
       from known k order by k.customer`,
    [fleet, stages, only, COHORT_KEY],
  );
  return { fleet, stages, customers: rows };
}

/** Of the newest cycle's spec, in order of promotion. */
export async function readStageNames(connections: Connections, fleet: string): Promise<string[]> {
  const [row] = await askLedger<{ stages: string[] | null }>(
    connections,
    `select (select array_agg(t.stage ->> 'name' order by t.place)
               from jsonb_array_elements(s.spec -> 'stages') with ordinality as t (stage, place)) as stages
       from cycles c join fleet_specs s using (fleet, spec_hash)
      where c.fleet = $1 order by c.cycle desc limit 1`,
    [fleet],
  );
  if (row?.stages == null) throw await unknownFleet(connections, fleet);
  return row.stages;
}
