/** Records how a challenger did, and where that leaves its customer. */
import type pg from "pg";
import type { GateDecision } from "../../fleet/gate.js";
import type { ErrorFigures, Evaluation, ModelFigures } from "../../fleet/metrics.js";
import type { CycleRef } from "./cycles.js";

export interface NewEvaluation extends CycleRef, GateDecision {
  readonly customerKey: string;
  readonly trainingJobName: string;
  readonly evaluation: Evaluation;
  readonly championVersion: number | null;
  readonly artifactUri: string;
}

export async function recordEvaluation(ledger: pg.Pool, o: NewEvaluation): Promise<void> {
  const { challenger, champion, baseline, predictions } = o.evaluation;
  await ledger.query(
    `with customer as (
       update customers
          set state = case $11 when 'keep-champion' then 'champion-kept' else 'evaluated' end,
              reason = $12, error_type = null, updated_at = now()
        where fleet = $1 and cycle = $2 and customer_key = $3
          -- A late attempt must not take back what came after it.
          and state not in ('pending', 'approved', 'serving', 'denied', 'rejected'))
     insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, champion_metrics,
                              baseline_metrics, champion_version, artifact_uri, predictions, decision, because)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     on conflict (fleet, cycle, customer_key) do update
       set training_job_name = excluded.training_job_name, metrics = excluded.metrics,
           champion_metrics = excluded.champion_metrics, baseline_metrics = excluded.baseline_metrics,
           champion_version = excluded.champion_version, artifact_uri = excluded.artifact_uri,
           predictions = excluded.predictions, decision = excluded.decision, because = excluded.because`,
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
    ],
  );
}

const errorFigures = ({ rmse, mae }: ErrorFigures) => JSON.stringify({ rmse, mae });

const modelFigures = ({ rmse, mae, stdevError }: ModelFigures) =>
  JSON.stringify({ rmse, mae, stdev_error: stdevError });
