/** The ledger's results of tuning jobs: how each ended, and its training jobs. */
import type pg from "pg";
import type { JobsPlace } from "./jobs.js";

export interface TuningResult {
  readonly tuningJobName: string;
  /** SageMaker's. */
  readonly status: string;
  readonly failureReason?: string | undefined;
  /** Training jobs by status, and of them by the state of their objective. */
  readonly trialStatuses: Readonly<Record<string, number>>;
  readonly objectiveStatuses: Readonly<Record<string, number>>;
  readonly best: {
    readonly trainingJobName: string;
    readonly value: number | null;
    readonly hyperparameters: Readonly<Record<string, string>>;
  } | null;
}

export async function recordTuningResult(ledger: pg.Pool, o: TuningResult): Promise<void> {
  await ledger.query(
    `update tuning_jobs
        set status = $2, failure_reason = $3, trial_statuses = $4, objective_statuses = $5,
            best_training_job_name = $6, best_value = $7, best_hyperparameters = $8,
            ended_at = coalesce(ended_at, now())
      where tuning_job_name = $1`,
    [
      o.tuningJobName,
      o.status,
      o.failureReason ?? null,
      JSON.stringify(o.trialStatuses),
      JSON.stringify(o.objectiveStatuses),
      o.best?.trainingJobName ?? null,
      o.best?.value ?? null,
      o.best === null ? null : JSON.stringify(o.best.hyperparameters),
    ],
  );
}

export interface Trial {
  readonly trainingJobName: string;
  readonly status: string;
  readonly objectiveStatus: string | null;
  readonly objectiveValue: number | null;
  readonly hyperparameters: Readonly<Record<string, string>>;
  readonly failureReason: string | null;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
}

/** Read again, a trial is as it was. */
export async function recordTrials(
  ledger: pg.Pool,
  tuningJobName: string,
  trials: readonly Trial[],
): Promise<void> {
  if (trials.length === 0) return;
  await ledger.query(
    `insert into tuning_trials (tuning_job_name, training_job_name, status, objective_status, objective_value,
                                hyperparameters, failure_reason, started_at, ended_at)
     select $1, name, status, objective_status, objective_value, hyperparameters::jsonb, reason, started, ended
       from unnest($2::text[], $3::text[], $4::text[], $5::float8[], $6::text[], $7::text[],
                   $8::timestamptz[], $9::timestamptz[])
         as t (name, status, objective_status, objective_value, hyperparameters, reason, started, ended)
     on conflict (tuning_job_name, training_job_name) do update
       set status = excluded.status, objective_status = excluded.objective_status,
           objective_value = excluded.objective_value, failure_reason = excluded.failure_reason,
           started_at = excluded.started_at, ended_at = excluded.ended_at`,
    [
      tuningJobName,
      trials.map((trial) => trial.trainingJobName),
      trials.map((trial) => trial.status),
      trials.map((trial) => trial.objectiveStatus),
      trials.map((trial) => trial.objectiveValue),
      trials.map((trial) => JSON.stringify(trial.hyperparameters)),
      trials.map((trial) => trial.failureReason),
      trials.map((trial) => trial.startedAt),
      trials.map((trial) => trial.endedAt),
    ],
  );
}

/** Nothing more is to be read of the search; its own time is the sum of its training jobs'. */
export async function markTrialsRead(ledger: pg.Pool, tuningJobName: string): Promise<void> {
  await ledger.query(
    `with read as (
       update tuning_jobs set trials_read_at = coalesce(trials_read_at, now()) where tuning_job_name = $1)
     update jobs set billable_seconds =
       (select round(sum(extract(epoch from t.ended_at - t.started_at)))::int from tuning_trials t
         where t.tuning_job_name = $1)
      where job_name = $1`,
    [tuningJobName],
  );
}

/** Ended searches whose training jobs have not been read, the oldest first. */
export async function unreadSearches(
  ledger: pg.Pool,
  { account, region, limit }: JobsPlace & { readonly limit: number },
): Promise<string[]> {
  const { rows } = await ledger.query<{ name: string }>(
    `select tuning_job_name as name from tuning_jobs
      where account = $1 and region = $2 and status is not null and trials_read_at is null
      order by ended_at limit $3`,
    [account, region, limit],
  );
  return rows.map((row) => row.name);
}
