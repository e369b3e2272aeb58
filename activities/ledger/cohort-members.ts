/** The members of a cohort in pages: read, published and withdrawn by one statement for all of a page. */
import type pg from "pg";
import { COHORT_KEY } from "../../fleet/names.js";
import { COLLECTED_WORDS, withdrawalWords, type RecordedState } from "../../fleet/way-back.js";
import { lockMembers, type CohortRef } from "./cohorts.js";
import { lockCustomers, type PublicationState, type StageRef } from "./publications.js";
import { inTransaction } from "./transaction.js";

export interface CohortPlace extends CohortRef, StageRef {}

export interface PageOf {
  /** The key of the last member of the page before; empty: the first page. */
  readonly after: string;
  readonly limit: number;
}

/** The next members by their keys. */
export async function readMemberKeys(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
  { after, limit }: PageOf,
): Promise<string[]> {
  const { rows } = await ledger.query<{ customer_key: string }>(
    `select customer_key from releases
      where fleet = $1 and version = $2 and cohort and customer_key > $3 order by customer_key limit $4`,
    [fleet, version, after, limit],
  );
  return rows.map((row) => row.customer_key);
}

/**
 * Members of the page that another stage has rejected, and why: they come into no further one. What a stage has said
 * that somebody has skipped since does not count.
 */
export async function readRejectedElsewhere(
  ledger: pg.Pool,
  { fleet, stage, version }: CohortPlace,
  keys: readonly string[],
): Promise<RejectedMember[]> {
  const { rows } = await ledger.query<RejectedMember>(
    `select customer_key as "customerKey", min(coalesce(reason, '')) as because from publications p
      where fleet = $1 and customer_key = any($4) and version = $3 and state = 'rejected' and stage <> $2
        and not exists (select from promotions o
                         where o.fleet = $1 and o.customer_key = $5 and o.version = $3 and o.stage = p.stage
                           and o.state = 'skipped')
      group by customer_key`,
    [fleet, stage, version, keys, COHORT_KEY],
  );
  return rows;
}

/** Keys of members that are ready to be asked, spread evenly over all of them; at most `size`. */
export async function sampleMembers(
  ledger: pg.Pool,
  { fleet, stage, version }: CohortPlace,
  size: number,
): Promise<string[]> {
  const { rows } = await ledger.query<{ customer_key: string }>(
    `select customer_key from (
       select customer_key, row_number() over (order by customer_key) - 1 as place, count(*) over () as members
         from publications where fleet = $1 and stage = $2 and version = $3 and state = 'copied') as ready
      where place % greatest(1, ceil(members / $4::numeric)) = 0 order by customer_key`,
    [fleet, stage, version, size],
  );
  return rows.map((row) => row.customer_key);
}

export interface Answered {
  readonly offline: readonly number[];
  readonly served: readonly number[];
  readonly latencyMs: number;
}

/**
 * Who of a cohort was asked in the stage that publishes it, and has answered as in training. When nobody was left to
 * be asked, since all serve, the record of who was stays.
 */
export async function recordSample(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
  sample: Readonly<Record<string, Answered>>,
): Promise<void> {
  if (Object.keys(sample).length === 0) return;
  await ledger.query("update cohorts set sample = $3 where fleet = $1 and version = $2", [
    fleet,
    version,
    JSON.stringify(sample),
  ]);
}

/** A member under the ledger's locks: nobody else changes what its customer is served meanwhile. */
export interface LockedMember {
  readonly customerKey: string;
  readonly state: RecordedState;
  /** Retention has taken its artifact. */
  readonly collected: boolean;
  readonly publication: PublicationState | null;
  readonly targetModel: string | null;
  /** What serves the customer; null when nothing does. */
  readonly serving: {
    readonly version: number;
    readonly targetModel: string;
    readonly modelPackageArn: string;
  } | null;
  /** Who denied it after its approval. */
  readonly withdrawal: { readonly by: string; readonly because: string | null } | null;
}

export interface PageStep {
  /** Members that shall serve now. */
  readonly serve: readonly LockedMember[];
  /** Members that shall not, and do not. */
  readonly leave: readonly LockedMember[];
}

