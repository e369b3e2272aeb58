/** The ledger's releases: what becomes one, and what has been decided about it. */
import type pg from "pg";
import type { Figures } from "../model-package-request.js";
import type { CycleRef } from "./cycles.js";
import type { Improvement, SegmentChange } from "./evaluations.js";

export interface Contender {
  readonly customer: string;
  readonly specHash: string;
  readonly windowFloor: Date;
  readonly windowCeiling: Date;
  readonly dataHash: string | null;
  readonly trainingJobName: string;
  readonly artifactUri: string;
  readonly decision: "approve" | "ask" | "keep-champion";
  readonly because: string;
  readonly reasons: readonly string[];
  readonly metrics: Figures;
  readonly championMetrics: Figures | null;
  readonly baselineMetrics: Figures;
  readonly championVersion: number | null;
  readonly improvement: Improvement | null;
  readonly segments: readonly SegmentChange[];
  readonly rows: { readonly train: number; readonly validation: number; readonly test: number };
  readonly objective: { readonly metric: string; readonly value: number } | null;
  readonly testing: boolean;
  /** The version that this cycle has made already. */
  readonly version: number | null;
  readonly decidedBy: string | null;
  /** The customer has had a version before, so its model package group exists. */
  readonly hasGroup: boolean;
}

/** The evaluated challenger of one customer; undefined when there is none. */
export async function readContender(
  ledger: pg.Pool,
  { fleet, cycle, customerKey }: CycleRef & { readonly customerKey: string },
): Promise<Contender | undefined> {
  const { rows } = await ledger.query<Contender>(
    `select c.customer, y.spec_hash as "specHash", y.window_floor as "windowFloor",
            y.window_ceiling as "windowCeiling", c.data_hash as "dataHash",
            e.training_job_name as "trainingJobName", e.artifact_uri as "artifactUri", e.decision, e.because,
            e.metrics, e.champion_metrics as "championMetrics", e.baseline_metrics as "baselineMetrics",
            e.champion_version as "championVersion", e.reasons, e.improvement, e.segments, e.testing,
            jsonb_build_object('train', c.train_rows, 'validation', c.validation_rows, 'test', c.test_rows) as rows,
            case when e.objective_metric is not null
                 then jsonb_build_object('metric', e.objective_metric, 'value', e.objective_value) end as objective,
            r.version, r.decided_by as "decidedBy",
            exists (select from releases g where g.fleet = c.fleet and g.customer_key = c.customer_key)
              as "hasGroup"
       from customers c
       join cycles y using (fleet, cycle)
       join evaluations e using (fleet, cycle, customer_key)
       left join releases r using (fleet, cycle, customer_key)
      where c.fleet = $1 and c.cycle = $2 and c.customer_key = $3`,
    [fleet, cycle, customerKey],
  );
  return rows[0];
}

export interface NewRelease extends CycleRef {
  readonly customerKey: string;
  readonly version: number;
  readonly modelPackageArn: string;
  readonly trainingJobName: string;
  readonly artifactUri: string;
  readonly approvedBy: string | null;
  readonly workflowId: string;
  readonly because: string;
}

export async function recordRelease(ledger: pg.Pool, o: NewRelease): Promise<void> {
  const state = o.approvedBy === null ? "pending" : "approved";
  await ledger.query(
    `with release as (
       insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name,
                             artifact_uri, state, decided_by, decided_at, workflow_id, generation)
       values ($1, $3, $4, $2, $5, $6, $7, $8, $9, case when $9::text is null then null else now() end, $10,
               (select e.generation from evaluations e
                 where e.fleet = $1 and e.cycle = $2 and e.customer_key = $3))
       on conflict do nothing returning 1)
     update customers set state = $8, reason = $11, updated_at = now()
      where fleet = $1 and cycle = $2 and customer_key = $3 and exists (select from release)`,
    [
      o.fleet,
      o.cycle,
      o.customerKey,
      o.version,
      o.modelPackageArn,
      o.trainingJobName,
      o.artifactUri,
      state,
      o.approvedBy,
      o.workflowId,
      o.because,
    ],
  );
}

export interface ReleaseRef {
  readonly fleet: string;
  readonly customerKey: string;
  readonly version: number;
}

export async function findModelPackageArn(
  ledger: pg.Pool,
  { fleet, customerKey, version }: ReleaseRef,
): Promise<string | undefined> {
  const { rows } = await ledger.query<{ model_package_arn: string }>(
    `select model_package_arn from releases where fleet = $1 and customer_key = $2 and version = $3`,
    [fleet, customerKey, version],
  );
  return rows[0]?.model_package_arn;
}
