/** The ledger's decisions: what is registered and undecided, and what was decided by whom. */
import type pg from "pg";
import { FAILURES } from "../../fleet/errors.js";
import type { Decision } from "../../workflows/messages.js";
import { permanent } from "../application-failure.js";
import type { ReleaseRef } from "./releases.js";

/** What a version was made with, and the newest version of its customer. */
export async function readRegistered(
  ledger: pg.Pool,
  { fleet, customerKey, version }: ReleaseRef,
): Promise<{ specHash: string; newestVersion: number }> {
  const { rows } = await ledger.query<{ specHash: string; newestVersion: number }>(
    `select y.spec_hash as "specHash",
            (select max(n.version) from releases n where n.fleet = r.fleet and n.customer_key = r.customer_key)
              as "newestVersion"
       from releases r join cycles y using (fleet, cycle)
      where r.fleet = $1 and r.customer_key = $2 and r.version = $3`,
    [fleet, customerKey, version],
  );
  const [row] = rows;
  if (row === undefined) throw unknownVersion({ fleet, customerKey, version });
  return row;
}

/** Workflow ids of the customer's releases that nobody has decided, older than the version. */
export async function olderUndecided(
  ledger: pg.Pool,
  { fleet, customerKey, version }: ReleaseRef,
): Promise<string[]> {
  const { rows } = await ledger.query<{ workflow_id: string }>(
    `select workflow_id from releases
      where fleet = $1 and customer_key = $2 and version < $3 and state = 'pending' order by version`,
    [fleet, customerKey, version],
  );
  return rows.map((row) => row.workflow_id);
}

export interface ReleaseVerdict extends ReleaseRef {
  readonly decision: Decision;
  readonly state: "approved" | "denied" | "superseded" | "expired";
  /** ISO time of the decision, which may be long before it could be recorded. */
  readonly at: string;
}

/**
 * Who, when and why is kept of every decision; the version itself moves only from where the decision finds it open.
 * One that serves keeps serving until it is withdrawn.
 */
export async function recordReleaseDecision(
  ledger: pg.Pool | pg.PoolClient,
  o: ReleaseVerdict,
): Promise<void> {
  // `earlier`: an approval by the policy stands in the releases row alone, which is about to change.
  const from = o.state === "denied" ? ["pending", "approved", "rejected"] : ["pending"];
  await ledger.query(
    `with earlier as (
       insert into release_decisions (fleet, customer_key, version, decided_at, state, decided_by)
       select fleet, customer_key, version, decided_at, 'approved', decided_by from releases
        where fleet = $1 and customer_key = $2 and version = $3 and decided_at is not null
          and decided_by is not null and state in ('approved', 'serving', 'rejected')
       on conflict do nothing),
     log as (
       insert into release_decisions (fleet, customer_key, version, decided_at, state, decided_by, note)
       values ($1, $2, $3, $7, $4, $5, $6) on conflict do nothing),
     release as (
       update releases r set decided_by = $5, decided_at = $7, note = $6,
              -- A stage that takes what nobody has approved may serve it already.
              state = case when $4 = 'approved' and exists
                (select from publications p
                  where p.fleet = $1 and p.customer_key = $2 and p.version = $3 and p.state = 'serving')
                then 'serving' else $4 end
        where fleet = $1 and customer_key = $2 and version = $3 and state = any($8) returning cycle, state)
     update customers c set state = release.state, reason = coalesce($6, c.reason), updated_at = now()
       from release
      where c.fleet = $1 and c.cycle = release.cycle and c.customer_key = $2`,
    [
      o.fleet,
      o.customerKey,
      o.version,
      o.state,
      o.decision.by,
      o.decision.note ?? null,
      o.at,
      from,
    ],
  );
}

export const unknownVersion = ({ fleet, customerKey, version }: ReleaseRef) =>
  permanent(FAILURES.specInvalid, {
    message: `the ledger has no version ${version} of customer ${customerKey} of fleet "${fleet}"`,
    hint: `modelfleet models ${fleet} --customer ${customerKey} lists what there is`,
  });