/**
 * Lets the members of a page serve that may, and rejects with its reason whoever was overtaken by a newer version.
 * `point` runs while nobody else can change what these customers are served. `verified` tells what a member has
 * answered that was asked; the others stand on the sample. Returns how many serve by now.
 */
export async function recordPageServing(
  ledger: pg.Pool,
  place: CohortPlace,
  { keys, verified }: { keys: readonly string[]; verified: Readonly<Record<string, Answered>> },
  point: (step: PageStep) => Promise<void>,
): Promise<{ serving: number }> {
  return inTransaction(ledger, async (connection) => {
    const locked = await lockPage(connection, place, keys);
    const serve = locked.filter((member) => mayServe(place.version, member));
    const chosen = new Set(serve.map(({ customerKey }) => customerKey));
    const isServing = ({ serving }: LockedMember) => serving?.version === place.version;
    const leave = locked.filter((one) => !chosen.has(one.customerKey) && !isServing(one));
    await point({ serve, leave });
    await replaceAll(connection, place, [...chosen], verified);
    await rejectOvertaken(connection, place, leave);
    return { serving: serve.length + locked.filter(isServing).length };
  });
}

/** What was copied had the approval that the stage wants; since then it may have been denied, or have expired. */
const mayServe = (version: number, member: LockedMember): boolean =>
  member.publication === "copied" &&
  !member.collected &&
  (member.state === "pending" || member.state === "approved" || member.state === "serving") &&
  member.withdrawal === null &&
  (member.serving === null || member.serving.version < version);

async function lockPage(
  connection: pg.PoolClient,
  { fleet, stage, version }: CohortPlace,
  keys: readonly string[],
): Promise<LockedMember[]> {
  await lockCustomers(connection, { fleet, stage }, keys);
  const { rows } = await connection.query<LockedMember>(
    `select r.customer_key as "customerKey", r.state, r.collected_at is not null as collected,
            p.state as publication, p.target_model as "targetModel",
            (select json_build_object('version', s.version, 'targetModel', s.target_model,
                                      'modelPackageArn', v.model_package_arn)
               from publications s join releases v using (fleet, customer_key, version)
              where s.fleet = $1 and s.stage = $2 and s.customer_key = r.customer_key and s.state = 'serving')
              as serving,
            case when w.version is not null then
              json_build_object('by', w.asked_by, 'because', w.because) end as withdrawal
       from releases r
       left join publications p on p.fleet = r.fleet and p.stage = $2 and p.customer_key = r.customer_key
                               and p.version = r.version and p.customer_key = any($4)
       left join withdrawals w on w.fleet = r.fleet and w.stage = $2 and w.customer_key = r.customer_key
                              and w.version = r.version and w.customer_key = any($4)
      where r.fleet = $1 and r.version = $3 and r.customer_key = any($4) order by r.customer_key`,
    [fleet, stage, version, keys],
  );
  return rows;
}

/** As for one customer: what served before is replaced, and retired when no other stage serves it. */
async function replaceAll(
  connection: pg.PoolClient,
  { fleet, stage, version }: CohortPlace,
  keys: readonly string[],
  verified: Readonly<Record<string, Answered>>,
): Promise<void> {
  if (keys.length === 0) return;
  await connection.query(
    `update publications p
        set state = case when p.version = $3 then 'serving' else 'replaced' end, reason = null, updated_at = now(),
            verification = case when p.version <> $3 then p.verification else coalesce(
              $5::jsonb -> p.customer_key, h.sample -> p.customer_key,
              jsonb_build_object('sample', (select count(*) from jsonb_object_keys(coalesce(h.sample, '{}'))),
                                 'members', h.members)) end
       from cohorts h
      where p.fleet = $1 and p.stage = $2 and p.customer_key = any($4) and (p.version = $3 or p.state = 'serving')
        and h.fleet = $1 and h.version = $3`,
    [fleet, stage, version, keys, JSON.stringify(verified)],
  );
  await connection.query(
    `update releases r set state = case when r.version = $2 then 'serving' else 'retired' end
      where r.fleet = $1 and r.customer_key = any($3)
        and (r.version = $2 and r.state <> 'pending'
             or r.version <> $2 and r.state = 'serving' and not exists
                (select from publications p
                  where p.fleet = $1 and p.customer_key = r.customer_key and p.version = r.version
                    and p.state = 'serving'))`,
    [fleet, version, keys],
  );
  await connection.query(
    `update customers c set state = 'serving', reason = null, updated_at = now()
       from releases r
      where r.fleet = $1 and r.version = $2 and r.customer_key = any($3) and r.state = 'serving'
        and c.fleet = $1 and c.cycle = r.cycle and c.customer_key = r.customer_key
        and c.customer_key = any($3) and c.state in ('pending', 'approved', 'rejected', 'serving')`,
    [fleet, version, keys],
  );
}

