/** The ledger's costs: one row a job, and what a cycle has spent so far. */
import type pg from "pg";
import type { Spending } from "../../fleet/cost-budget.js";
import { ASSUMED_SECONDS_PER_JOB } from "../../fleet/cost.js";
import { instancesOf, type CostKind } from "../../fleet/instances.js";
import { COHORT_KEY, CYCLE_KEY } from "../../fleet/names.js";
import { priceOf, type Prices } from "../../fleet/prices.js";
import type { CycleRef } from "./cycles.js";
import type { JobKind, JobsPlace } from "./jobs.js";

/** How long an ended job is paid for. */
export interface JobTime {
  readonly jobName: string;
  /** Of one instance; null when SageMaker knows nothing of the job any more. */
  readonly billableSeconds: number | null;
  /** Of a search: how many training jobs the seconds are of. */
  readonly trainingJobs?: number;
  /** That one instance was kept after the job, and whether it is still. */
  readonly warmPool?: { readonly seconds: number; readonly open: boolean };
}

interface JobRow {
  readonly kind: CostKind;
  readonly region: string;
  readonly request: unknown;
  /** Of the fleet file, whichever version of modelfleet wrote it. */
  readonly prices: Prices | null;
}

/**
 * Recorded again, a row only learns what was not known: seconds, the end of a warm pool, a price. The price is that of
 * the time when the job ended. Without effect for what is no job of the ledger, such as a training job of a search.
 */
export async function recordCost(ledger: pg.Pool, time: JobTime): Promise<void> {
  const { rows } = await ledger.query<JobRow>(
    `select j.kind, j.region, j.request, s.spec -> 'prices' as prices
       from jobs j join cycles y using (fleet, cycle) join fleet_specs s using (fleet, spec_hash)
      where j.job_name = $1`,
    [time.jobName],
  );
  const [job] = rows;
  if (job === undefined) return;
  const { kind, region, prices } = job;
  const used = instancesOf(kind, job.request);
  const price = used === null ? null : priceOf(used.instanceType, { region, prices: prices ?? {} });
  const { seconds = 0, open = false } = time.warmPool ?? {};
  await ledger.query(
    `with job as (
       update jobs set cost_recorded_at = coalesce(cost_recorded_at, now()) where job_name = $1 returning *)
     insert into costs as c (job_name, fleet, cycle, customer_key, kind, region, instance_type, instances,
                             training_jobs, billable_seconds, warm_pool_seconds, warm_pool_open, usd_per_hour,
                             price_source)
     select job_name, fleet, cycle, customer_key, kind, region, $2, $3, $4, $5, $6, $7, $8, $9 from job
     on conflict (job_name) do update
       set training_jobs = greatest(c.training_jobs, excluded.training_jobs),
           billable_seconds = coalesce(c.billable_seconds, excluded.billable_seconds),
           warm_pool_seconds = greatest(c.warm_pool_seconds, excluded.warm_pool_seconds),
           warm_pool_open = excluded.warm_pool_open,
           usd_per_hour = coalesce(c.usd_per_hour, excluded.usd_per_hour),
           price_source = coalesce(c.price_source, excluded.price_source)`,
    [
      time.jobName,
      used?.instanceType ?? "unknown",
      used?.instances ?? 1,
      time.trainingJobs ?? 1,
      time.billableSeconds,
      seconds,
      open,
      price?.usdPerHour ?? null,
      price?.source ?? null,
    ],
  );
}

export interface UnsettledJob {
  readonly kind: JobKind;
  readonly jobName: string;
}

/**
 * Ended jobs that nobody has looked at for two minutes, of a cancelled cycle for example, and those whose warm pool
 * must have ended by now. Searches are read by themselves.
 */
