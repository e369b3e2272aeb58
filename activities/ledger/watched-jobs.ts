/** The ledger's side of watching jobs: who is awaited, who has been told, and who watches. */
import type pg from "pg";
import type { JobEnded } from "../../workflows/messages.js";
import type { JobKind, JobsPlace } from "./jobs.js";

export interface AwaitedJob {
  readonly kind: JobKind;
  readonly jobName: string;
  readonly workflowId: string;
  /** SageMaker created it at this time at the earliest. */
  readonly since: Date;
  /** How long the job has been admitted without being created; null once it is created. */
  readonly admittedSeconds: number | null;
}

export async function awaitedJobs(
  ledger: pg.Pool,
  { account, region }: JobsPlace,
): Promise<AwaitedJob[]> {
  const { rows } = await ledger.query<AwaitedJob>(
    `select kind, job_name as "jobName", workflow_id as "workflowId",
            least(admitted_at, coalesce(created_at, admitted_at)) as since,
            case when state = 'admitted' then extract(epoch from now() - admitted_at)::float8 end
              as "admittedSeconds"
       from jobs where account = $1 and region = $2 and state <> 'ended'`,
    [account, region],
  );
  return rows;
}

export async function recordNotified(ledger: pg.Pool, ended: readonly JobEnded[]): Promise<void> {
  if (ended.length === 0) return;
  await ledger.query(
    `update jobs j set state = 'ended', status = coalesce(j.status, e.status),
            ended_at = coalesce(j.ended_at, now()), notified_at = now()
       from unnest($1::text[], $2::text[]) as e (job_name, status)
      where j.job_name = e.job_name`,
    [ended.map((job) => job.jobName), ended.map((job) => job.status)],
  );
}

/** Whoever creates a job looks at this before it decides that the watcher must be woken. */
export async function showWatcher(ledger: pg.Pool, { account, region }: JobsPlace): Promise<void> {
  await ledger.query(
    `insert into watchers (account, region, seen_at) values ($1, $2, now())
     on conflict (account, region) do update set seen_at = now()`,
    [account, region],
  );
}

/**
 * Signs off, unless a job is awaited or the trials of a search are still to be read. One statement: a job admitted
 * before it keeps the watcher, and whoever creates one after it finds nobody watching.
 */
export async function leaveWatch(
  ledger: pg.Pool,
  { account, region }: JobsPlace,
): Promise<boolean> {
  const { rowCount } = await ledger.query(
    `delete from watchers where account = $1 and region = $2 and not exists
       (select from jobs where account = $1 and region = $2 and state <> 'ended')
       and not exists (select from tuning_jobs where account = $1 and region = $2 and status is not null
                          and trials_read_at is null)`,
    [account, region],
  );
  return rowCount !== 0;
}
