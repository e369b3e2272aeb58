/** Records how a challenger did, and where that leaves its customer. */
import type pg from "pg";
import type { GateDecision } from "../../fleet/gate.js";
import type { ErrorFigures, Evaluation, ModelFigures } from "../../fleet/metrics.js";
import type { CycleRef } from "./cycles.js";

/** Of the gate's metric over the champion's, as a share of it: 0.02 is an error that fell by 2 %. */
export interface Improvement {
  readonly metric: string;
  /** Of the interval from `low` to `high`. */
  readonly confidence: number;
  /** Null: the champion makes no error, and the challenger does. */
  readonly estimate: number | null;
  /** Null: not told by the training script. */
  readonly low: number | null;
  readonly high: number | null;
}

export interface SegmentChange {
  readonly column: string;
  /** The largest share by which the error grew for one of the column's values; null: none was judged. */
  readonly drop: number | null;
}

export interface NewEvaluation extends CycleRef, GateDecision {
  readonly customerKey: string;
  readonly trainingJobName: string;
  readonly evaluation: Evaluation;
  /** Null without champion. */
  readonly improvement: Improvement | null;
  readonly segments: readonly SegmentChange[];
  readonly championVersion: number | null;
  readonly artifactUri: string;
  readonly testing: boolean;
}

export async function recordEvaluation(ledger: pg.Pool, o: NewEvaluation): Promise<void> {
  const { challenger, champion, baseline, predictions, rows, objective } = o.evaluation;
  await ledger.query(
    `with customer as (
       update customers
          set state = case $11 when 'keep-champion' then 'champion-kept' else 'evaluated' end,
              reason = $12, error_type = null, updated_at = now()
        where fleet = $1 and cycle = $2 and customer_key = $3
          -- A late attempt must not take back what came after it.
          and state not in ('pending', 'approved', 'serving', 'denied', 'rejected'))
     insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, champion_metrics,
                              baseline_metrics, champion_version, artifact_uri, predictions, decision, because,
                              reasons, improvement, segments, testing, test_rows, objective_metric, objective_value,
                              generation)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
             -- Of the preprocessor that prepared the rows, in a pipeline.
             (select y.generation from cycles y where y.fleet = $1 and y.cycle = $2))
     on conflict (fleet, cycle, customer_key) do update
       set training_job_name = excluded.training_job_name, metrics = excluded.metrics,
           champion_metrics = excluded.champion_metrics, baseline_metrics = excluded.baseline_metrics,
           champion_version = excluded.champion_version, artifact_uri = excluded.artifact_uri,
           predictions = excluded.predictions, decision = excluded.decision, because = excluded.because,
           reasons = excluded.reasons, improvement = excluded.improvement, segments = excluded.segments,
           testing = excluded.testing, test_rows = excluded.test_rows,
           objective_metric = excluded.objective_metric, objective_value = excluded.objective_value,
           generation = excluded.generation`,
    [
      o.fleet,
      o.cycle,
      o.customerKey,
      o.trainingJobName,
      modelFigures(challenger),
      champion === null ? null : modelFigures(champion),
      errorFigures(baseline),
      o.championVersion,
      o.artifactUri,
      JSON.stringify(predictions),
      o.decision,
      o.because,
      JSON.stringify(o.reasons),
      o.improvement === null ? null : JSON.stringify(o.improvement),
      JSON.stringify(o.segments),
      o.testing,
      rows.test,
      objective.metric,
      objective.value,
    ],
  );
}

const errorFigures = ({ rmse, mae }: ErrorFigures) => JSON.stringify({ rmse, mae });

const modelFigures = ({ rmse, mae, stdevError }: ModelFigures) =>
  JSON.stringify({ rmse, mae, stdev_error: stdevError });
