/** A cohort of made-up models as a sharded training job leaves it: tiny artifacts, evaluated, not yet registered. */
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type pg from "pg";
import { inParallel } from "../../activities/in-parallel.js";
import { s3Keys, specHash } from "../../fleet/names.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { INFERENCE, numberArtifact, tarGz } from "../number-model.js";
import { required, type BenchStack } from "../stack.js";

export const STAGE = "bench";
export const CYCLE = "2026-11-01";
const ACCOUNT = "111111111111";
const UPLOADS_AT_A_TIME = 32;

export interface EvaluatedCohort {
  readonly fleet: string;
  readonly bucket: string;
  /** Where the artifacts are, without the bucket; ends in a slash. */
  readonly folder: string;
}

const keyOf = (number: number): string => `customer-${String(number).padStart(6, "0")}`;

/** The gate leaves the decision to a person, so that the clock starts with the approval. */
export async function evaluatedCohort(
  stack: BenchStack,
  ledger: pg.Pool,
  members: number,
): Promise<EvaluatedCohort> {
  const fleet = `publish-${members}`;
  const bucket = required(stack.environment, "MODELFLEET_BUCKET");
  const folder = `${s3Keys.cycle(fleet, CYCLE)}cohort/bench/`;
  const spec = specOf(fleet);
  const numbers = Array.from({ length: members }, (_none, index) => index + 1);
  const s3 = new S3Client({ forcePathStyle: true });
  try {
    const put = (Key: string, Body: Buffer) =>
      s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
    await put(s3Keys.code(fleet, spec.training.sourceHash), await tarGz("inference.py", INFERENCE));
    await inParallel(UPLOADS_AT_A_TIME, numbers, async (number) => {
      const artifact = await numberArtifact(number);
      await put(`${folder}${keyOf(number)}.tar.gz`, artifact);
    });
  } finally {
    s3.destroy();
  }
  await recordRows(ledger, spec, `s3://${bucket}/${folder}`, numbers);
  return { fleet, bucket, folder };
}

const specOf = (name: string): FleetSpec =>
  fleetSpecSchema.parse({
    name,
    source: {
      kind: "postgres",
      connection: "WAREHOUSE_URL",
      query: "select 1 as x where now() >= :floor and now() < :ceiling",
      customer: "customer",
      target: "y",
      window: { months: 1 },
      split: { validation: 0.3, test: 0.3 },
      minimumRows: 3,
    },
    training: { kind: "sharded", source: "training", sourceHash: "b".repeat(64) },
    endpoint: { kind: "multi-model" },
    stages: [{ name: STAGE, account: ACCOUNT }],
  });

async function recordRows(
  ledger: pg.Pool,
  spec: FleetSpec,
  folderUri: string,
  numbers: readonly number[],
): Promise<void> {
  const hash = specHash(spec);
  const keys = numbers.map(keyOf);
  await ledger.query("insert into fleet_specs (fleet, spec_hash, spec) values ($1, $2, $3)", [
    ...[spec.name, hash, spec],
  ]);
  await ledger.query(
    `insert into cycles (fleet, cycle, spec_hash, window_floor, window_ceiling, workflow_id, state)
     values ($1, $2, $3, now(), now(), 'bench', 'completed')`,
    [spec.name, CYCLE, hash],
  );
  await ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, verification, state)
     select $1, $2, key, key, '["1,2"]', 'evaluated' from unnest($3::text[]) as key`,
    [spec.name, CYCLE, keys],
  );
  await ledger.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, baseline_metrics,
                              artifact_uri, predictions, decision, because)
     select $1, $2, key, 'bench', '{"rmse": 1}', '{"rmse": 2}', $4 || key || '.tar.gz',
            jsonb_build_array(number), 'ask', 'bench'
       from unnest($3::text[], $5::int[]) as m (key, number)`,
    [spec.name, CYCLE, keys, folderUri, numbers],
  );
}
