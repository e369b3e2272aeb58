/** The ledger's side of retirement: who has a model and is missing from exports, and since when. */
import type pg from "pg";
import { COHORT_KEY } from "../../fleet/names.js";
import type { AbsentCustomer, Attendance } from "../../fleet/retention.js";

/** Cycles that export everybody, as far as their export is whole; tests and drift have their own. */
const FULL = `select cycle, rows, started_at, window_ceiling from cycles
               where fleet = $1 and not testing and cause is null and rows is not null`;

const NEWEST = `select cycle, rows from (${FULL}) f order by window_ceiling desc, cycle desc limit 1`;

const HAS_ROWS = "c.train_rows + c.validation_rows + c.test_rows + c.invalid_rows > 0";

const ABSENT = `
  select distinct p.customer_key from publications p
   where p.fleet = $1 and p.state = 'serving'
     and not exists (select from customers c, newest n
                      where c.fleet = $1 and c.cycle = n.cycle and c.customer_key = p.customer_key and ${HAS_ROWS})`;

/** By the newest full export; null before there is one. */
export async function readAttendance(ledger: pg.Pool, fleet: string): Promise<Attendance | null> {
  const { rows } = await ledger.query<{
    served: number;
    absent: number;
    newestRows: number | null;
  }>(
    `with newest as (${NEWEST}), absent as (${ABSENT})
     select (select count(distinct customer_key) from publications
              where fleet = $1 and state = 'serving')::int as served,
            (select count(*) from absent)::int as absent,
            (select rows from newest)::float8 as "newestRows"`,
    [fleet],
  );
  const [row] = rows;
  if (row === undefined || row.newestRows === null) return null;
  return { ...row, newestRows: row.newestRows };
}

export interface ServedAbsentee extends AbsentCustomer {
  readonly customer: string;
  /** The last cycle that had rows of the customer; null: none of those that export everybody. */
  readonly lastCycle: string | null;
  /** What serves it, and where. */
  readonly serving: readonly { readonly stage: string; readonly version: number }[];
}

const PAGE = 200;

/** In pages, by their keys. */
export async function* absentPages(
  ledger: pg.Pool,
  fleet: string,
): AsyncGenerator<ServedAbsentee[]> {
  for (let after = ""; ;) {
    const { rows } = await ledger.query<ServedAbsentee>(
      `with every as (${FULL}), newest as (${NEWEST}),
            absent as (select customer_key from (${ABSENT}) a where customer_key > $2
                        order by customer_key limit ${PAGE})
       select a.customer_key as "customerKey",
              (select c.customer from customers c where c.fleet = $1 and c.customer_key = a.customer_key
                order by c.cycle desc limit 1) as customer,
              last.cycle as "lastCycle",
              extract(epoch from (select min(e.started_at) from every e
                                   where e.window_ceiling > coalesce(last.window_ceiling, '-infinity'))) * 1000
                as "absentSince",
              (select json_agg(json_build_object('stage', p.stage, 'version', p.version)) from publications p
                where p.fleet = $1 and p.customer_key = a.customer_key and p.state = 'serving') as serving,
              exists (select from releases r
                       where r.fleet = $1 and r.customer_key = a.customer_key
                         and (r.state = 'pending'
                              or r.state = 'approved' and r.version >
                                 (select max(p.version) from publications p
                                   where p.fleet = $1 and p.customer_key = a.customer_key and p.state = 'serving')))
                or exists (select from promotions o
                            where o.fleet = $1
                              and (o.customer_key = a.customer_key
                                   or o.customer_key = '${COHORT_KEY}'
                                      and exists (select from releases r
                                                   where r.fleet = $1 and r.customer_key = a.customer_key
                                                     and r.version = o.version and r.cohort))
                              and o.state in ('ahead', 'approval', 'stage-approval', 'held', 'lag', 'publishing'))
                or exists (select from withdrawals w
                            where w.fleet = $1 and w.customer_key = a.customer_key and w.state <> 'removed')
                as "isBusy"
         from absent a
         left join lateral (
           select e.cycle, e.window_ceiling from every e join customers c on c.fleet = $1 and c.cycle = e.cycle
            where c.customer_key = a.customer_key and ${HAS_ROWS}
            order by e.window_ceiling desc, e.cycle desc limit 1) last on true
        order by a.customer_key`,
      [fleet, after],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.map((row) => ({ ...row, absentSince: Number(row.absentSince) }));
    after = last.customerKey;
  }
}

/** What is taken out of service; before it is. */
export async function recordRetirement(
  ledger: pg.Pool,
  fleet: string,
  { customerKey, absentSince, lastCycle, serving }: ServedAbsentee,
  by: string,
): Promise<void> {
  await ledger.query(
    `insert into retirements (fleet, customer_key, version, absent_since, last_cycle, retired_by)
     select distinct $1, $2, version, $4::timestamptz, $5, $6 from unnest($3::int[]) as s (version)
     on conflict (fleet, customer_key, version) do update
       set absent_since = excluded.absent_since, last_cycle = excluded.last_cycle,
           retired_by = excluded.retired_by, retired_at = now()`,
    [
      ...[fleet, customerKey, serving.map(({ version }) => version)],
      ...[new Date(absentSince), lastCycle, by],
    ],
  );
}
