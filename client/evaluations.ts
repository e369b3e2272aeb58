/** Reads a customer's evaluations, cycle by cycle. */
import { askLedger, findCustomer, type CustomerState } from "./ledger.js";
import type { Connections } from "./connections.js";
import type { Figures, ReleaseState } from "./models.js";

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
  readonly decision: string | null;
  readonly because: string | null;
  readonly decidedBy: string | null;
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
  decision: string | null;
  because: string | null;
  decided_by: string | null;
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
            e.training_job_name, r.version, r.state as release_state, e.metrics, e.champion_metrics, e.baseline_metrics, e.decision,
            e.because, r.decided_by
       from customers u
       left join evaluations e using (fleet, cycle, customer_key)
       left join releases r using (fleet, cycle, customer_key)
      where u.fleet = $1 and u.customer_key = $2
      order by u.cycle desc`,
    [fleet, known.customerKey],
  );
  return { ...known, cycles: rows.map(toCustomerCycle) };
}

function toCustomerCycle(row: EvaluationRow): CustomerCycle {
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
    decision: row.decision,
    because: row.because,
    decidedBy: row.decided_by,
  };
}
