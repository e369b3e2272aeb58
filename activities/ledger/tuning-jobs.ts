/** The ledger's tuning jobs: from where each search started, and what may be a parent of the next. */
import type pg from "pg";
import { LIMITS } from "../../fleet/limits.js";
import type { ParameterRanges } from "../../fleet/ranges.js";
import type {
  WantedSearch,
  WarmStart,
  WarmStartCandidate,
  WarmStartReason,
  WarmStartType,
} from "../../fleet/warm-start.js";
import type { CycleRef } from "./cycles.js";

/** One search, whatever it starts from. */
export interface SearchKey extends CycleRef {
  readonly customerKey: string;
  readonly round: number;
  readonly workHash: string;
}

const keyOf = (key: SearchKey): unknown[] => [
  key.fleet,
  key.cycle,
  key.customerKey,
  key.round,
  key.workHash,
];

/** What an earlier attempt has chosen: undefined when none got that far. */
export async function readWarmStart(
  ledger: pg.Pool,
  key: SearchKey,
): Promise<WarmStart | undefined> {
  const { rows } = await ledger.query<{
    parents: string[];
    type: WarmStartType | null;
    because: string;
    reasons: WarmStartReason[];
  }>(
    `select parents, warm_start_type as type, warm_start_because as because, reasons from tuning_jobs
      where fleet = $1 and cycle = $2 and customer_key = $3 and round = $4 and work_hash = $5`,
    keyOf(key),
  );
  return rows[0];
}

export interface NewTuningJob extends SearchKey {
  readonly tuningJobName: string;
  readonly testing: boolean;
  readonly wanted: WantedSearch;
  readonly parallel: number;
  /** Why the search has its size; null when nothing was to be decided. */
  readonly sizeBecause: string | null;
  readonly warmStart: WarmStart;
}

/**
 * Before the job is created: every attempt must make the same request, or SageMaker would run the search twice. So
 * the first choice stands, and is returned to whoever came later.
 */
export async function recordWarmStart(ledger: pg.Pool, job: NewTuningJob): Promise<WarmStart> {
  const { wanted, warmStart } = job;
  await ledger.query(
    `insert into tuning_jobs (fleet, cycle, customer_key, round, work_hash, tuning_job_name, account, region,
                              testing, strategy, objective_metric, objective_direction, max_jobs, parallel,
                              size_because, ranges, static_hyperparameters, data_hash, code_hash, image,
                              warm_start_type, parents, warm_start_because, reasons)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
             $21, $22, $23, $24)
     on conflict (fleet, cycle, customer_key, round, work_hash) do nothing`,
    [
      ...keyOf(job),
      job.tuningJobName,
      wanted.account,
      wanted.region,
      job.testing,
      wanted.strategy,
      wanted.objective.metric,
      wanted.objective.direction,
      wanted.maxJobs,
      job.parallel,
      job.sizeBecause,
      JSON.stringify(wanted.ranges),
      JSON.stringify(wanted.staticHyperparameters),
      wanted.dataHash,
      wanted.codeHash,
      wanted.image,
      warmStart.type,
      JSON.stringify(warmStart.parents),
      warmStart.because,
      JSON.stringify(warmStart.reasons),
    ],
  );
  return (await readWarmStart(ledger, job)) ?? warmStart;
}

/** Of a search that SageMaker refused to create as it was: another name, since it is another request. */
export async function replaceWarmStart(
  ledger: pg.Pool,
  job: SearchKey & { readonly tuningJobName: string; readonly warmStart: WarmStart },
): Promise<void> {
  const { type, parents, because, reasons } = job.warmStart;
  await ledger.query(
    `update tuning_jobs
        set tuning_job_name = $6, warm_start_type = $7, parents = $8, warm_start_because = $9, reasons = $10
      where fleet = $1 and cycle = $2 and customer_key = $3 and round = $4 and work_hash = $5`,
    [
      ...keyOf(job),
      job.tuningJobName,
      type,
      JSON.stringify(parents),
      because,
      JSON.stringify(reasons),
    ],
  );
}

interface CandidateRow {
  fleet: string;
  customer_key: string;
  tuning_job_name: string;
  created_at: Date;
  status: string | null;
  testing: boolean;
  best_value: number | null;
  account: string;
  region: string;
  objective_metric: string;
  objective_direction: "minimize" | "maximize";
  ranges: ParameterRanges;
  static_hyperparameters: Record<string, string>;
  data_hash: string | null;
  code_hash: string;
  image: string;
  max_jobs: number;
}

const CANDIDATE = `fleet, customer_key, tuning_job_name, created_at, status, testing, best_value, account, region,
  objective_metric, objective_direction, ranges, static_hyperparameters, data_hash, code_hash, image, max_jobs`;

/**
 * The newest searches of the customer itself, also those that are no parents, so that the history says why; and
 * the newest completed ones of declared siblings, the same customer's first.
 */
export async function readCandidates(
  ledger: pg.Pool,
  { fleet, customerKey, warmStart }: WantedSearch,
  itself: SearchKey,
): Promise<WarmStartCandidate[]> {
  if (warmStart === false) return [];
  const { rows } = await ledger.query<CandidateRow>(
    `(select ${CANDIDATE} from tuning_jobs where fleet = $1 and customer_key = $2
         and (cycle, round, work_hash) <> ($5, $6, $7) and not packed
       order by created_at desc limit $4)
     union all
     (select ${CANDIDATE} from tuning_jobs
       where fleet = any($3::text[]) and (fleet, customer_key) <> ($1, $2)
         and status = 'Completed' and not testing and max_jobs > 1 and not packed
       order by customer_key = $2 desc, created_at desc limit $4)`,
    [
      ...[fleet, customerKey, warmStart.siblings, LIMITS.warmStartCandidates],
      ...[itself.cycle, itself.round, itself.workHash],
    ],
  );
  return rows.map((row) => ({
    fleet: row.fleet,
    customerKey: row.customer_key,
    tuningJobName: row.tuning_job_name,
    createdAt: row.created_at.toISOString(),
    status: row.status,
    testing: row.testing,
    bestValue: row.best_value,
    account: row.account,
    region: row.region,
    objective: { metric: row.objective_metric, direction: row.objective_direction },
    ranges: row.ranges,
    staticHyperparameters: row.static_hyperparameters,
    dataHash: row.data_hash,
    codeHash: row.code_hash,
    image: row.image,
    maxJobs: row.max_jobs,
  }));
}
