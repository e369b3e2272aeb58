/** The ledger's jobs: admitted to the account's quota, created, awaited, ended. */
import type pg from "pg";
import { LIMITS } from "../../fleet/limits.js";
import type { JobEnded } from "../../workflows/messages.js";
import type { CycleRef } from "./cycles.js";

export interface JobsPlace {
  readonly account: string;
  readonly region: string;
}

export type JobKind = "training" | "tuning" | "processing" | "transform";

export interface NewJob<Request extends object = object> extends JobsPlace, CycleRef {
  readonly kind: JobKind;
  readonly jobName: string;
  readonly customerKey: string;
  readonly round: number;
  readonly requestHash: string;
  /** Training jobs at a time: its places in the account's quota. */
  readonly slots: number;
  /** Of a search: the most training jobs that it runs. */
  readonly trainingJobs?: number;
  readonly request: Request;
  /** Who is told when the job ends. */
  readonly workflowId: string;
}

/** `full`: the quota is used up. `created`, `ended`: an earlier attempt got that far. */
export type Admission = "admitted" | "full" | "created" | "ended";

/** What a budget goes by while the job runs; none of a fleet without one. */
interface JobExpectation {
  readonly expectedUsd?: number;
  readonly usdPerHour?: number;
}

/** The row comes first: a job that exists in SageMaker without one would be nobody's. */
export async function admitJob(
  ledger: pg.Pool | pg.ClientBase,
  job: NewJob & JobExpectation,
  quota: number,
): Promise<Admission> {
  const now = new Date().toISOString();
  const row = {
    job_name: job.jobName,
    account: job.account,
    region: job.region,
    kind: job.kind,
    slots: job.slots,
    fleet: job.fleet,
    cycle: job.cycle,
    customer_key: job.customerKey,
    round: job.round,
    request_hash: job.requestHash,
    request: job.request,
    workflow_id: job.workflowId,
    state: "admitted",
    admitted_at: now,
    expected_usd: job.expectedUsd ?? null,
    usd_per_hour: job.usdPerHour ?? null,
  };
  const { rows } = await ledger.query<{ admission: Admission }>(
    "select admit_job(jsonb_populate_record(null::jobs, $1), $2, $3) as admission",
    [JSON.stringify(row), quota, LIMITS.tuningJobsAtATime],
  );
  return rows[0]?.admission ?? "full";
}

/** Gives the place in the quota back, of a job that was never created. */
export async function dismissJob(ledger: pg.Pool, jobName: string): Promise<void> {
  await ledger.query("delete from jobs where job_name = $1 and state = 'admitted'", [jobName]);
}

/**
 * Returns whether nobody watches this account's jobs: whoever is told so must wake the watcher. Only one caller
 * is told within `staleSeconds`, so that a hundred jobs do not wake it a hundred times.
 */
export async function recordCreated(
  ledger: pg.Pool,
  job: JobsPlace & { readonly jobName: string; readonly staleSeconds: number },
): Promise<{ unwatched: boolean }> {
  const { rows } = await ledger.query<{ unwatched: boolean }>(
    `with job as (
       update jobs set state = 'created', created_at = coalesce(created_at, now())
        where job_name = $1 and state <> 'ended' returning fleet, cycle, customer_key),
     customer as (
       update customers c set state = 'training', reason = null, error_type = null, updated_at = now()
         from job where c.fleet = job.fleet and c.cycle = job.cycle and c.customer_key = job.customer_key),
     watcher as (
       insert into watchers as w (account, region, seen_at) values ($2, $3, now())
       on conflict (account, region) do update set seen_at = now()
         where w.seen_at < now() - $4 * interval '1 s' returning 1)
     select exists (select from watcher) as unwatched`,
    [job.jobName, job.account, job.region, job.staleSeconds],
  );
  return { unwatched: rows[0]?.unwatched ?? false };
}

/** Whether the job was created so lately that SageMaker may not show it yet. */
export async function isFreshlyCreated(ledger: pg.Pool, jobName: string): Promise<boolean> {
  const { rows } = await ledger.query<{ fresh: boolean }>(
    `select created_at > now() - interval '5 minutes' as fresh from jobs
      where job_name = $1 and state = 'created'`,
    [jobName],
  );
  return rows[0]?.fresh ?? false;
}

export interface FinishedJob extends JobEnded {
  readonly billableSeconds?: number | undefined;
}

/** Ends the job once: what is known already stays. */
export async function recordEnded(ledger: pg.Pool, job: FinishedJob): Promise<void> {
  await ledger.query(
    `update jobs set state = 'ended', status = coalesce(status, $2),
            failure_reason = coalesce(failure_reason, $3), billable_seconds = coalesce(billable_seconds, $4),
            ended_at = coalesce(ended_at, now())
      where job_name = $1`,
    [job.jobName, job.status, job.failureReason ?? null, job.billableSeconds ?? null],
  );
}

export interface OpenJob {
  readonly jobName: string;
  readonly state: "admitted" | "created";
}

/** A customer's jobs of one kind in one cycle that are not known to have ended. */
export async function openJobs(
  ledger: pg.Pool,
  kind: JobKind,
  { fleet, cycle, customerKey }: CycleRef & { readonly customerKey: string },
): Promise<OpenJob[]> {
  const { rows } = await ledger.query<OpenJob>(
    `select job_name as "jobName", state from jobs
      where fleet = $1 and cycle = $2 and customer_key = $3 and kind = $4 and state <> 'ended'
      order by round`,
    [fleet, cycle, customerKey, kind],
  );
  return rows;
}
