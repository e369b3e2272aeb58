/** Traces a model version back to where it came from: SQL, window, data, code, job, figures, approver. */
import { askLedger, findCustomer } from "./ledger.js";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import type { Figures, ReleaseState } from "./models.js";

export interface Lineage {
  readonly fleet: string;
  readonly customer: string;
  readonly customerKey: string;
  readonly version: number;
  readonly state: ReleaseState;
  readonly publication: {
    readonly stage: string;
    readonly targetModel: string;
    readonly state: string;
    readonly reason: string | null;
    readonly verification: unknown;
    readonly updatedAt: string;
  } | null;
  readonly approval: {
    readonly decidedBy: string | null;
    readonly decidedAt: string | null;
    readonly note: string | null;
  };
  readonly modelPackageArn: string;
  readonly evaluation: {
    readonly metrics: Figures;
    readonly championMetrics: Figures | null;
    readonly championVersion: number | null;
    readonly baselineMetrics: Figures;
    readonly decision: string;
    readonly because: string;
  } | null;
  readonly trainingJob: {
    readonly name: string;
    readonly status: string | null;
    readonly billableSeconds: number | null;
    readonly image: string | null;
    readonly instanceType: string | null;
    readonly hyperparameters: Readonly<Record<string, string>>;
    readonly artifact: string;
  };
  readonly code: { readonly source: string; readonly hash: string; readonly entryPoint: string };
  readonly dataset: {
    readonly hash: string | null;
    readonly rows: { readonly train: number; readonly validation: number; readonly test: number };
    readonly columns: unknown;
  };
  readonly query: {
    readonly connection: string;
    /** As the fleet file has it, with `:floor` and `:ceiling`. */
    readonly text: string;
    readonly floor: string;
    readonly ceiling: string;
    /** Exactly what ran in the warehouse. */
    readonly ran: string | null;
  };
  readonly cycle: {
    readonly id: string;
    readonly specHash: string;
    readonly workflowId: string;
    readonly startedAt: string;
  };
}

/** By default of the version that serves, or else of the newest one. */
export async function readLineage(
  connections: Connections,
  { fleet, customer, version }: { fleet: string; customer: string; version?: number },
): Promise<Lineage> {
  const known = await findCustomer(connections, { fleet, customer });
  const rows = await askLedger<LineageRow>(connections, LINEAGE, [
    fleet,
    known.customerKey,
    version ?? null,
  ]);
  const row = rows[0];
  if (row !== undefined) return toLineage(fleet, known, row);
  const what = version === undefined ? "no model yet" : `no version ${version}`;
  throw new ClientError(
    `customer "${known.customer}" of fleet "${fleet}" has ${what}`,
    `modelfleet history ${fleet} ${known.customer}`,
  );
}

const LINEAGE = `
  select r.version, r.state, r.decided_by, r.decided_at, r.note, r.model_package_arn, r.training_job_name,
         r.artifact_uri, to_jsonb(p) as publication, to_jsonb(e) as evaluation, j.status, j.billable_seconds,
         j.request, u.data_hash, u.train_rows, u.validation_rows, u.test_rows,
         c.cycle, c.sql, c.columns, c.window_floor, c.window_ceiling, c.workflow_id, c.started_at,
         s.spec_hash, s.spec
    from releases r
    join customers u using (fleet, cycle, customer_key)
    join cycles c using (fleet, cycle)
    join fleet_specs s using (fleet, spec_hash)
    left join evaluations e using (fleet, cycle, customer_key)
    left join jobs j on j.job_name = r.training_job_name
    left join publications p
           on p.fleet = r.fleet and p.customer_key = r.customer_key and p.version = r.version
   where r.fleet = $1 and r.customer_key = $2 and ($3::int is null or r.version = $3)
   order by (r.state = 'serving') desc, r.version desc
   limit 1`;

interface LineageRow {
  version: number;
  state: ReleaseState;
  decided_by: string | null;
  decided_at: Date | null;
  note: string | null;
  model_package_arn: string;
  training_job_name: string;
  artifact_uri: string;
  publication: {
    stage: string;
    target_model: string;
    state: string;
    reason: string | null;
    verification: unknown;
    updated_at: string;
  } | null;
  evaluation: {
    metrics: Figures;
    champion_metrics: Figures | null;
    champion_version: number | null;
    baseline_metrics: Figures;
    decision: string;
    because: string;
  } | null;
  status: string | null;
  billable_seconds: number | null;
  request: {
    AlgorithmSpecification?: { TrainingImage?: string };
    ResourceConfig?: { InstanceType?: string };
    HyperParameters?: Record<string, string>;
  } | null;
  data_hash: string | null;
  train_rows: string;
  validation_rows: string;
  test_rows: string;
  cycle: string;
  sql: string | null;
  columns: unknown;
  window_floor: Date;
  window_ceiling: Date;
  workflow_id: string;
  started_at: Date;
  spec_hash: string;
  spec: {
    source: { connection: string; query: string };
    training: { source: string; sourceHash: string; entryPoint: string };
  };
}

function toLineage(
  fleet: string,
  known: { customer: string; customerKey: string },
  row: LineageRow,
): Lineage {
  return {
    fleet,
    ...known,
    version: row.version,
    state: row.state,
    publication: publicationOf(row),
    approval: {
      decidedBy: row.decided_by,
      decidedAt: row.decided_at?.toISOString() ?? null,
      note: row.note,
    },
    modelPackageArn: row.model_package_arn,
    evaluation: evaluationOf(row),
    trainingJob: {
      name: row.training_job_name,
      status: row.status,
      billableSeconds: row.billable_seconds,
      image: row.request?.AlgorithmSpecification?.TrainingImage ?? null,
      instanceType: row.request?.ResourceConfig?.InstanceType ?? null,
      hyperparameters: row.request?.HyperParameters ?? {},
      artifact: row.artifact_uri,
    },
    code: {
      source: row.spec.training.source,
      hash: row.spec.training.sourceHash,
      entryPoint: row.spec.training.entryPoint,
    },
    dataset: {
      hash: row.data_hash,
      rows: {
        train: Number(row.train_rows),
        validation: Number(row.validation_rows),
        test: Number(row.test_rows),
      },
      columns: row.columns,
    },
    query: {
      connection: row.spec.source.connection,
      text: row.spec.source.query,
      floor: row.window_floor.toISOString(),
      ceiling: row.window_ceiling.toISOString(),
      ran: row.sql,
    },
    cycle: {
      id: row.cycle,
      specHash: row.spec_hash,
      workflowId: row.workflow_id,
      startedAt: row.started_at.toISOString(),
    },
  };
}

function publicationOf({ publication }: LineageRow): Lineage["publication"] {
  if (publication === null) return null;
  return {
    stage: publication.stage,
    targetModel: publication.target_model,
    state: publication.state,
    reason: publication.reason,
    verification: publication.verification,
    updatedAt: new Date(publication.updated_at).toISOString(),
  };
}

function evaluationOf({ evaluation }: LineageRow): Lineage["evaluation"] {
  if (evaluation === null) return null;
  return {
    metrics: evaluation.metrics,
    championMetrics: evaluation.champion_metrics,
    championVersion: evaluation.champion_version,
    baselineMetrics: evaluation.baseline_metrics,
    decision: evaluation.decision,
    because: evaluation.because,
  };
}
