/** Reads a fleet's models: versions, their state, and the figures they were judged by. */
import type { RecordedState } from "../fleet/way-back.js";
import { askLedger, unknownFleet } from "./ledger.js";
import type { Connections } from "./connections.js";

/** Of a release in the ledger. */
export type ReleaseState = RecordedState;

/** Figures on held-out rows; a fleet's metrics are numbers by name. */
export type Figures = Readonly<Record<string, number>>;

/** Over the champion, as a share of its error: 0.02 is an error that fell by 2 %. */
export interface Improvement {
  readonly metric: string;
  /** Of the interval from `low` to `high`. */
  readonly confidence: number;
  readonly estimate: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

export interface Model {
  readonly customer: string;
  readonly customerKey: string;
  readonly version: number;
  readonly cycle: string;
  readonly state: ReleaseState;
  readonly metrics: Figures | null;
  readonly championMetrics: Figures | null;
  readonly championVersion: number | null;
  readonly baselineMetrics: Figures | null;
  /** How sure the change against the champion is; null without champion. */
  readonly improvement: Improvement | null;
  readonly testRows: number | null;
  readonly because: string | null;
  /** `because`, reason by reason. */
  readonly reasons: readonly string[];
  readonly decidedBy: string | null;
  readonly decidedAt: string | null;
  readonly note: string | null;
  /** Who denied the version after its approval, and why. */
  readonly withdrawal: { readonly by: string; readonly because: string | null } | null;
  /** What the gate made of it; null without an evaluation. */
  readonly decision: "approve" | "ask" | "keep-champion" | null;
  /** The cohort that it was released with, decided as one; null: it is decided by itself. */
  readonly cohort: { readonly version: number; readonly members: number } | null;
  readonly workflowId: string;
  readonly modelPackageArn: string;
}

interface ModelRow {
  customer: string;
  customer_key: string;
  version: number;
  cycle: string;
  state: ReleaseState;
  metrics: Figures | null;
  champion_metrics: Figures | null;
  champion_version: number | null;
  baseline_metrics: Figures | null;
  improvement: Improvement | null;
  test_rows: string | null;
  because: string | null;
  reasons: string[] | null;
  decided_by: string | null;
  decided_at: Date | null;
  note: string | null;
  withdrawal: { by: string; because: string | null } | null;
  decision: Model["decision"];
  cohort_members: number | null;
  workflow_id: string;
  model_package_arn: string;
}

export interface ModelFilter {
  readonly fleet: string;
  readonly states?: readonly ReleaseState[];
  readonly customerKey?: string;
  readonly cycle?: string;
  /** Every version; by default each customer's newest that the filter lets pass, and the one that serves. */
  readonly allVersions?: boolean;
}

/** By customer, newest version first. */
export async function readModels(connections: Connections, filter: ModelFilter): Promise<Model[]> {
  const rows = await askLedger<ModelRow>(connections, MODELS, [
    filter.fleet,
    filter.states ?? null,
    filter.customerKey ?? null,
    filter.cycle ?? null,
    filter.allVersions ?? false,
  ]);
  if (rows.length === 0) await assertFleet(connections, filter.fleet);
  return rows.map(toModel);
}

const MODELS = `
  select * from (
    select u.customer, r.customer_key, r.version, r.cycle, r.state, e.metrics, e.champion_metrics,
           e.champion_version, e.baseline_metrics, e.improvement, e.test_rows, e.because, e.reasons, e.decision,
           h.members as cohort_members, r.decided_by, r.decided_at, r.note, r.workflow_id, r.model_package_arn,
           (select jsonb_build_object('by', w.asked_by, 'because', w.because) from withdrawals w
             where w.fleet = r.fleet and w.customer_key = r.customer_key and w.version = r.version
             order by w.asked_at limit 1) as withdrawal,
           row_number() over (partition by r.customer_key order by r.version desc) as place
      from releases r
      join customers u using (fleet, cycle, customer_key)
      left join evaluations e using (fleet, cycle, customer_key)
      left join cohorts h on r.cohort and h.fleet = r.fleet and h.version = r.version
     where r.fleet = $1
       and ($2::text[] is null or r.state = any($2))
       and ($3::text is null or r.customer_key = $3)
       and ($4::text is null or r.cycle = $4)) as found
   where $5 or place = 1 or state = 'serving'
   order by customer, version desc`;

async function assertFleet(connections: Connections, fleet: string): Promise<void> {
  const cycles = await askLedger(connections, "select 1 from cycles where fleet = $1 limit 1", [
    fleet,
  ]);
  if (cycles.length === 0) throw await unknownFleet(connections, fleet);
}

function toModel(row: ModelRow): Model {
  return {
    customer: row.customer,
    customerKey: row.customer_key,
    version: row.version,
    cycle: row.cycle,
    state: row.state,
    metrics: row.metrics,
    championMetrics: row.champion_metrics,
    championVersion: row.champion_version,
    baselineMetrics: row.baseline_metrics,
    improvement: row.improvement,
    testRows: row.test_rows === null ? null : Number(row.test_rows),
    because: row.because,
    reasons: row.reasons ?? [],
    decidedBy: row.decided_by,
    decidedAt: row.decided_at?.toISOString() ?? null,
    note: row.note,
    withdrawal: row.withdrawal,
    decision: row.decision,
    cohort:
      row.cohort_members === null ? null : { version: row.version, members: row.cohort_members },
    workflowId: row.workflow_id,
    modelPackageArn: row.model_package_arn,
  };
}
