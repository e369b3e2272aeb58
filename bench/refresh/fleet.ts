/** A fleet of made-up models whose every answer tells which version of whose model has given it. */
import { createHash } from "node:crypto";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type pg from "pg";
import { s3Keys, specHash, type ArtifactNaming } from "../../fleet/names.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { workflowIds } from "../../workflows/messages.js";
import { INFERENCE, numberArtifact, tarGz } from "../number-model.js";
import { required, type BenchStack } from "../stack.js";

export const STAGE = "bench";
const ACCOUNT = "111111111111";

export const customerOf = (number: number): string => `customer-${String(number).padStart(2, "0")}`;

/** What version `version` of that customer's model answers. */
export const answerOf = (customer: number, version: number): number => 1000 * version + customer;

/** Which version has given the answer; undefined when it was no model of this customer. */
export function versionOf(customer: number, answer: number): number | undefined {
  const version = (answer - customer) / 1000;
  return Number.isInteger(version) && version > 0 ? version : undefined;
}

export interface RefreshFleet {
  readonly name: string;
  readonly naming: ArtifactNaming;
  readonly customers: number;
  /** Registers version `version` of every customer, approved, as a cycle would have left them. */
  register(ledger: pg.Pool, version: number): Promise<void>;
}

export async function createFleet(
  stack: BenchStack,
  { naming, customers }: { naming: ArtifactNaming; customers: number },
): Promise<RefreshFleet> {
  const name = `refresh-${naming}`;
  const s3 = new S3Client({ forcePathStyle: true });
  const bucket = required(stack.environment, "MODELFLEET_BUCKET");
  const put = (Key: string, Body: Buffer) =>
    s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  const register = async (ledger: pg.Pool, version: number): Promise<void> => {
    // New code with every version: names that are never overwritten have no other reason for a refresh.
    const code = `${INFERENCE}# ${naming === "versioned" ? version : 0}\n`;
    const spec = specOf(name, naming, createHash("sha256").update(code).digest("hex"));
    const archive = await tarGz("inference.py", code);
    await put(s3Keys.code(name, spec.training.sourceHash), archive);
    const cycle = `2026-01-${String(version).padStart(2, "0")}`;
    await recordCycle(ledger, spec, cycle, version);
    for (let customer = 0; customer < customers; customer++) {
      const key = `${s3Keys.output(name, cycle)}${customerOf(customer)}/output/model.tar.gz`;
      await put(key, await numberArtifact(answerOf(customer, version)));
      const artifactUri = `s3://${bucket}/${key}`;
      await recordModel(ledger, { name, cycle, customer, version, artifactUri });
    }
  };
  return { name, naming, customers, register };
}

function specOf(name: string, naming: ArtifactNaming, sourceHash: string): FleetSpec {
  return fleetSpecSchema.parse({
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
    training: { kind: "script", source: "training", sourceHash },
    endpoint: { kind: "multi-model", naming },
    stages: [{ name: STAGE, account: ACCOUNT }],
  });
}

async function recordCycle(
  ledger: pg.Pool,
  spec: FleetSpec,
  cycle: string,
  version: number,
): Promise<void> {
  const hash = specHash(spec);
  await ledger.query(
    "insert into fleet_specs (fleet, spec_hash, spec) values ($1, $2, $3) on conflict do nothing",
    [spec.name, hash, spec],
  );
  await ledger.query(
    `insert into cycles (fleet, cycle, spec_hash, window_floor, window_ceiling, workflow_id, state, started_at)
     values ($1, $2, $3, now(), now(), 'bench', 'completed', now() + $4 * interval '1 s')`,
    [spec.name, cycle, hash, version],
  );
}

interface BenchModel {
  readonly name: string;
  readonly cycle: string;
  readonly customer: number;
  readonly version: number;
  readonly artifactUri: string;
}

async function recordModel(ledger: pg.Pool, model: BenchModel): Promise<void> {
  const { name, cycle, customer, version, artifactUri } = model;
  const key = customerOf(customer);
  await ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, verification, state)
     values ($1, $2, $3, $3, '["1,2"]', 'approved')`,
    [name, cycle, key],
  );
  await ledger.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, baseline_metrics,
                              artifact_uri, predictions, decision, because)
     values ($1, $2, $3, 'bench', '{}', '{}', $4, $5, 'approve', 'bench')`,
    [name, cycle, key, artifactUri, JSON.stringify([answerOf(customer, version)])],
  );
  await ledger.query(
    `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name,
                           artifact_uri, state, decided_by, decided_at, workflow_id)
     values ($1, $2, $3, $4, $5, 'bench', $6, 'approved', 'bench', now(), $7)`,
    [
      name,
      key,
      version,
      cycle,
      `arn:aws:sagemaker:us-east-1:${ACCOUNT}:model-package/${name}--${key}/${version}`,
      artifactUri,
      workflowIds.releaseModel(name, key, version),
    ],
  );
}
