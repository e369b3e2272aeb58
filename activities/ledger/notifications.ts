/** The ledger's notifications: one message a cycle and kind, claimed by the workflow that sends it. */
import type pg from "pg";
import type { DeadlineKind, WaitingModels } from "../../fleet/approval.js";
import type { CycleRef } from "./cycles.js";

export interface NotificationRef extends CycleRef {
  readonly kind: DeadlineKind | "budget";
}

/** A claim this old belongs to a release that gave up or ended. Minutes. */
const DEAD_CLAIM = 20;

/** Whether the message is the caller's to send: it was neither sent, nor claimed by another. */
export async function claimNotification(
  ledger: pg.Pool,
  { fleet, cycle, kind }: NotificationRef,
  claimedBy: string,
): Promise<boolean> {
  const { rowCount } = await ledger.query(
    `insert into notifications as n (fleet, cycle, kind, claimed_by, claimed_at) values ($1, $2, $3, $4, now())
     on conflict (fleet, cycle, kind) do update set claimed_by = $4, claimed_at = now()
       where n.sent_at is null
         and (n.claimed_by = $4 or n.claimed_at < now() - ${DEAD_CLAIM} * interval '1 minute')`,
    [fleet, cycle, kind, claimedBy],
  );
  return rowCount !== 0;
}

export async function recordSent(
  ledger: pg.Pool,
  { fleet, cycle, kind }: NotificationRef,
  failure: string | null,
): Promise<void> {
  await ledger.query(
    `update notifications set sent_at = case when $4::text is null then now() end, failure = $4
      where fleet = $1 and cycle = $2 and kind = $3`,
    [fleet, cycle, kind, failure],
  );
}

const SHOWN_CUSTOMERS = 8;

/** How many of the cycle's versions wait, with the first of their customers. */
export async function readWaiting(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<WaitingModels> {
  const { rows } = await ledger.query<{
    waiting: number;
    customers: string[] | null;
    cohort: boolean | null;
  }>(
    `select count(*)::int as waiting, bool_and(r.cohort) as cohort, (array_agg(c.customer order by c.customer))[1:${SHOWN_CUSTOMERS}] as customers
       from releases r join customers c using (fleet, cycle, customer_key)
      where r.fleet = $1 and r.cycle = $2 and r.state = 'pending'`,
    [fleet, cycle],
  );
  const { waiting = 0, customers = null, cohort = null } = rows[0] ?? {};
  return { fleet, cycle, waiting, customers: customers ?? [], isCohort: cohort ?? false };
}
