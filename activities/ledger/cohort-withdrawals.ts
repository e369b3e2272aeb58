/** Withdrawals of a whole cohort: asked for, made and cleared away by one statement for all of a page. */
import type pg from "pg";
import type { Answered, CohortPlace, PageOf } from "./cohort-members.js";
import { lockMembers, type CohortRef } from "./cohorts.js";
import { lockCustomers } from "./publications.js";
import { inTransaction } from "./transaction.js";
import { CUSTOMER_VERSIONS, type CustomerVersion } from "./withdrawals.js";

/**
 * The stages that a withdrawal of the cohort concerns, production (the last) first: those that have a publication of
 * it, and those where it is being withdrawn already.
 */
export async function stagesOfCohort(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
): Promise<string[]> {
  const { rows } = await ledger.query<{ stage: string }>(
    `select s.stage ->> 'name' as stage
       from cohorts h join cycles y using (fleet, cycle) join fleet_specs f using (fleet, spec_hash),
            jsonb_array_elements(f.spec -> 'stages') with ordinality as s (stage, place)
      where h.fleet = $1 and h.version = $2
        and (exists (select from publications p
                      where p.fleet = $1 and p.stage = s.stage ->> 'name' and p.version = $2)
             or exists (select from withdrawals w
                         where w.fleet = $1 and w.stage = s.stage ->> 'name' and w.version = $2))
      order by s.place desc`,
    [fleet, version],
  );
  return rows.map((row) => row.stage);
}

export interface NewCohortWithdrawal extends CohortRef {
  /** All that it has reached. */
  readonly stages: readonly string[];
  readonly by: string;
  readonly because: string | null;
  readonly workflowId: string;
}

/** From now on no member is published any more, and none is anybody's way back. Asked for twice is asked for once. */
export async function recordCohortWithdrawal(
  ledger: pg.Pool,
  o: NewCohortWithdrawal,
): Promise<void> {
  await inTransaction(ledger, async (connection) => {
    await lockMembers(connection, o);
    await connection.query(
      `with leaving as (
         select customer_key, cycle from releases r
          where fleet = $1 and version = $3 and cohort
            and (state in ('approved', 'serving', 'retired', 'rejected')
                 -- A stage that takes what nobody has approved may serve it.
                 or state in ('denied', 'expired', 'superseded') and exists
                      (select from publications p
                        where p.fleet = $1 and p.customer_key = r.customer_key and p.version = $3
                          and p.state = 'serving'))),
       asked as (
         insert into withdrawals (fleet, stage, customer_key, version, asked_by, because, workflow_id, state)
         select $1, stage, customer_key, $3, $4, $5, $6, 'asked'
           from leaving, unnest($2::text[]) as reached (stage) on conflict do nothing),
       release as (
         update releases r set state = 'withdrawn' from leaving l
          where r.fleet = $1 and r.version = $3 and r.customer_key = l.customer_key)
       update customers c set state = 'withdrawn', updated_at = now(),
              reason = 'denied by ' || $4 || coalesce(': ' || $5, '')
         from leaving l where c.fleet = $1 and c.cycle = l.cycle and c.customer_key = l.customer_key`,
      [o.fleet, o.stages, o.version, o.by, o.because, o.workflowId],
    );
    await connection.query(
      "update cohorts set state = 'withdrawn' where fleet = $1 and version = $2",
      [o.fleet, o.version],
    );
  });
}

/** Members whose withdrawal is asked for and not made, by their keys. */
export async function readLeaving(
  ledger: pg.Pool,
  { fleet, stage, version }: CohortPlace,
  { after, limit }: PageOf,
): Promise<string[]> {
  const { rows } = await ledger.query<{ customer_key: string }>(
    `select customer_key from withdrawals
      where fleet = $1 and stage = $2 and version = $3 and state = 'asked' and customer_key > $4
      order by customer_key limit $5`,
    [fleet, stage, version, after, limit],
  );
  return rows.map((row) => row.customer_key);
}

