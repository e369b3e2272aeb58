/** The ledger's promotions: how far each version has come on its way through the stages, and what it waits for. */
import type pg from "pg";
import type { Standing } from "../../fleet/promotion.js";
import type { ReleaseRef } from "./releases.js";

/** All stages of the version, in order of promotion. */
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
