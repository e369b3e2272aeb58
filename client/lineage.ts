/** Traces a model version back to where it came from: SQL, window, data, code, job, figures, approver. */
import { namingOf } from "../fleet/names.js";
import { servingAddress, type EndpointKind } from "../fleet/serving.js";
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
    readonly endpointKind: EndpointKind;
    readonly endpointName: string;
    /** Null on an endpoint of the customer's own. */
    readonly targetModel: string | null;
    readonly state: string;
    readonly reason: string | null;
    readonly verification: unknown;
    readonly updatedAt: string;
  } | null;
  /** The cohort that it was released with, decided as one; null: it was decided by itself. */
  readonly cohort: { readonly version: number; readonly members: number } | null;
  readonly approval: {
    readonly decidedBy: string | null;
    readonly decidedAt: string | null;
    readonly note: string | null;
  };
  /** Set when the version was denied after its approval. */
  readonly withdrawal: {
    readonly askedBy: string;
    readonly because: string | null;
    readonly askedAt: string;
    /** `asked`: it still serves; `moved`: another one does, or none; `removed`: its artifact is gone too. */
    readonly state: "asked" | "moved" | "removed";
    readonly servesVersion: number | null;
    readonly movedAt: string | null;
    readonly reason: string | null;
  } | null;
  /** When retention took its artifact and its dataset, of which only this record is left; null: they are there. */
  readonly collectedAt: string | null;
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
  /** The search whose best training job it is; null when the job was trained by itself. */
  readonly tuningJob: {
    readonly name: string;
    /** Made inside of the training job, with trials in place of jobs. */
    readonly packed: boolean;
    readonly objective: string;
    readonly best: number | null;
    readonly maxJobs: number;
    readonly warmStart: string | null;
    readonly parents: readonly string[];
  } | null;
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
    /** What had moved, when drift has called for the cycle; null: its schedule or a person has. */
    readonly drift: string | null;
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
  select r.version, r.state, r.generation, r.decided_by, r.decided_at, r.note, r.model_package_arn, r.training_job_name,
         r.artifact_uri, r.collected_at, to_jsonb(p) as publication, to_jsonb(w) as withdrawal, to_jsonb(e) as evaluation, to_jsonb(t) as tuning,
         coalesce(j.status, i.status) as status,
         coalesce(j.billable_seconds, round(extract(epoch from i.ended_at - i.started_at))::int) as billable_seconds,
         coalesce(j.request, d.request -> 'TrainingJobDefinition') as request, u.data_hash, u.train_rows, u.validation_rows, u.test_rows,
         c.cycle, c.sql, c.columns, c.window_floor, c.window_ceiling, c.workflow_id, c.started_at,
         s.spec_hash, s.spec, h.members as cohort_members, x.because as drift
    from releases r
    join customers u using (fleet, cycle, customer_key)
    join cycles c using (fleet, cycle)
    left join evaluations e using (fleet, cycle, customer_key)
    join fleet_specs s on s.fleet = c.fleet
         and s.spec_hash = coalesce(u.planned_spec_hash, c.spec_hash)
    left join cohorts h on r.cohort and h.fleet = r.fleet and h.version = r.version
    left join drift_customers x on x.fleet = c.fleet and x.run = c.cycle and x.customer_key = u.customer_key
    left join jobs j on j.job_name = r.training_job_name
    left join tuning_jobs t on t.fleet = r.fleet and t.cycle = r.cycle and t.customer_key = r.customer_key
                           and case when t.packed then strpos(r.artifact_uri, '/cohort/' || t.work_hash || '/') > 0
                                    else t.best_training_job_name = r.training_job_name end
    left join jobs d on d.job_name = t.tuning_job_name
    left join tuning_trials i on i.tuning_job_name = t.tuning_job_name
                             and i.training_job_name = r.training_job_name
    left join publications p
           on p.fleet = r.fleet and p.customer_key = r.customer_key and p.version = r.version
    left join withdrawals w
           on w.fleet = r.fleet and w.customer_key = r.customer_key and w.version = r.version
          and (p.stage is null or w.stage = p.stage)
    left join lateral
         (select t.place from jsonb_array_elements(s.spec -> 'stages') with ordinality as t (stage, place)
           where t.stage ->> 'name' = p.stage) a on true
   where r.fleet = $1 and r.customer_key = $2 and ($3::int is null or r.version = $3)
   order by (r.state = 'serving') desc, r.version desc, (p.state = 'serving') desc nulls last, a.place desc nulls last
   limit 1`;

interface LineageRow {
  version: number;
  generation: number | null;
  state: ReleaseState;
  decided_by: string | null;
  decided_at: Date | null;
  note: string | null;
  model_package_arn: string;
  training_job_name: string;
  artifact_uri: string;
  collected_at: Date | null;
  publication: {
    stage: string;
    target_model: string;
    endpoint_kind: EndpointKind;
    state: string;
    reason: string | null;
    verification: unknown;
    updated_at: string;
  } | null;
  withdrawal: {
    asked_by: string;
    because: string | null;
    asked_at: string;
    state: "asked" | "moved" | "removed";
    serves_version: number | null;
    moved_at: string | null;
    reason: string | null;
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
    StaticHyperParameters?: Record<string, string>;
  } | null;
  tuning: {
    tuning_job_name: string;
    packed: boolean;
    objective_metric: string;
    best_value: number | null;
    best_hyperparameters: Record<string, string> | null;
    max_jobs: number;
    warm_start_type: string | null;
    parents: string[];
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
  drift: string | null;
  cohort_members: number | null;
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
    publication: publicationOf(row, { fleet, customerKey: known.customerKey }),
    cohort:
      row.cohort_members === null ? null : { version: row.version, members: row.cohort_members },
    approval: {
      decidedBy: row.decided_by,
      decidedAt: row.decided_at?.toISOString() ?? null,
      note: row.note,
    },
    withdrawal: withdrawalOf(row),
    collectedAt: row.collected_at?.toISOString() ?? null,
    modelPackageArn: row.model_package_arn,
    evaluation: evaluationOf(row),
    trainingJob: {
      name: row.training_job_name,
      status: row.status,
      billableSeconds: row.billable_seconds,
      image: row.request?.AlgorithmSpecification?.TrainingImage ?? null,
      instanceType: row.request?.ResourceConfig?.InstanceType ?? null,
      hyperparameters: {
        ...(row.request?.HyperParameters ?? row.request?.StaticHyperParameters),
        ...row.tuning?.best_hyperparameters,
      },
      artifact: row.artifact_uri,
    },
    tuningJob: tuningJobOf(row),
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
      drift: row.drift,
    },
  };
}

function tuningJobOf({ tuning }: LineageRow): Lineage["tuningJob"] {
  if (tuning === null) return null;
  return {
    name: tuning.tuning_job_name,
    packed: tuning.packed,
    objective: tuning.objective_metric,
    best: tuning.best_value,
    maxJobs: tuning.max_jobs,
    warmStart: tuning.warm_start_type,
    parents: tuning.parents,
  };
}

function publicationOf(
  { publication, version, generation }: LineageRow,
  of: { readonly fleet: string; readonly customerKey: string },
): Lineage["publication"] {
  if (publication === null) return null;
  const { stage, endpoint_kind: endpointKind } = publication;
  const serving = { kind: endpointKind, naming: namingOf(publication.target_model), generation };
  const { endpointName, targetModel } = servingAddress(serving, { ...of, stage, version });
  return {
    ...{ stage, endpointKind, endpointName, targetModel },
    state: publication.state,
    reason: publication.reason,
    verification: publication.verification,
    updatedAt: new Date(publication.updated_at).toISOString(),
  };
}

function withdrawalOf({ withdrawal }: LineageRow): Lineage["withdrawal"] {
  if (withdrawal === null) return null;
  const { asked_at: askedAt, moved_at: movedAt } = withdrawal;
  return {
    askedBy: withdrawal.asked_by,
    because: withdrawal.because,
    askedAt: new Date(askedAt).toISOString(),
    state: withdrawal.state,
    servesVersion: withdrawal.serves_version,
    movedAt: movedAt === null ? null : new Date(movedAt).toISOString(),
    reason: withdrawal.reason,
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