/** All versions of these customers' models, each customer's newest first. */
export async function readVersionsOf(
  ledger: pg.Pool,
  { fleet, stage }: CohortPlace,
  keys: readonly string[],
): Promise<Map<string, CustomerVersion[]>> {
  const { rows } = await ledger.query<CustomerVersion & { readonly customerKey: string }>(
    `${CUSTOMER_VERSIONS} where r.fleet = $1 and r.customer_key = any($3)
      order by r.customer_key, r.version desc`,
    [fleet, stage, keys],
  );
  const byCustomer = new Map<string, CustomerVersion[]>();
  for (const { customerKey, ...version } of rows) {
    const known = byCustomer.get(customerKey);
    if (known === undefined) byCustomer.set(customerKey, [version]);
    else known.push(version);
  }
  return byCustomer;
}

/** The version does not serve these customers (any more): there is nothing to move. */
export async function recordNothingToMoveFor(
  ledger: pg.Pool,
  { fleet, stage, version }: CohortPlace,
  keys: readonly string[],
): Promise<void> {
  if (keys.length === 0) return;
  await ledger.query(
    `with publication as (
       update publications p set state = 'withdrawn', updated_at = now(),
              reason = 'denied by ' || w.asked_by || coalesce(': ' || w.because, '')
         from withdrawals w
        where w.fleet = $1 and w.stage = $2 and w.version = $3 and w.customer_key = any($4)
          and p.fleet = $1 and p.stage = $2 and p.version = $3 and p.customer_key = w.customer_key
          and p.state in ('copied', 'rejected', 'replaced'))
     update withdrawals w set state = 'moved', moved_at = now(),
            serves_version = (select s.version from publications s
                               where s.fleet = $1 and s.stage = $2 and s.customer_key = w.customer_key
                                 and s.state = 'serving')
      where w.fleet = $1 and w.stage = $2 and w.version = $3 and w.customer_key = any($4) and w.state = 'asked'
        and not exists (select from publications p
                         where p.fleet = $1 and p.stage = $2 and p.version = $3
                           and p.customer_key = w.customer_key and p.state = 'serving')`,
    [fleet, stage, version, keys],
  );
}

export interface Move {
  readonly customerKey: string;
  /** What is to serve instead; null: nothing may. */
  readonly next: {
    readonly version: number;
    readonly targetModel: string;
    readonly modelPackageArn: string;
  } | null;
}

/**
 * Lets these versions serve instead of the withdrawn one. A customer who is served by another by now, or whose next
 * version was denied too, is left for another look. `point` runs while nobody else can change what the customers are
 * served. `verified` is what was answered by those that were asked. Returns how many have moved.
 */
export async function recordPageWayBack(
  ledger: pg.Pool,
  place: CohortPlace,
  { moves, verified }: { moves: readonly Move[]; verified: Readonly<Record<string, Answered>> },
  point: (moves: readonly Move[]) => Promise<void>,
): Promise<number> {
  return inTransaction(ledger, async (connection) => {
    const allowed = await lockMoves(connection, place, moves);
    const accepted = moves.filter(({ customerKey }) => allowed.has(customerKey));
    await point(accepted);
    await swapAll(connection, place, accepted, verified);
    return accepted.length;
  });
}

/** Keys of the customers for whom both versions stand as they were found. */
async function lockMoves(
  connection: pg.PoolClient,
  { fleet, stage, version }: CohortPlace,
  moves: readonly Move[],
): Promise<Set<string>> {
  const keys = moves.map(({ customerKey }) => customerKey);
  await lockCustomers(connection, { fleet, stage }, keys);
  const { rows } = await connection.query<{ customer_key: string }>(
    `select m.customer_key from unnest($4::text[], $5::int[]) as m (customer_key, next)
       join publications p on p.fleet = $1 and p.stage = $2 and p.version = $3
                          and p.customer_key = m.customer_key and p.state = 'serving'
       left join releases n on n.fleet = $1 and n.customer_key = m.customer_key and n.version = m.next
      where m.next is null or n.state in ('retired', 'approved', 'serving') and n.collected_at is null`,
    [fleet, stage, version, keys, moves.map(({ next }) => next?.version ?? null)],
  );
  return new Set(rows.map((row) => row.customer_key));
}

