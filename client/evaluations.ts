/** Reads a customer's evaluations, cycle by cycle. */
import { workflowIds } from "../workflows/messages.js";
import { askLedger, findCustomer, type CustomerState } from "./ledger.js";
import type { Connections } from "./connections.js";
import type { Figures, Improvement, ReleaseState } from "./models.js";

export interface CustomerCycle {
  readonly cycle: string;
  readonly state: CustomerState;
  readonly reason: string | null;
  readonly rows: number;
  readonly trainingJobName: string | null;
  readonly version: number | null;
  /** How its model stands today: `retired` when a later one replaced it. */
  readonly releaseState: ReleaseState | null;
  readonly metrics: Figures | null;
  readonly championMetrics: Figures | null;
  readonly baselineMetrics: Figures | null;
  /** The cycle only tried the whole path. */
  readonly testing: boolean;
  /** What was optimised, and what came of it. */
  readonly objective: { readonly metric: string; readonly value: number } | null;
  /** Held-out rows that all figures are from. */
  readonly testRows: number | null;
  /** How sure the change against the champion is; null without champion. */
  readonly improvement: Improvement | null;
  /** By declared segment, the largest share by which the error grew for one of its values; null: none was judged. */
  readonly segments: readonly { readonly column: string; readonly drop: number | null }[];
  readonly decision: string | null;
  readonly because: string | null;
  /** `because`, reason by reason. */
  readonly reasons: readonly string[];
  readonly decidedBy: string | null;
  /** That made the model: the customer's own, or that of all customers of a sharded job. */
  readonly workflowId: string;
}

interface EvaluationRow {
  cycle: string;
  state: CustomerState;
  reason: string | null;
  rows: string;
  training_job_name: string | null;
  version: number | null;
  release_state: ReleaseState | null;
  metrics: Figures | null;
  champion_metrics: Figures | null;
  baseline_metrics: Figures | null;
  testing: boolean;
  objective: { metric: string; value: number } | null;
  test_rows: string | null;
  improvement: Improvement | null;
  segments: { column: string; drop: number | null }[] | null;
  decision: string | null;
  because: string | null;
  reasons: string[] | null;
  decided_by: string | null;
  sharded: boolean;
}

/** Newest first. */
export async function readEvaluations(
  connections: Connections,
  { fleet, customer }: { fleet: string; customer: string },
): Promise<{ customer: string; customerKey: string; cycles: CustomerCycle[] }> {
  const known = await findCustomer(connections, { fleet, customer });
  const rows = await askLedger<EvaluationRow>(
    connections,
    `select u.cycle, u.state, u.reason, u.train_rows + u.validation_rows + u.test_rows as rows,
            e.training_job_name, r.version, r.state as release_state, e.metrics, e.champion_metrics, e.baseline_metrics,
            coalesce(e.testing, y.testing) as testing, e.test_rows, e.improvement, e.segments, e.decision, e.because,
            case when e.objective_metric is not null
                 then jsonb_build_object('metric', e.objective_metric, 'value', e.objective_value) end as objective,
            e.reasons, r.decided_by, s.spec #>> '{training,kind}' = 'sharded' as sharded
       from customers u
       join cycles y using (fleet, cycle)
       join fleet_specs s using (fleet, spec_hash)
       left join evaluations e using (fleet, cycle, customer_key)
       left join releases r using (fleet, cycle, customer_key)
      where u.fleet = $1 and u.customer_key = $2
      order by u.cycle desc`,
    [fleet, known.customerKey],
  );
  return { ...known, cycles: rows.map((row) => toCustomerCycle(row, { fleet, ...known })) };
}

function toCustomerCycle(
  row: EvaluationRow,
  { fleet, customerKey }: { readonly fleet: string; readonly customerKey: string },
): CustomerCycle {
  return {
    cycle: row.cycle,
    state: row.state,
    reason: row.reason,
    rows: Number(row.rows),
    trainingJobName: row.training_job_name,
    version: row.version,
    releaseState: row.release_state,
    metrics: row.metrics,
    championMetrics: row.champion_metrics,
    baselineMetrics: row.baseline_metrics,
    testing: row.testing,
    objective: row.objective,
    testRows: row.test_rows === null ? null : Number(row.test_rows),
    improvement: row.improvement,
    segments: row.segments ?? [],
    decision: row.decision,
    because: row.because,
    reasons: row.reasons ?? [],
    decidedBy: row.decided_by,
    workflowId: row.sharded
      ? workflowIds.retrainCohort(fleet, row.cycle)
      : workflowIds.retrainModel(fleet, customerKey, row.cycle),
  };
}
