/** Approved versions of made-up models, the workflows that wait for them, and what publishing left behind. */
import { randomUUID } from "node:crypto";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { InvokeEndpointCommand, SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { defaultPayloadConverter } from "@temporalio/common";
import { expect } from "vitest";
import { customerKey, s3Keys } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Publication, Withdrawal } from "../../workflows/messages.js";
import { tarGz } from "../hosting/artifacts.js";
import { openCycle } from "./a-fleet.js";
import { readObject, type Parts } from "./parts.js";

export const STAGE = "local";

/** Without it every expected text would be an `any`. */
export const like = (pattern: RegExp): unknown => expect.stringMatching(pattern);

/** Predicts `factor * (first + second)` of each row; a factor that is text makes it raise. */
const inference = `
import json
from pathlib import Path

def model_fn(model_dir):
    return json.loads((Path(model_dir) / "model.json").read_text())

def input_fn(body, content_type):
    text = body if isinstance(body, str) else body.decode()
    return [[float(field) for field in line.split(",")] for line in text.splitlines()]

def predict_fn(rows, model):
    if isinstance(model["factor"], str):
        raise ValueError(model["factor"])
    return [model["factor"] * sum(row) for row in rows]

def output_fn(predictions, accept):
    return "".join(f"{prediction:.9g}\\n" for prediction in predictions)
`;

/** The code that the endpoint of such a fleet loads. */
export async function uploadCode(parts: Parts, spec: FleetSpec, comment = ""): Promise<void> {
  const code = await tarGz({ "inference.py": `${inference}# ${comment}\n` });
  await put(parts, s3Keys.code(spec.name, spec.training.sourceHash), code);
}

export const modelArchive = (factor: number | string): Promise<Buffer> =>
  tarGz({ "model.json": JSON.stringify({ factor }) });

export interface VersionOptions {
  readonly spec: FleetSpec;
  readonly customer: string;
  readonly version: number;
  readonly state?: "pending" | "approved" | "denied";
  /** What the training job left; null: nothing. */
  readonly artifact?: Buffer | null;
  /** Of the rows 1,2 and 3,4: by default what a model of factor 10 answers. */
  readonly predictions?: readonly number[];
}

/** Registers the version in a cycle of its own, and starts the workflow that waits for its publication. */
export async function aVersion(parts: Parts, options: VersionOptions): Promise<Publication> {
  const { spec, customer, version, state = "approved", predictions = [30, 70] } = options;
  const cycle = `2013-07-${String(version).padStart(2, "0")}`;
  const key = customerKey(customer);
  const place = await openCycle(parts, spec, cycle);
  const artifactKey = `${s3Keys.output(spec.name, cycle)}job-${key}/output/model.tar.gz`;
  const artifact = options.artifact === undefined ? await modelArchive(10) : options.artifact;
  if (artifact !== null) await put(parts, artifactKey, artifact);
  const artifactUri = `s3://${parts.bucket}/${artifactKey}`;
  const releaseWorkflowId = `release/${spec.name}/${key}/${version}`;
  await parts.ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, verification, state)
     values ($1, $2, $3, $4, $5, $6)`,
    [place.fleet, cycle, key, customer, JSON.stringify(["1,2", "3,4"]), state],
  );
  await parts.ledger.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, baseline_metrics,
                              artifact_uri, predictions, decision, because)
     values ($1, $2, $3, 'job', '{}', '{}', $4, $5, 'approve', 'first model')`,
    [place.fleet, cycle, key, artifactUri, JSON.stringify(predictions)],
  );
  await parts.ledger.query(
    `insert into releases (fleet, cycle, customer_key, version, model_package_arn, training_job_name,
                           artifact_uri, state, decided_by, workflow_id)
     values ($1, $2, $3, $4, $5, 'job', $6, $7, $8, $9)`,
    [
      place.fleet,
      cycle,
      key,
      version,
      `arn:aws:sagemaker:${parts.region}:${parts.account}:model-package/${spec.name}--${key}/${version}`,
      artifactUri,
      state,
      state === "pending" ? null : "ada",
      releaseWorkflowId,
    ],
  );
  // Nobody works on this task queue: the workflow only collects its signals.
  await parts.temporal.workflow.start("releaseModel", {
    workflowId: releaseWorkflowId,
    taskQueue: `nobody-${randomUUID()}`,
  });
  return { customerKey: key, version, releaseWorkflowId };
}

