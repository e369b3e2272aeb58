/** The ledger's notifications: one message a cycle, kind and stage, claimed by the workflow that sends it. */
import type pg from "pg";
import type { DeadlineKind } from "../../fleet/approval.js";
import { COHORT_KEY } from "../../fleet/names.js";
import {
  SHOWN_CUSTOMERS,
  type DelayedWithdrawals,
  type WaitingModels,
} from "../../fleet/notifications.js";
import type { CycleRef } from "./cycles.js";
import type { StageRef } from "./publications.js";

/** `cycle`: empty for what is about no cycle; of drift, the run. Without `stage` it is about no single one. */
export interface NotificationRef extends CycleRef {
  readonly kind: DeadlineKind | "budget" | "drift" | "stage-closed" | "stage-back" | "withdrawal";
  readonly stage?: string;
}

/** A claim this old belongs to a release that gave up or ended. Minutes. */
const DEAD_CLAIM = 20;

/**
 * Whether the message is the caller's to send: it was neither sent, nor claimed by another. With `since`, one that was
 * claimed before that time and sent counts as another: it cannot have told of what has begun since.
 */
export async function claimNotification(
  ledger: pg.Pool,
  { fleet, cycle, kind, stage = "" }: NotificationRef,
  { claimedBy, since }: { readonly claimedBy: string; readonly since?: string | undefined },
): Promise<boolean> {
  const { rowCount } = await ledger.query(
    `insert into notifications as n (fleet, cycle, kind, stage, claimed_by, claimed_at)
     values ($1, $2, $3, $4, $5, now())
     on conflict (fleet, cycle, kind, stage) do update
       set claimed_by = $5, claimed_at = now(), sent_at = null, failure = null
       where case when n.sent_at is null
                  then n.claimed_by = $5 or n.claimed_at < now() - ${DEAD_CLAIM} * interval '1 minute'
                  else n.claimed_at < $6::timestamptz end`,
    [fleet, cycle, kind, stage, claimedBy, since ?? null],
  );
  return rowCount !== 0;
}

export async function recordSent(
  ledger: pg.Pool,
  { fleet, cycle, kind, stage = "" }: NotificationRef,
  failure: string | null,
): Promise<void> {
  await ledger.query(
    `update notifications set sent_at = case when $5::text is null then now() end, failure = $5
      where fleet = $1 and cycle = $2 and kind = $3 and stage = $4`,
    [fleet, cycle, kind, stage, failure],
  );
}

/** Of rows with `customer`: how many, and the first of them. */
const COUNTED = `count(*)::int as waiting,
  coalesce((array_agg(c.customer order by c.customer))[1:${SHOWN_CUSTOMERS}], '{}') as customers`;

interface Counted {
  readonly waiting: number;
  readonly customers: string[];
}

/** How many of the cycle's versions wait, with the first of their customers. */
export async function readWaiting(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<WaitingModels> {
  const { rows } = await ledger.query<Counted & { cohort: boolean | null }>(
    `select ${COUNTED}, bool_and(r.cohort) as cohort
       from releases r join customers c using (fleet, cycle, customer_key)
      where r.fleet = $1 and r.cycle = $2 and r.state = 'pending'`,
    [fleet, cycle],
  );
  const { cohort = null, ...counted } = rows[0] ?? NOBODY;
  return { fleet, cycle, ...counted, isCohort: cohort ?? false };
}

/** How many of the cycle's versions wait for the stage's own approval. A cohort's wait stands under its key. */
export async function readWaitingForStage(
  ledger: pg.Pool,
  { fleet, cycle, stage }: CycleRef & StageRef,
): Promise<WaitingModels> {
  const { rows } = await ledger.query<Counted & { cohort: boolean | null }>(
    `select ${COUNTED}, bool_and(r.cohort) as cohort
       from releases r join customers c using (fleet, cycle, customer_key)
      where r.fleet = $1 and r.cycle = $2 and r.state in ('approved', 'serving')
        and exists (select from promotions p
                     where p.fleet = r.fleet and p.version = r.version and p.stage = $3
                       and p.customer_key = case when r.cohort then '${COHORT_KEY}' else r.customer_key end
                       and p.state = 'stage-approval')`,
    [fleet, cycle, stage],
  );
  const { cohort = null, ...counted } = rows[0] ?? NOBODY;
  return { fleet, cycle, ...counted, isCohort: cohort ?? false };
}

/** Versions that were denied and serve on in the stage; `since`: when the newest of these denials was asked for. */
export async function readDelayed(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
): Promise<DelayedWithdrawals & { readonly since: string | null }> {
  const { rows } = await ledger.query<Counted & { since: Date | null }>(
    `select ${COUNTED}, max(w.asked_at) as since
       from withdrawals w
       join publications p using (fleet, stage, customer_key, version)
       join releases r using (fleet, customer_key, version)
       join customers c using (fleet, cycle, customer_key)
      where w.fleet = $1 and w.stage = $2 and w.state = 'asked' and not w.retires and p.state = 'serving'`,
    [fleet, stage],
  );
  const { since = null, ...counted } = rows[0] ?? NOBODY;
  return { fleet, stage, ...counted, since: since?.toISOString() ?? null };
}

const NOBODY = { waiting: 0, customers: [], cohort: null, since: null };
