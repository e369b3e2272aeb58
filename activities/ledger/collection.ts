/** The ledger's side of tidying up: what versions are still good for, and what was taken. */
import type pg from "pg";
import { COHORT_KEY } from "../../fleet/names.js";
import {
  isUnapproved,
  versionsToCollect,
  type CustomerStanding,
  type Retention,
} from "../../fleet/retention.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { VersionRef } from "./publications.js";
import { readSpec } from "./specs.js";
import { inTransaction } from "./transaction.js";

export const CUSTOMERS_AT_A_TIME = 500;

const ENDED = "('completed', 'failed', 'cancelled')";

/** What ages are counted to, and how long things are kept. */
export interface Cutoff {
  readonly fleet: string;
  readonly retention: Retention;
  readonly now: Date;
}

/** Keys of customers with a version that was not collected, in pages. */
export async function* customerPages(ledger: pg.Pool, fleet: string): AsyncGenerator<string[]> {
  for (let after = ""; ;) {
    const { rows } = await ledger.query<{ customer_key: string }>(
      `select distinct customer_key from releases
        where fleet = $1 and customer_key > $2 and collected_at is null
        order by customer_key limit ${CUSTOMERS_AT_A_TIME}`,
      [fleet, after],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.map((row) => row.customer_key);
    after = last.customer_key;
  }
}

/** A version that may go, with what its model package is. */
export interface Collectible extends VersionRef {
  /** It shares its model package with its cohort's other members. */
  readonly cohort: boolean;
  /** Nobody has approved it, it is a package by itself, and not the newest: numbers are not given twice. */
  readonly dropsPackage: boolean;
}

/** Of these customers. Changes nothing. */
export async function readCollectible(
  ledger: pg.Pool | pg.PoolClient,
  { fleet, retention, now }: Cutoff,
  keys: readonly string[],
): Promise<Collectible[]> {
  const standings = await readStandings(ledger, fleet, keys);
  return standings.flatMap(({ customerKey, versions, ...standing }) => {
    const going = new Set(versionsToCollect({ ...standing, versions }, retention, now.getTime()));
    const newest = Math.max(...versions.map(({ version }) => version));
    return versions
      .filter(({ version, collected }) => !collected && going.has(version))
      .map(({ version, state, cohort }) => ({
        ...{ customerKey, version, cohort },
        dropsPackage: !cohort && isUnapproved(state) && version !== newest,
      }));
  });
}

/**
 * Marks what may go, and returns it. From then on no rollback and no publication takes it: they look under the same locks of
 * the customer's releases, in the same order, so that of the two one is always first.
 */
export function markCollected(
  ledger: pg.Pool,
  cutoff: Cutoff,
  keys: readonly string[],
): Promise<Collectible[]> {
  const { fleet, now } = cutoff;
  return inTransaction(ledger, async (connection) => {
    await connection.query(
      `select from releases where fleet = $1 and customer_key = any($2)
        order by customer_key, version for update`,
      [fleet, keys],
    );
    // A statement of its own: it sees what was committed while the locks were waited for.
    const going = await readCollectible(connection, cutoff, keys);
    await connection.query(
      `update releases r set collected_at = $4
         from unnest($2::text[], $3::int[]) as g (customer_key, version)
        where r.fleet = $1 and r.customer_key = g.customer_key and r.version = g.version`,
      [
        fleet,
        going.map(({ customerKey }) => customerKey),
        going.map(({ version }) => version),
        now,
      ],
    );
    return going;
  });
}

interface Standing extends CustomerStanding {
  readonly customerKey: string;
  readonly versions: readonly (CustomerStanding["versions"][number] & {
    readonly cohort: boolean;
    readonly collected: boolean;
  })[];
}

async function readStandings(
  ledger: pg.Pool | pg.PoolClient,
  fleet: string,
  keys: readonly string[],
): Promise<Standing[]> {
  const { rows } = await ledger.query<Standing>(
    `select r.customer_key as "customerKey",
            exists (select from withdrawals w
                     where w.fleet = $1 and w.customer_key = r.customer_key and w.state = 'asked') as "isLeaving",
            -- By when, not by which version: one that was denied before may be newer than the one that was retired.
            exists (select from retirements t
                     where t.fleet = $1 and t.customer_key = r.customer_key
                    having max(t.retired_at) >= max(r.created_at))
              and not exists (select from publications p
                               where p.fleet = $1 and p.customer_key = r.customer_key and p.state = 'serving')
              as "isGone",
            json_agg(json_build_object(
              'version', r.version, 'state', r.state, 'cohort', r.cohort, 'collected', r.collected_at is not null,
              'changedAt', extract(epoch from greatest(r.created_at, r.decided_at, p.changed_at, w.changed_at)) * 1000,
              'stages', coalesce(p.stages, '[]'),
              'isWanted', y.state not in ${ENDED}
                or exists (select from promotions o
                            where o.fleet = $1 and o.version = r.version
                              and o.customer_key = case when r.cohort then '${COHORT_KEY}' else r.customer_key end
                              and o.state in ('ahead', 'approval', 'stage-approval', 'held', 'lag', 'publishing'))
                or r.cohort and exists (select from cohorts h
                            where h.fleet = $1 and h.version = r.version and h.state in ('pending', 'approved'))
                or exists (select from customers c join cycles u using (fleet, cycle)
                            where c.fleet = $1 and c.customer_key = r.customer_key and c.champion_version = r.version
                              and u.state not in ${ENDED})) order by r.version) as versions
       from releases r
       join cycles y using (fleet, cycle)
       left join lateral (
         select max(updated_at) as changed_at,
                json_agg(json_build_object('stage', stage, 'serves', state = 'serving',
                                           'verified', verification is not null)) as stages
           from publications
          where fleet = $1 and customer_key = r.customer_key and version = r.version) p on true
       left join lateral (
         select max(coalesce(moved_at, asked_at)) as changed_at from withdrawals
          where fleet = $1 and customer_key = r.customer_key and version = r.version) w on true
      where r.fleet = $1 and r.customer_key = any($2)
      group by r.customer_key order by r.customer_key`,
    [fleet, keys],
  );
  return rows;
}

export interface EndedCycle {
  readonly cycle: string;
  readonly endedAt: Date;
}

/** The oldest first. A cycle that is run again ends again, and is counted from then. */
export async function endedCycles(
  ledger: pg.Pool,
  fleet: string,
  until: Date,
): Promise<EndedCycle[]> {
  const { rows } = await ledger.query<EndedCycle>(
    `select cycle, coalesce(ended_at, started_at) as "endedAt" from cycles
      where fleet = $1 and state in ${ENDED} and coalesce(ended_at, started_at) <= $2
      order by cycle`,
    [fleet, until],
  );
  return rows;
}

export interface CycleRelease extends VersionRef {
  readonly trainingJobName: string;
  readonly artifactUri: string;
}

/** What a page of a cycle's objects may belong to. */
export interface Owners {
  readonly customerKeys: readonly string[];
  readonly jobNames: readonly string[];
  readonly uris: readonly string[];
}

/** Versions of the cycle that were not collected, and that one of these objects may belong to. */
export async function readOwners(
  ledger: pg.Pool,
  { fleet, cycle }: { readonly fleet: string; readonly cycle: string },
  { customerKeys, jobNames, uris }: Owners,
): Promise<CycleRelease[]> {
  const { rows } = await ledger.query<CycleRelease>(
    `select customer_key as "customerKey", version, training_job_name as "trainingJobName",
            artifact_uri as "artifactUri"
       from releases
      where fleet = $1 and cycle = $2 and collected_at is null
        and (customer_key = any($3) or not cohort and (training_job_name = any($4) or artifact_uri = any($5)))`,
    [fleet, cycle, customerKeys, jobNames, uris],
  );
  return rows;
}

/** The cycle's versions that were not collected, in pages. */
export async function* keptVersionPages(
  ledger: pg.Pool,
  { fleet, cycle }: { readonly fleet: string; readonly cycle: string },
): AsyncGenerator<VersionRef[]> {
  for (let after = ""; ;) {
    const { rows } = await ledger.query<VersionRef>(
      `select customer_key as "customerKey", version from releases
        where fleet = $1 and cycle = $2 and collected_at is null and customer_key > $3
        order by customer_key limit ${CUSTOMERS_AT_A_TIME}`,
      [fleet, cycle, after],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    after = last.customerKey;
  }
}

/** Jobs of what customers share: preprocessors, of which every model behind one needs its own, and sharded jobs of the cycle. */
export async function readSharedJobs(
  ledger: pg.Pool,
  { fleet, cycle }: { readonly fleet: string; readonly cycle: string },
): Promise<{ readonly preprocessors: readonly string[]; readonly sharded: readonly string[] }> {
  const { rows } = await ledger.query<{ preprocessors: string[]; sharded: string[] }>(
    `select array(select training_job_name from preprocessors where fleet = $1) as preprocessors,
            array(select distinct training_job_name from releases
                   where fleet = $1 and cycle = $2 and cohort) as sharded`,
    [fleet, cycle],
  );
  return rows[0] ?? { preprocessors: [], sharded: [] };
}

type OneEndedCycle = EndedCycle & { readonly fleet: string };

/** Not opened again since it was looked at. */
const STILL_ENDED = `fleet = $1 and cycle = $2 and state in ${ENDED}
          and date_trunc('milliseconds', coalesce(ended_at, started_at)) = $3`;

/** Does `work` while the cycle cannot be opened again; false, and nothing is done, when it runs by now. */
export function whileEnded(
  ledger: pg.Pool,
  { fleet, cycle, endedAt }: OneEndedCycle,
  work: () => Promise<void>,
): Promise<boolean> {
  return inTransaction(ledger, async (connection) => {
    const { rowCount } = await connection.query(
      `select from cycles where ${STILL_ENDED} for update`,
      [fleet, cycle, endedAt],
    );
    if (rowCount === 0) return false;
    await work();
    return true;
  });
}

/**
 * From then on the cycle is never opened again: what a job of it had made is about to go, and the job is not run twice.
 * False, and nothing is marked, when it runs by now.
 */
export async function markCycleCollected(
  ledger: pg.Pool,
  { fleet, cycle, endedAt }: OneEndedCycle,
  at: Date,
): Promise<boolean> {
  const { rowCount } = await ledger.query(
    `update cycles set collected_at = coalesce(collected_at, $4) where ${STILL_ENDED}`,
    [fleet, cycle, endedAt, at],
  );
  return rowCount !== 0;
}

/** Of these versions those that were collected, and that no stage serves. */
export async function readCollected(
  ledger: pg.Pool,
  fleet: string,
  versions: readonly VersionRef[],
): Promise<VersionRef[]> {
  const { rows } = await ledger.query<VersionRef>(
    `select r.customer_key as "customerKey", r.version
       from unnest($2::text[], $3::int[]) as a (customer_key, version)
       join releases r on r.fleet = $1 and r.customer_key = a.customer_key and r.version = a.version
      where r.collected_at is not null
        and not exists (select from publications p
                         where p.fleet = $1 and p.customer_key = r.customer_key and p.version = r.version
                           and p.state = 'serving')`,
    [fleet, versions.map(({ customerKey }) => customerKey), versions.map(({ version }) => version)],
  );
  return rows;
}

export interface PackageRef extends VersionRef {
  readonly modelPackageArn: string;
}

const UNAPPROVED = "('denied', 'rejected', 'superseded', 'expired', 'withdrawn')";

/** The next model packages that nobody has approved, of versions that were collected; the newest of each group stays. */
export async function readDroppedPackages(
  ledger: pg.Pool,
  fleet: string,
  limit: number,
): Promise<PackageRef[]> {
  const { rows } = await ledger.query<PackageRef>(
    `select customer_key as "customerKey", version, model_package_arn as "modelPackageArn"
       from releases r
      where fleet = $1 and collected_at is not null and package_collected_at is null and not cohort
        and state in ${UNAPPROVED}
        and exists (select from releases n
                     where n.fleet = r.fleet and n.customer_key = r.customer_key and n.version > r.version)
      order by customer_key, version limit $2`,
    [fleet, limit],
  );
  return rows;
}

export async function countDroppedPackages(ledger: pg.Pool, fleet: string): Promise<number> {
  const { rows } = await ledger.query<{ count: number }>(
    `select count(*)::int as count from releases r
      where fleet = $1 and collected_at is not null and package_collected_at is null and not cohort
        and state in ${UNAPPROVED}
        and exists (select from releases n
                     where n.fleet = r.fleet and n.customer_key = r.customer_key and n.version > r.version)`,
    [fleet],
  );
  return rows[0]?.count ?? 0;
}

export async function recordDroppedPackages(
  ledger: pg.Pool,
  fleet: string,
  versions: readonly VersionRef[],
): Promise<void> {
  await ledger.query(
    `update releases r set package_collected_at = now()
       from unnest($2::text[], $3::int[]) as d (customer_key, version)
      where r.fleet = $1 and r.customer_key = d.customer_key and r.version = d.version`,
    [fleet, versions.map(({ customerKey }) => customerKey), versions.map(({ version }) => version)],
  );
}

export interface CohortPackage {
  readonly version: number;
  readonly modelPackageArn: string;
  /** Members that were not collected: the package goes with the last of them. */
  readonly membersLeft: number;
}

/** Cohorts that nobody has approved; the newest stays. */
export async function readUnapprovedCohorts(
  ledger: pg.Pool,
  fleet: string,
): Promise<CohortPackage[]> {
  const { rows } = await ledger.query<CohortPackage>(
    `select version, model_package_arn as "modelPackageArn",
            (select count(*) from releases r
              where r.fleet = h.fleet and r.version = h.version and r.cohort and r.collected_at is null)::int
              as "membersLeft"
       from cohorts h
      where fleet = $1 and package_collected_at is null
        and state in ('denied', 'superseded', 'expired', 'withdrawn')
        and exists (select from cohorts n where n.fleet = h.fleet and n.version > h.version)
      order by version`,
    [fleet],
  );
  return rows;
}

export async function recordDroppedCohort(
  ledger: pg.Pool,
  fleet: string,
  version: number,
): Promise<void> {
  await ledger.query(
    "update cohorts set package_collected_at = now() where fleet = $1 and version = $2",
    [fleet, version],
  );
}

/** Once for each time; an attempt that is repeated says the same. */
export async function recordCollection(
  ledger: pg.Pool,
  o: { readonly fleet: string; readonly at: Date; readonly by: string; readonly found: unknown },
): Promise<void> {
  await ledger.query(
    `insert into collections (fleet, at, collected_by, found) values ($1, $2, $3, $4) on conflict do nothing`,
    [o.fleet, o.at, o.by, JSON.stringify(o.found)],
  );
}

/** Of the newest cycle that was begun; undefined when the ledger has none. */
export async function readNewestSpec(
  ledger: pg.Pool,
  fleet: string,
): Promise<FleetSpec | undefined> {
  const { rows } = await ledger.query<{ spec_hash: string }>(
    "select spec_hash from cycles where fleet = $1 order by started_at desc, cycle desc limit 1",
    [fleet],
  );
  const [row] = rows;
  return row === undefined ? undefined : readSpec(ledger, { fleet, specHash: row.spec_hash });
}
