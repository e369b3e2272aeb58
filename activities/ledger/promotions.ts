/** The ledger's promotions: how far each version has come on its way through the stages, and what it waits for. */
import type pg from "pg";
import { COHORT_KEY } from "../../fleet/names.js";
import type { Standing } from "../../fleet/promotion.js";
import type { CohortRef } from "./cohorts.js";
import type { ReleaseRef } from "./releases.js";

/** All stages of the version, in order of promotion. A cohort's stand under `COHORT_KEY`. */
export async function recordStandings(
  ledger: pg.Pool,
  { fleet, customerKey, version }: ReleaseRef,
  standings: readonly Standing[],
): Promise<void> {
  await ledger.query(
    `insert into promotions as p (fleet, customer_key, version, stage, place, state, due_at, approved_by,
                                  approved_at, note)
     select $1, $2, $3, s.stage, s.place - 1, s.state, s.due, s.approved_by, s.approved_at, s.note
       from unnest($4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::timestamptz[], $9::text[])
            with ordinality as s (stage, state, due, approved_by, approved_at, note, place)
     on conflict (fleet, customer_key, version, stage) do update
       set state = excluded.state, due_at = excluded.due_at, approved_by = excluded.approved_by,
           approved_at = excluded.approved_at, note = excluded.note, updated_at = now()
       where (p.state, p.due_at, p.approved_by, p.note)
         is distinct from (excluded.state, excluded.due_at, excluded.approved_by, excluded.note)`,
    [
      ...[fleet, customerKey, version],
      standings.map(({ stage }) => stage),
      standings.map(({ state }) => state),
      standings.map(({ due }) => due),
      standings.map(({ approved }) => approved?.by ?? null),
      standings.map(({ approved }) => approved?.at ?? null),
      standings.map(({ note }) => note),
    ],
  );
}

/** The newest version of the customer that is approved, serves somewhere, and is newer; null without one. */
export async function newerServing(
  ledger: pg.Pool,
  { fleet, customerKey, version }: ReleaseRef,
): Promise<number | null> {
  const { rows } = await ledger.query<{ version: number | null }>(
    `select max(version) as version from releases
      where fleet = $1 and customer_key = $2 and version > $3 and state = 'serving'`,
    [fleet, customerKey, version],
  );
  return rows[0]?.version ?? null;
}

const UNDER_WAY = "('ahead', 'approval', 'stage-approval', 'held', 'lag', 'publishing')";

/** The version's release workflow, while stages are before it; null when its way is over, or it has one stage only. */
export async function releaseUnderWay(
  ledger: pg.Pool,
  { fleet, customerKey, version }: ReleaseRef,
): Promise<string | null> {
  const { rows } = await ledger.query<{ workflow_id: string }>(
    `select workflow_id from releases r
      where fleet = $1 and customer_key = $2 and version = $3
        and exists (select from promotions p
                     where p.fleet = r.fleet and p.customer_key = r.customer_key and p.version = r.version
                       and p.state in ${UNDER_WAY})`,
    [fleet, customerKey, version],
  );
  return rows[0]?.workflow_id ?? null;
}

/** Workflow ids of older versions that are still on their way. */
export async function olderUnderWay(
  ledger: pg.Pool,
  { fleet, customerKey, version }: ReleaseRef,
): Promise<string[]> {
  const { rows } = await ledger.query<{ workflow_id: string }>(
    `select r.workflow_id from releases r
      where r.fleet = $1 and r.customer_key = $2 and r.version < $3
        and exists (select from promotions p
                     where p.fleet = r.fleet and p.customer_key = r.customer_key and p.version = r.version
                       and p.state in ${UNDER_WAY})
      order by r.version`,
    [fleet, customerKey, version],
  );
  return rows.map((row) => row.workflow_id);
}

/** As `newerServing`, of a cohort. One of the same cycle is the rest of it, and overtakes nobody. */
export async function newerServingCohort(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
): Promise<number | null> {
  const { rows } = await ledger.query<{ version: number | null }>(
    `select max(n.version) as version from cohorts n join cohorts o on o.fleet = n.fleet and o.version = $2
      where n.fleet = $1 and n.version > $2 and n.cycle <> o.cycle
        and exists (select from releases r where r.fleet = n.fleet and r.version = n.version and r.cohort
                                            and r.state = 'serving')`,
    [fleet, version],
  );
  return rows[0]?.version ?? null;
}

const COHORT_UNDER_WAY = `exists (select from promotions p
   where p.fleet = h.fleet and p.customer_key = '${COHORT_KEY}' and p.version = h.version and p.state in ${UNDER_WAY})`;

/** As `releaseUnderWay`, of a cohort. */
export async function cohortUnderWay(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
): Promise<string | null> {
  const { rows } = await ledger.query<{ workflow_id: string }>(
    `select h.workflow_id from cohorts h where h.fleet = $1 and h.version = $2 and ${COHORT_UNDER_WAY}`,
    [fleet, version],
  );
  return rows[0]?.workflow_id ?? null;
}

/** Workflow ids of older cohorts, of other cycles, that are still on their way. */
export async function olderCohortsUnderWay(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
): Promise<string[]> {
  const { rows } = await ledger.query<{ workflow_id: string }>(
    `select h.workflow_id from cohorts h join cohorts n on n.fleet = h.fleet and n.version = $2
      where h.fleet = $1 and h.version < $2 and h.cycle <> n.cycle and ${COHORT_UNDER_WAY}
      order by h.version`,
    [fleet, version],
  );
  return rows.map((row) => row.workflow_id);
}
