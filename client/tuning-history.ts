/** Reads the searches of a customer, and of a fleet's cycles: where each started from, and what it found. */
import { askLedger } from "./ledger.js";
import type { Connections } from "./connections.js";

export interface CustomerSearch {
  readonly tuningJobName: string;
  readonly cycle: string;
  readonly round: number;
  /** Made inside of a sharded job: its trials are no jobs of SageMaker's. */
  readonly packed: boolean;
  /** A single training job, to show that the path works: never a parent. */
  readonly testing: boolean;
  /** SageMaker's; null while it runs. */
  readonly status: string | null;
  readonly failureReason: string | null;
  readonly strategy: string;
  readonly objective: { readonly metric: string; readonly direction: "minimize" | "maximize" };
  readonly maxJobs: number;
  /** Why it has this size, when there was a budget or a test. */
  readonly sizeBecause: string | null;
  /** Training jobs by status, as SageMaker counts them; null while it runs. */
  readonly trialStatuses: Readonly<Record<string, number>> | null;
  readonly best: {
    readonly trainingJobName: string;
    readonly value: number | null;
    readonly hyperparameters: Readonly<Record<string, string>>;
  } | null;
  readonly warmStart: {
    readonly type: string | null;
    readonly parents: readonly string[];
    readonly because: string;
    readonly reasons: readonly {
      readonly tuningJobName: string;
      readonly taken: boolean;
      readonly because: string;
    }[];
  };
  /** Best first; those without a value last. Empty until they have been read from SageMaker. */
  readonly trials: readonly SearchTrial[];
  readonly createdAt: string;
  readonly endedAt: string | null;
}

export interface SearchTrial {
  readonly trainingJobName: string;
  readonly status: string;
  readonly value: number | null;
  readonly hyperparameters: Readonly<Record<string, string>>;
  readonly failureReason: string | null;
}

interface SearchRow {
  tuning_job_name: string;
  cycle: string;
  round: number;
  packed: boolean;
  testing: boolean;
  status: string | null;
  failure_reason: string | null;
  strategy: string;
  objective_metric: string;
  objective_direction: "minimize" | "maximize";
  max_jobs: number;
  size_because: string | null;
  trial_statuses: Record<string, number> | null;
  best_training_job_name: string | null;
  best_value: number | null;
  best_hyperparameters: Record<string, string> | null;
  warm_start_type: string | null;
  parents: string[];
  warm_start_because: string;
  reasons: { tuningJobName: string; taken: boolean; because: string }[];
  created_at: Date;
  ended_at: Date | null;
  trials: SearchTrial[];
}

/** Newest first; a cycle has several when a job was stopped or failed and another round was made. */
export async function readSearches(
  connections: Connections,
  { fleet, customerKey }: { fleet: string; customerKey: string },
): Promise<CustomerSearch[]> {
  const rows = await askLedger<SearchRow>(
    connections,
    `select t.*,
            (select coalesce(jsonb_agg(jsonb_build_object('trainingJobName', j.training_job_name,
                       'status', j.status, 'value', j.objective_value, 'hyperparameters', j.hyperparameters,
                       'failureReason', j.failure_reason)
                     order by case t.objective_direction when 'minimize' then j.objective_value
                                                         else -j.objective_value end nulls last,
                              j.training_job_name), '[]')
               from tuning_trials j where j.tuning_job_name = t.tuning_job_name) as trials
       from tuning_jobs t
      where t.fleet = $1 and t.customer_key = $2
      order by t.cycle desc, t.created_at desc`,
    [fleet, customerKey],
  );
  return rows.map(toSearch);
}

export interface CycleSearches {
  readonly jobs: number;
  /** Training jobs that completed, in all searches; of packed ones, trials. */
  readonly trials: number;
  readonly warmStarts: {
    readonly identical: number;
    readonly transfer: number;
    readonly none: number;
  };
  /** Made inside of a sharded job: its trials are no jobs of SageMaker's. */
  readonly packed: boolean;
  readonly testing: boolean;
}

/** By cycle; cycles without a search are missing. */
export async function readCycleSearches(
  connections: Connections,
  fleet: string,
): Promise<ReadonlyMap<string, CycleSearches>> {
  const rows = await askLedger<{
    cycle: string;
    jobs: number;
    trials: number;
    identical: number;
    transfer: number;
    packed: boolean;
    testing: boolean;
  }>(
    connections,
    `select cycle, count(*)::int as jobs, bool_or(packed) as packed, bool_or(testing) as testing,
            coalesce(sum((trial_statuses ->> 'completed')::int), 0)::int as trials,
            count(*) filter (where warm_start_type = 'IdenticalDataAndAlgorithm')::int as identical,
            count(*) filter (where warm_start_type = 'TransferLearning')::int as transfer
       from tuning_jobs where fleet = $1 group by cycle`,
    [fleet],
  );
  return new Map(
    rows.map(({ cycle, jobs, trials, identical, transfer, packed, testing }) => [
      cycle,
      {
        jobs,
        trials,
        warmStarts: { identical, transfer, none: jobs - identical - transfer },
        packed,
        testing,
      },
    ]),
  );
}

function toSearch(row: SearchRow): CustomerSearch {
  return {
    tuningJobName: row.tuning_job_name,
    cycle: row.cycle,
    round: row.round,
    packed: row.packed,
    testing: row.testing,
    status: row.status,
    failureReason: row.failure_reason,
    strategy: row.strategy,
    objective: { metric: row.objective_metric, direction: row.objective_direction },
    maxJobs: row.max_jobs,
    sizeBecause: row.size_because,
    trialStatuses: row.trial_statuses,
    best:
      row.best_training_job_name === null
        ? null
        : {
            trainingJobName: row.best_training_job_name,
            value: row.best_value,
            hyperparameters: row.best_hyperparameters ?? {},
          },
    warmStart: {
      type: row.warm_start_type,
      parents: row.parents,
      because: row.warm_start_because,
      reasons: row.reasons,
    },
    trials: row.trials,
    createdAt: row.created_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
  };
}