async function rejectOvertaken(
  connection: pg.PoolClient,
  place: CohortPlace,
  members: readonly LockedMember[],
): Promise<void> {
  const overtaken = members.flatMap(({ customerKey, publication, serving, ...member }) => {
    const { state, collected, withdrawal } = member;
    if (publication !== "copied" || state === "denied") return [];
    if (collected) return [{ customerKey, because: COLLECTED_WORDS }];
    if (withdrawal !== null) return [{ customerKey, because: withdrawalWords(withdrawal) }];
    if (state === "withdrawn") return [{ customerKey, because: "withdrawn from the other stages" }];
    return serving !== null && serving.version > place.version
      ? [{ customerKey, because: `version ${serving.version} serves, which is newer` }]
      : [];
  });
  await rejectNamed(connection, place, overtaken);
}

export interface RejectedMember {
  readonly customerKey: string;
  readonly because: string;
}

/** Enough for a sentence and the container's own words. */
const REASON_LENGTH = 1000;

/** As `recordRejected` does for single versions; what serves, or has served, is left alone. */
export async function rejectNamed(
  connection: Pick<pg.Pool, "query">,
  { fleet, stage, version }: CohortPlace,
  rejected: readonly RejectedMember[],
): Promise<void> {
  if (rejected.length === 0) return;
  const keys = rejected.map(({ customerKey }) => customerKey);
  const reasons = rejected.map(({ because }) => because.slice(0, REASON_LENGTH));
  await connection.query(
    `with named as (
       select customer_key, because from unnest($4::text[], $5::text[]) as a (customer_key, because)),
     publication as (
       update publications p set state = 'rejected', reason = n.because, updated_at = now() from named n
        where p.fleet = $1 and p.stage = $2 and p.version = $3 and p.customer_key = n.customer_key
          and p.state in ('copied', 'rejected')),
     release as (
       update releases r set state = 'rejected', note = n.because from named n
        where r.fleet = $1 and r.version = $3 and r.customer_key = n.customer_key
          and r.state in ('approved', 'rejected')
       returning r.customer_key, r.cycle, r.note)
     update customers c set state = 'rejected', reason = x.note, updated_at = now() from release x
      where c.fleet = $1 and c.cycle = x.cycle and c.customer_key = x.customer_key
        and c.state in ('pending', 'approved', 'rejected')`,
    [fleet, stage, version, keys, reasons],
  );
}

/** All members that were approved, or copied, and do not serve in the stage: the cohort cannot be published there. */
export async function rejectRemaining(
  ledger: pg.Pool,
  place: CohortPlace,
  because: string,
): Promise<void> {
  await inTransaction(ledger, async (connection) => {
    await lockMembers(connection, place);
    const { rows } = await connection.query<{ customer_key: string }>(
      `select r.customer_key from releases r
         left join publications p on p.fleet = r.fleet and p.stage = $3 and p.customer_key = r.customer_key
                                 and p.version = r.version
        where r.fleet = $1 and r.version = $2 and r.cohort
          and (r.state = 'approved' or r.state in ('pending', 'serving') and p.state = 'copied')`,
      [place.fleet, place.version, place.stage],
    );
    const named = rows.map(({ customer_key: customerKey }) => ({ customerKey, because }));
    await rejectNamed(connection, place, named);
  });
}

/** The endpoint is done with the cohort: what becomes of it from now on is a matter of withdrawals. */
export async function recordPublished(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
): Promise<void> {
  await ledger.query(
    "update cohorts set state = 'published' where fleet = $1 and version = $2 and state = 'approved'",
    [fleet, version],
  );
}