async function swapAll(
  connection: pg.PoolClient,
  { fleet, stage, version }: CohortPlace,
  moves: readonly Move[],
  verified: Readonly<Record<string, Answered>>,
): Promise<void> {
  if (moves.length === 0) return;
  const keys = moves.map(({ customerKey }) => customerKey);
  const nexts = moves.map(({ next }) => next?.version ?? null);
  const page = [fleet, stage, version, keys, nexts];
  await connection.query(
    `with moved as (
       update withdrawals w set state = 'moved', serves_version = m.next, moved_at = now()
         from unnest($4::text[], $5::int[]) as m (customer_key, next)
        where w.fleet = $1 and w.stage = $2 and w.version = $3 and w.customer_key = m.customer_key
       returning w.customer_key, w.asked_by, w.because)
     update publications p set state = 'withdrawn', updated_at = now(),
            reason = 'denied by ' || w.asked_by || coalesce(': ' || w.because, '')
       from moved w
      where p.fleet = $1 and p.stage = $2 and p.version = $3 and p.customer_key = w.customer_key`,
    page,
  );
  await connection.query(
    `update publications p set state = 'serving', reason = null, updated_at = now(),
            verification = coalesce($5::jsonb -> p.customer_key, p.verification)
       from unnest($3::text[], $4::int[]) as m (customer_key, next)
      where p.fleet = $1 and p.stage = $2 and p.customer_key = m.customer_key and p.version = m.next`,
    [fleet, stage, keys, nexts, JSON.stringify(verified)],
  );
  await connection.query(
    `with release as (
       update releases r set state = 'serving' from unnest($2::text[], $3::int[]) as m (customer_key, next)
        where r.fleet = $1 and r.customer_key = m.customer_key and r.version = m.next
       returning r.customer_key, r.cycle)
     update customers c set state = 'serving', reason = null, updated_at = now() from release
      where c.fleet = $1 and c.cycle = release.cycle and c.customer_key = release.customer_key`,
    [fleet, keys, nexts],
  );
}

export interface WithdrawalCounts {
  readonly moved: number;
  readonly removed: number;
  readonly open: number;
  /** Why one of the open ones still serves. */
  readonly because: string | null;
}

export async function countWithdrawals(
  ledger: pg.Pool,
  { fleet, stage, version }: CohortPlace,
): Promise<WithdrawalCounts> {
  const { rows } = await ledger.query<WithdrawalCounts>(
    `select count(*) filter (where state <> 'asked' and serves_version is not null)::int as moved,
            count(*) filter (where state <> 'asked' and serves_version is null)::int as removed,
            count(*) filter (where state = 'asked')::int as open,
            min(reason) filter (where state = 'asked') as because
       from withdrawals where fleet = $1 and stage = $2 and version = $3`,
    [fleet, stage, version],
  );
  return rows[0] ?? { moved: 0, removed: 0, open: 0, because: null };
}

/** Why members still serve that shall not. */
export async function recordDelayFor(
  ledger: pg.Pool,
  { fleet, stage, version }: CohortPlace,
  keys: readonly string[],
  because: string,
): Promise<void> {
  await ledger.query(
    `update withdrawals set reason = $5
      where fleet = $1 and stage = $2 and version = $3 and customer_key = any($4) and state = 'asked'`,
    [fleet, stage, version, keys, because.slice(0, 1000)],
  );
}

export interface LeftArtifact {
  readonly customerKey: string;
  /** As it was published; null when it never was. */
  readonly targetModel: string | null;
}

/** Members that serve nobody any more, whose artifacts may still be there. */
export async function readLeftArtifacts(
  ledger: pg.Pool,
  { fleet, stage, version }: CohortPlace,
  { after, limit }: PageOf,
): Promise<LeftArtifact[]> {
  const { rows } = await ledger.query<LeftArtifact>(
    `select w.customer_key as "customerKey", p.target_model as "targetModel"
       from withdrawals w
       join releases r using (fleet, customer_key, version)
       left join publications p using (fleet, stage, customer_key, version)
      where w.fleet = $1 and w.stage = $2 and w.version = $3 and w.state = 'moved' and w.customer_key > $4
        and r.state = 'withdrawn' and coalesce(p.state <> 'serving', true)
      order by w.customer_key limit $5`,
    [fleet, stage, version, after, limit],
  );
  return rows;
}

export async function recordRemovedFor(
  ledger: pg.Pool,
  { fleet, stage, version }: CohortPlace,
  keys: readonly string[],
): Promise<void> {
  await ledger.query(
    `update withdrawals set state = 'removed'
      where fleet = $1 and stage = $2 and version = $3 and customer_key = any($4) and state = 'moved'`,
    [fleet, stage, version, keys],
  );
}
