/** Records how the challengers of a cohort did, many in one statement. */
import type pg from "pg";
import type { CycleRef } from "./cycles.js";
import type { NewEvaluation } from "./evaluations.js";

/** As recordEvaluation does for one customer. */
export async function recordEvaluations(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  evaluations: readonly NewEvaluation[],
): Promise<void> {
  if (evaluations.length === 0) return;
  await ledger.query(
    `with given as (
       select * from jsonb_to_recordset($3) as g (
         customer_key text, training_job_name text, metrics jsonb, champion_metrics jsonb, baseline_metrics jsonb,
         champion_version int, artifact_uri text, predictions jsonb, decision text, because text, reasons jsonb,
         improvement jsonb, segments jsonb, testing boolean, test_rows bigint, objective_metric text,
         objective_value float8)),
     customer as (
       update customers c
          set state = case g.decision when 'keep-champion' then 'champion-kept' else 'evaluated' end,
              reason = g.because, error_type = null, updated_at = now()
         from given g
        where c.fleet = $1 and c.cycle = $2 and c.customer_key = g.customer_key
          -- A late attempt must not take back what came after it.
          and c.state in ('planned', 'training', 'trained', 'evaluated', 'champion-kept', 'failed'))
     insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, champion_metrics,
                              baseline_metrics, champion_version, artifact_uri, predictions, decision, because,
                              reasons, improvement, segments, testing, test_rows, objective_metric, objective_value)
     select $1, $2, customer_key, training_job_name, metrics, champion_metrics, baseline_metrics, champion_version,
            artifact_uri, predictions, decision, because, reasons, improvement, segments, testing, test_rows,
            objective_metric, objective_value
       from given
     on conflict (fleet, cycle, customer_key) do update
       set training_job_name = excluded.training_job_name, metrics = excluded.metrics,
           champion_metrics = excluded.champion_metrics, baseline_metrics = excluded.baseline_metrics,
           champion_version = excluded.champion_version, artifact_uri = excluded.artifact_uri,
           predictions = excluded.predictions, decision = excluded.decision, because = excluded.because,
           reasons = excluded.reasons, improvement = excluded.improvement, segments = excluded.segments,
           testing = excluded.testing, test_rows = excluded.test_rows,
           objective_metric = excluded.objective_metric, objective_value = excluded.objective_value`,
    [fleet, cycle, JSON.stringify(evaluations.map(row))],
  );
}

function row(o: NewEvaluation): object {
  const { challenger, champion, baseline, predictions, rows, objective } = o.evaluation;
  const figures = ({ rmse, mae, stdevError }: typeof challenger) => ({
    rmse,
    mae,
    stdev_error: stdevError,
  });
  return {
    customer_key: o.customerKey,
    training_job_name: o.trainingJobName,
    metrics: figures(challenger),
    champion_metrics: champion === null ? null : figures(champion),
    baseline_metrics: { rmse: baseline.rmse, mae: baseline.mae },
    champion_version: o.championVersion,
    artifact_uri: o.artifactUri,
    predictions,
    decision: o.decision,
    because: o.because,
    reasons: o.reasons,
    improvement: o.improvement,
    segments: o.segments,
    testing: o.testing,
    test_rows: rows.test,
    objective_metric: objective.metric,
    objective_value: objective.value,
  };
}
