/** The ledger's searches inside of sharded jobs: from which earlier trials each starts, and what it found. */
import type pg from "pg";
import type { PackedTrial } from "../../fleet/customer-result.schema.js";
import { LIMITS } from "../../fleet/limits.js";
import { workOf } from "../../fleet/names.js";
import type { TuningSpec } from "../../fleet/tuning.schema.js";
import type { CohortMember } from "./cohort.js";
import type { CycleRef } from "./cycles.js";

export interface Seed {
  readonly hyperparameters: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface PackedSearch {
  readonly customerKey: string;
  /** Trials at most. */
  readonly maxJobs: number;
  readonly sizeBecause: string | null;
  /** Earlier searches whose trials it starts from, newest first. */
  readonly parents: readonly string[];
  /** Their best trials, best first. */
  readonly seeds: readonly Seed[];
}

/**
 * For a page of the cohort. A search learns from its customer's newest ones of earlier cycles, for the same objective
 * and of the same fleet; what they tried outside of today's ranges is the script's to leave out.
 */
export async function planPackedSearches(
  ledger: pg.Pool,
  { fleet, cycle, tuning }: CycleRef & { readonly tuning: TuningSpec },
  members: readonly CohortMember[],
): Promise<PackedSearch[]> {
  const { warmStart, objective, direction } = tuning;
  const { rows } = await ledger.query<{ key: string; name: string; seeds: Seed[] }>(
    `select t.customer_key as key, t.tuning_job_name as name,
            (select coalesce(jsonb_agg(jsonb_build_object('hyperparameters', one.hyperparameters,
                                                          'value', one.objective_value)
                                       order by one.place), '[]')
               from (select hyperparameters, objective_value,
                            row_number() over (order by case $5 when 'minimize' then objective_value
                                                                else -objective_value end,
                                                        training_job_name) as place
                       from tuning_trials
                      where tuning_job_name = t.tuning_job_name and objective_value is not null) as one
              where one.place <= $6) as seeds
       from (select *, row_number() over (partition by customer_key order by cycle desc, round desc,
                                                       tuning_job_name) as place
               from tuning_jobs
              where fleet = $1 and cycle < $2 and customer_key = any($3) and status = 'Completed'
                and not testing and objective_metric = $4 and objective_direction = $5) as t
      where t.place <= $7
      order by t.customer_key, t.place`,
    [
      fleet,
      cycle,
      members.map(({ customerKey }) => customerKey),
      objective,
      direction,
      LIMITS.packedSeeds,
      warmStart === false ? 0 : warmStart.parents,
    ],
  );
  const sign = direction === "minimize" ? 1 : -1;
  return members.map(({ customerKey, search }) => {
    const earlier = rows.filter((row) => row.key === customerKey);
    return {
      customerKey,
      maxJobs: search?.maxJobs ?? tuning.maxJobs,
      sizeBecause: search?.because ?? null,
      parents: earlier.map(({ name }) => name),
      seeds: earlier
        .flatMap(({ seeds }) => seeds)
        .sort((one, other) => sign * (one.value - other.value))
        .slice(0, LIMITS.packedSeeds),
    };
  });
}

export interface PackedWork extends CycleRef {
  readonly workHash: string;
  readonly tuning: TuningSpec;
  readonly testing: boolean;
  readonly account: string;
  readonly region: string;
  readonly codeHash: string;
  readonly image: string;
  readonly hyperparameters: Readonly<Record<string, string>>;
}

/** Of the search of one customer over this work, in whichever job it was made. */
const searchName = ({ fleet, cycle, workHash }: PackedWork, customerKey: string): string =>
  `${fleet}/${cycle}/${workOf(workHash)}/${customerKey}`;

/** Before the job is created. Done again, the rows are as they were; one that failed in an earlier job is open again. */
export async function recordPackedSearches(
  ledger: pg.Pool,
  work: PackedWork,
  searches: readonly PackedSearch[],
  members: readonly CohortMember[],
): Promise<void> {
  const { tuning } = work;
  const dataHashes = new Map(members.map(({ customerKey, dataHash }) => [customerKey, dataHash]));
  await ledger.query(
    `insert into tuning_jobs (fleet, cycle, customer_key, round, work_hash, tuning_job_name, account, region,
                              testing, strategy, objective_metric, objective_direction, max_jobs, parallel,
                              size_because, ranges, static_hyperparameters, data_hash, code_hash, image,
                              warm_start_type, parents, warm_start_because, reasons, packed)
     select $1, $2, s.key, 0, $3, s.name, $4, $5, $6, $7, $8, $9, s.jobs, 1, s.size, $10, $11, s.data, $12, $13,
            case when s.parents = '[]'::jsonb then null else 'TransferLearning' end, s.parents, s.because, '[]', true
       from unnest($14::text[], $15::text[], $16::int[], $17::text[], $18::text[], $19::jsonb[], $20::text[])
         as s (key, name, jobs, size, data, parents, because)
     on conflict (fleet, cycle, customer_key, round, work_hash) do update
       set status = null, failure_reason = null, ended_at = null, trials_read_at = null
       where tuning_jobs.status = 'Failed'`,
    [
      ...[work.fleet, work.cycle, workOf(work.workHash), work.account, work.region, work.testing],
      ...[tuning.strategy, tuning.objective, tuning.direction, JSON.stringify(tuning.ranges)],
      ...[JSON.stringify(work.hyperparameters), work.codeHash, work.image],
      searches.map(({ customerKey }) => customerKey),
      searches.map(({ customerKey }) => searchName(work, customerKey)),
      searches.map(({ maxJobs }) => maxJobs),
      searches.map(({ sizeBecause }) => sizeBecause),
      searches.map(({ customerKey }) => dataHashes.get(customerKey) ?? null),
      searches.map(({ parents }) => JSON.stringify(parents)),
      searches.map((search) => whereFrom(search, tuning)),
    ],
  );
}

function whereFrom({ parents, seeds }: PackedSearch, { warmStart }: TuningSpec): string {
  if (warmStart === false) return "the fleet asks for no warm start";
  if (parents.length === 0) return "no earlier search to start from";
  return `its first trials are the best ${seeds.length} of earlier searches`;
}

export interface PackedResult {
  readonly customerKey: string;
  readonly trials: readonly PackedTrial[];
}

/** What the searches found, as their customers' lines tell it. Done again, the rows are as they were. */
export async function recordPackedResults(
  ledger: pg.Pool,
  { fleet, cycle, workHash }: CycleRef & { readonly workHash: string },
  results: readonly PackedResult[],
): Promise<void> {
  if (results.length === 0) return;
  await ledger.query(
    `with given as (
       select g.customer_key, t.hyperparameters, t.value, t.failure, t.number
         from jsonb_to_recordset($4) as g (customer_key text, trials jsonb),
              lateral (select one.value -> 'hyperparameters' as hyperparameters,
                              (one.value ->> 'value')::float8 as value, one.value ->> 'failure' as failure,
                              one.number
                         from jsonb_array_elements(g.trials) with ordinality as one (value, number)) as t),
     named as (
       select s.tuning_job_name, s.objective_direction, given.*,
              s.tuning_job_name || '/' || given.number as trial
         from given join tuning_jobs s
           on s.fleet = $1 and s.cycle = $2 and s.customer_key = given.customer_key and s.round = 0
          and s.work_hash = $3),
     trials as (
       insert into tuning_trials (tuning_job_name, training_job_name, status, objective_status, objective_value,
                                  hyperparameters, failure_reason)
       select tuning_job_name, trial, case when value is null then 'Failed' else 'Completed' end,
              case when value is null then 'Failed' else 'Succeeded' end, value, hyperparameters, failure
         from named
       on conflict (tuning_job_name, training_job_name) do update
         set status = excluded.status, objective_status = excluded.objective_status,
             objective_value = excluded.objective_value, hyperparameters = excluded.hyperparameters,
             failure_reason = excluded.failure_reason),
     best as (
       select distinct on (tuning_job_name) tuning_job_name, trial, value, hyperparameters
         from named where value is not null
        order by tuning_job_name, case objective_direction when 'minimize' then value else -value end, number),
     counted as (
       select tuning_job_name, count(value)::int as completed, count(*)::int - count(value)::int as failed
         from named group by tuning_job_name)
     update tuning_jobs s
        set status = 'Completed', failure_reason = null, best_training_job_name = best.trial, best_value = best.value,
            best_hyperparameters = best.hyperparameters,
            trial_statuses = jsonb_build_object('completed', counted.completed, 'failed', counted.failed),
            objective_statuses = jsonb_build_object('succeeded', counted.completed, 'failed', counted.failed),
            ended_at = coalesce(s.ended_at, now()), trials_read_at = coalesce(s.trials_read_at, now())
       from counted left join best using (tuning_job_name)
      where s.tuning_job_name = counted.tuning_job_name`,
    [
      fleet,
      cycle,
      workOf(workHash),
      JSON.stringify(
        results.map(({ customerKey, trials }) => ({ customer_key: customerKey, trials })),
      ),
    ],
  );
}

export interface FailedSearch {
  readonly customerKey: string;
  readonly reason: string;
}

/** Searches that told of no trials: their customers have failed. */
export async function recordFailedSearches(
  ledger: pg.Pool,
  { fleet, cycle, workHash }: CycleRef & { readonly workHash: string },
  failures: readonly FailedSearch[],
): Promise<void> {
  if (failures.length === 0) return;
  await ledger.query(
    `update tuning_jobs t
        set status = 'Failed', failure_reason = f.reason, ended_at = now(), trials_read_at = now()
       from unnest($4::text[], $5::text[]) as f (key, reason)
      where t.fleet = $1 and t.cycle = $2 and t.work_hash = $3 and t.customer_key = f.key
        and t.packed and t.status is null`,
    [
      ...[fleet, cycle, workOf(workHash)],
      failures.map(({ customerKey }) => customerKey),
      failures.map(({ reason }) => reason),
    ],
  );
}

/** All that are open in the cycle: their job failed as a whole, or was stopped. */
export async function recordFailedJob(
  ledger: pg.Pool,
  { fleet, cycle, reason }: CycleRef & { readonly reason: string },
): Promise<void> {
  await ledger.query(
    `update tuning_jobs
        set status = 'Failed', failure_reason = $3, ended_at = now(), trials_read_at = now()
      where fleet = $1 and cycle = $2 and packed and status is null`,
    [fleet, cycle, reason],
  );
}