export const withRuntime = (parts: Parts) => ({
  ...parts,
  runtime: new SageMakerRuntimeClient({
    region: parts.region,
    credentials: parts.sagemaker.config.credentials,
    endpoint: parts.sagemakerUrl,
    maxAttempts: 1,
  }),
  pollSeconds: 0.2,
});

/** What the release's workflow was told, in order. */
export const outcomesOf = (parts: Parts, publication: Publication): Promise<unknown[]> =>
  signalsOf(parts, publication.releaseWorkflowId);

export async function signalsOf(parts: Parts, workflowId: string): Promise<unknown[]> {
  const handle = parts.temporal.workflow.getHandle(workflowId);
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signalled }) => {
    const payload = signalled?.input?.payloads?.[0];
    return payload ? [defaultPayloadConverter.fromPayload(payload)] : [];
  });
}

export interface Standing {
  readonly publication: string | null;
  readonly release: string;
  readonly customer: string;
  readonly reason: string | null;
}

/** Where the version stands in the ledger. */
export async function standing(
  { ledger }: Parts,
  { name }: FleetSpec,
  { customerKey: key, version }: Publication,
): Promise<Standing | undefined> {
  const { rows } = await ledger.query<Standing>(
    `select p.state as publication, r.state as release, c.state as customer, p.reason
       from releases r
       join customers c using (fleet, cycle, customer_key)
       left join publications p on p.fleet = r.fleet and p.stage = $4 and p.customer_key = r.customer_key
                               and p.version = r.version
      where r.fleet = $1 and r.customer_key = $2 and r.version = $3`,
    [name, key, version, STAGE],
  );
  return rows[0];
}

export async function pointerOf(parts: Parts, { name }: FleetSpec, key: string): Promise<unknown> {
  const pointer = s3Keys.pointer({ fleet: name, stage: STAGE, customerKey: key });
  const text = await readObject(parts, pointer);
  return text === null ? null : JSON.parse(text);
}

export async function put({ s3, bucket }: Parts, key: string, body: Buffer): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
}

export async function setFaults({ sagemakerUrl }: Parts, faults: object): Promise<void> {
  const response = await fetch(`${sagemakerUrl}/_local/faults`, {
    method: "PUT",
    body: JSON.stringify(faults),
  });
  if (!response.ok) throw new Error(`faults were refused: ${await response.text()}`);
}

/** Waits, with nobody working on it, for what the withdrawal is told. */
export async function aWithdrawal(
  parts: Parts,
  { name }: FleetSpec,
  { customerKey: key, version }: Publication,
): Promise<Withdrawal> {
  const withdrawWorkflowId = `withdraw/${name}/${key}/${version}`;
  await parts.temporal.workflow.start("withdrawModel", {
    workflowId: withdrawWorkflowId,
    taskQueue: `nobody-${randomUUID()}`,
  });
  return { customerKey: key, version, withdrawWorkflowId };
}

/** What the endpoint answers for the rows 1,2 and 3,4. */
export async function predictionsOf(
  parts: Parts,
  { name }: FleetSpec,
  targetModel: string,
): Promise<number[]> {
  const { Body } = await withRuntime(parts).runtime.send(
    new InvokeEndpointCommand({
      EndpointName: `${name}-${STAGE}`,
      TargetModel: targetModel,
      ContentType: "text/csv",
      Body: "1,2\n3,4",
    }),
  );
  return Body.transformToString().trim().split("\n").map(Number);
}
