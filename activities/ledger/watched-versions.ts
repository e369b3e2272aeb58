/** The ledger's side of watching the model registry: which versions are watched, and who watches. */
import type pg from "pg";
import { COHORT_KEY } from "../../fleet/names.js";
import type { WatchedState } from "../../fleet/registry-change.js";
import type { WatchRegistryInput } from "../../workflows/messages.js";

export interface WatchedVersion {
  readonly fleet: string;
  readonly customerKey: string;
  readonly version: number;
  readonly state: WatchedState;
  readonly modelPackageArn: string;
  readonly workflowId: string;
  readonly decidedBy: string | null;
  readonly note: string | null;
  /** Where it serves; null when it does not. */
  readonly stage: string | null;
}

/** Where a page ended; null: begin at the start. */
export type Place = Pick<WatchedVersion, "fleet" | "customerKey" | "version"> | null;

/** The next `limit` of those that wait or are being published, or of those that serve. */
export async function watchedVersions(
  ledger: pg.Pool,
  { account, region }: WatchRegistryInput,
  page: { readonly kind: "undecided" | "serving"; readonly after: Place; readonly limit: number },
): Promise<WatchedVersion[]> {
  const { kind, after, limit } = page;
  // Written out, not a parameter: the partial indexes are chosen by it.
  const states =
    kind === "undecided"
      ? "r.state in ('pending', 'approved') and not r.cohort"
      : "r.state = 'serving' and not r.cohort";
  const { rows } = await ledger.query<WatchedVersion>(
    `select r.fleet, r.customer_key as "customerKey", r.version, r.state,
            r.model_package_arn as "modelPackageArn", r.workflow_id as "workflowId",
            r.decided_by as "decidedBy", r.note, p.stage
       from releases r
       left join lateral (
            select stage from publications p
             where p.fleet = r.fleet and p.customer_key = r.customer_key and p.version = r.version
               and p.state = 'serving' limit 1) p on true
      where split_part(r.model_package_arn, ':', 5) = $1 and split_part(r.model_package_arn, ':', 4) = $2
        and ${states} and (r.fleet, r.customer_key, r.version) > ($3, $4, $5)
      order by r.fleet, r.customer_key, r.version limit $6`,
    [account, region, after?.fleet ?? "", after?.customerKey ?? "", after?.version ?? 0, limit],
  );
  return rows;
}

/**
 * All cohorts that wait, are being published or serve somebody: each once, however many members it has. A cohort
 * stands under `COHORT_KEY`; a fleet has few of them, so there are no pages.
 */
export async function watchedCohorts(
  ledger: pg.Pool,
  { account, region }: WatchRegistryInput,
): Promise<WatchedVersion[]> {
  const { rows } = await ledger.query<WatchedVersion>(
    `select h.fleet, $3 as "customerKey", h.version,
            case h.state when 'published' then 'serving' else h.state end as state,
            h.model_package_arn as "modelPackageArn", h.workflow_id as "workflowId",
            h.decided_by as "decidedBy", h.note, p.stage
       from cohorts h
       left join lateral (
            select p.stage from releases r
              join publications p using (fleet, customer_key, version)
             where r.fleet = h.fleet and r.version = h.version and r.cohort and r.state = 'serving'
               and p.state = 'serving' limit 1) p on true
      where ${WATCHED_COHORT} order by h.fleet, h.version`,
    [account, region, COHORT_KEY],
  );
  return rows;
}

const WATCHED_COHORT = `
  split_part(h.model_package_arn, ':', 5) = $1 and split_part(h.model_package_arn, ':', 4) = $2
  and (h.state in ('pending', 'approved')
       or h.state = 'published' and exists
          (select from releases r where r.fleet = h.fleet and r.version = h.version and r.cohort
                                    and r.state = 'serving'))`;

/** Milliseconds between two calls of the operation that the account was seen to bear; null before the first. */
export async function learntInterval(
  ledger: pg.Pool,
  { account, region }: WatchRegistryInput,
  operation: string,
): Promise<number | null> {
  const { rows } = await ledger.query<{ interval_ms: number }>(
    "select interval_ms from api_budget where account = $1 and region = $2 and operation = $3",
    [account, region, operation],
  );
  return rows[0]?.interval_ms ?? null;
}

/**
 * Returns whether nobody watches this registry: whoever is told so must wake the watcher. Only one caller is told
 * within `staleSeconds`, so that a hundred registrations do not wake it a hundred times.
 */
export async function claimRegistryWatch(
  ledger: pg.Pool,
  { account, region }: WatchRegistryInput,
  staleSeconds: number,
): Promise<{ unwatched: boolean }> {
  const { rowCount } = await ledger.query(
    `insert into registry_watchers as w (account, region, seen_at) values ($1, $2, now())
     on conflict (account, region) do update set seen_at = now()
       where w.seen_at < now() - $3 * interval '1 s'`,
    [account, region, staleSeconds],
  );
  return { unwatched: rowCount !== 0 };
}

/** The caller that was to wake the watcher failed: the next must not take it for done. */
export async function giveUpRegistryWatch(
  ledger: pg.Pool,
  { account, region }: WatchRegistryInput,
): Promise<void> {
  await ledger.query("delete from registry_watchers where account = $1 and region = $2", [
    account,
    region,
  ]);
}

/** Whoever registers a version looks at this before it decides that the watcher must be woken. */
export async function showRegistryWatcher(
  ledger: pg.Pool,
  { account, region }: WatchRegistryInput,
): Promise<void> {
  await ledger.query(
    `insert into registry_watchers (account, region, seen_at) values ($1, $2, now())
     on conflict (account, region) do update set seen_at = now()`,
    [account, region],
  );
}

/**
 * Signs off, unless there is something to watch. One statement: a version registered before it keeps the watcher,
 * and whoever registers one after it finds nobody watching.
 */
export async function leaveRegistryWatch(
  ledger: pg.Pool,
  { account, region }: WatchRegistryInput,
): Promise<boolean> {
  const { rowCount } = await ledger.query(
    `delete from registry_watchers where account = $1 and region = $2 and not exists
       (select from releases
         where split_part(model_package_arn, ':', 5) = $1 and split_part(model_package_arn, ':', 4) = $2
           and state in ('pending', 'approved', 'serving') and not cohort)
       and not exists (select from cohorts h where ${WATCHED_COHORT})`,
    [account, region],
  );
  return rowCount !== 0;
}