export async function unsettledJobs(
  ledger: pg.Pool,
  { account, region, limit }: JobsPlace & { readonly limit: number },
): Promise<UnsettledJob[]> {
  const { rows } = await ledger.query<UnsettledJob>(
    `select kind, job_name as "jobName" from jobs
      where account = $1 and region = $2 and kind <> 'tuning' and state = 'ended' and cost_recorded_at is null
        and ended_at < now() - interval '2 minutes'
      union all
     select j.kind, j.job_name from costs c join jobs j using (job_name)
      where j.account = $1 and j.region = $2 and c.warm_pool_open
        and j.ended_at < now() - interval '1 minute'
              - coalesce((j.request #>> '{ResourceConfig,KeepAlivePeriodInSeconds}')::int, 3600) * interval '1 s'
      limit $3`,
    [account, region, limit],
  );
  return rows;
}

/** The seconds that a search's training jobs ran: SageMaker bills from the start of each to its end. */
export async function recordSearchCost(ledger: pg.Pool, tuningJobName: string): Promise<void> {
  const { rows } = await ledger.query<{ seconds: number; jobs: number }>(
    `select coalesce(sum(extract(epoch from ended_at - started_at)), 0)::float8 as seconds, count(*)::int as jobs
       from tuning_trials where tuning_job_name = $1`,
    [tuningJobName],
  );
  const { seconds = 0, jobs = 0 } = rows[0] ?? {};
  await recordCost(ledger, {
    jobName: tuningJobName,
    billableSeconds: seconds,
    trainingJobs: jobs,
  });
}

/** What a job is expected to take, by the fleet's jobs that ended. */
export interface ExpectedJob {
  readonly seconds: number;
  /** Ended jobs that say so; 0: none has, and it is assumed. */
  readonly known: number;
}

/** Mean billable seconds of one training job of a customer's; of shared work, of the same kind of shared job. */
export async function expectedSeconds(
  ledger: pg.ClientBase,
  { fleet, kind, customerKey }: { fleet: string; kind: JobKind; customerKey: string },
): Promise<ExpectedJob> {
  const shared = [COHORT_KEY, CYCLE_KEY].includes(customerKey);
  const { rows } = await ledger.query<{ seconds: number | null; known: number }>(
    `select (sum(billable_seconds) / nullif(sum(training_jobs), 0))::float8 as seconds, count(*)::int as known
       from (select billable_seconds, training_jobs from costs
              where fleet = $1 and billable_seconds > 0 and training_jobs > 0
                and case when $2 then customer_key = $3 and kind = $4
                         else customer_key not in ('${COHORT_KEY}', '${CYCLE_KEY}') and kind in ('training', 'tuning') end
              order by recorded_at desc limit 200) as newest`,
    [fleet, shared, customerKey, kind],
  );
  const { seconds = null, known = 0 } = rows[0] ?? {};
  return { seconds: seconds ?? ASSUMED_SECONDS_PER_JOB, known };
}

/**
 * What jobs of a cycle with a budget come to: those that ended, and those that run. A job whose seconds are not known,
 * or not yet, counts as long as it was expected to take, or has taken.
 */
export async function cycleSpending(
  ledger: pg.ClientBase | pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<Omit<Spending, "nextUsd">> {
  const { rows } = await ledger.query<{ spent: number; running: number }>(
    `select (select coalesce(sum(c.usd), 0) from costs c where c.fleet = $1 and c.cycle = $2)::float8
              + (select coalesce(sum(j.expected_usd), 0) from costs c join jobs j using (job_name)
                  where c.fleet = $1 and c.cycle = $2 and c.usd is null)::float8 as spent,
            (select coalesce(sum(greatest(
                      j.expected_usd,
                      extract(epoch from coalesce(j.ended_at, now()) - j.created_at) / 3600 * j.usd_per_hour)), 0)
               from jobs j
              where j.fleet = $1 and j.cycle = $2 and j.cost_recorded_at is null)::float8 as running`,
    [fleet, cycle],
  );
  const { spent = 0, running = 0 } = rows[0] ?? {};
  return { spentUsd: spent, runningUsd: running };
}
