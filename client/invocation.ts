/** Asks a customer's serving model: pointer object → endpoint and TargetModel → InvokeEndpoint. */
import { performance } from "node:perf_hooks";
import { endpointName, s3Keys } from "../fleet/names.js";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import { invocationError } from "./invocation-error.js";
import { askLedger, findCustomer, unknownFleet } from "./ledger.js";
import { setting } from "./settings.js";
import { findStageSpec, reachStage } from "./stage-connections.js";

/** What `publish` leaves for whoever invokes: what to call. */
export interface Pointer {
  readonly stage: string;
  readonly endpointName: string;
  /** Null on an endpoint of the customer's own: it has no other model. */
  readonly targetModel: string | null;
  readonly version: number;
  readonly modelPackageArn: string;
  readonly publishedAt: string;
}

export interface Invocation {
  readonly endpointName: string;
  readonly targetModel: string | null;
  /** Absent when the model was named directly. */
  readonly version?: number;
  readonly predictions: readonly number[];
  readonly latencyMs: number;
}

/** Held-out rows of the serving version's own cycle, with what the training job predicted for them. */
export interface SampleRows {
  readonly rows: readonly string[];
  readonly predictions: readonly number[];
  readonly columns: readonly string[];
}

export async function readPointer(
  connections: Connections,
  { fleet, customer, stage: named }: { fleet: string; customer: string; stage?: string },
): Promise<Pointer> {
  const known = await findCustomer(connections, { fleet, customer });
  const stage = named ?? (await stageOf(connections, fleet));
  const { GetObjectCommand } = await import("@aws-sdk/client-s3");
  const Bucket = await bucketOf(connections, { fleet, stage });
  const Key = s3Keys.pointer({ fleet, stage, customerKey: known.customerKey });
  const s3 = await (await reachStage(connections, { fleet, stage })).s3();
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    const pointer = parsePointer(await Body?.transformToString(), `s3://${Bucket}/${Key}`);
    return { stage, endpointName: endpointName(fleet, stage), ...pointer };
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "NoSuchKey") throw error;
    throw new ClientError(
      `customer "${known.customer}" of fleet "${fleet}" has no serving model` +
        (named === undefined ? "" : ` in stage ${stage}`),
      `modelfleet status ${fleet} --customer ${known.customer}`,
      { cause: error },
    );
  }
}

export interface ModelCall {
  readonly fleet: string;
  /** By default the last one: that is nearest to the customers. */
  readonly stage?: string;
  /** By default the one that all customers of the fleet share. */
  readonly endpointName?: string;
  readonly targetModel: string | null;
  readonly version?: number;
  /** Rows of CSV. */
  readonly body: string;
}

/** Throws ModelFailed when the model's container answers with an error, else ClientError. */
export async function invokeModel(connections: Connections, call: ModelCall): Promise<Invocation> {
  const asked = { ...call, contentType: CSV, accept: CSV };
  const { body, contentType: _csv, ...told } = await callModel(connections, asked);
  return { ...told, predictions: parsePredictions(body.transformToString()) };
}

export interface RawCall extends Omit<ModelCall, "body"> {
  readonly contentType: string;
  /** What the answer is to be; left to the model when it is not said. */
  readonly accept?: string | undefined;
  readonly body: string | Uint8Array;
}

export interface RawAnswer extends Omit<Invocation, "predictions"> {
  readonly contentType: string;
  readonly body: { transformToString(): string } & Uint8Array;
}

/** The same call with a body of any type, and the answer as it came. Throws likewise. */
export async function callModel(connections: Connections, call: RawCall): Promise<RawAnswer> {
  const { InvokeEndpointCommand } = await import("@aws-sdk/client-sagemaker-runtime");
  const { targetModel, accept } = call;
  const stage = call.stage ?? (await stageOf(connections, call.fleet));
  const EndpointName = call.endpointName ?? endpointName(call.fleet, stage);
  const runtime = await (await reachStage(connections, { fleet: call.fleet, stage })).runtime();
  const started = performance.now();
  try {
    const { Body, ContentType } = await runtime.send(
      new InvokeEndpointCommand({
        EndpointName,
        ...(targetModel === null ? {} : { TargetModel: targetModel }),
        ContentType: call.contentType,
        ...(accept === undefined ? {} : { Accept: accept }),
        Body: call.body,
      }),
    );
    const latencyMs = performance.now() - started;
    return {
      endpointName: EndpointName,
      targetModel,
      ...(call.version === undefined ? {} : { version: call.version }),
      contentType: ContentType ?? accept ?? "",
      body: Body,
      latencyMs: Math.round(latencyMs * 100) / 100,
    };
  } catch (error) {
    throw invocationError(error, { endpointName: EndpointName, targetModel });
  }
}

export const CSV = "text/csv";

export async function readSampleRows(
  connections: Connections,
  { fleet, customer, stage: named }: { fleet: string; customer: string; stage?: string },
): Promise<SampleRows> {
  const known = await findCustomer(connections, { fleet, customer });
  const stage = named ?? (await stageOf(connections, fleet));
  const rows = await askLedger<{
    verification: string[] | null;
    predictions: number[] | null;
    columns: { name: string }[] | null;
  }>(
    connections,
    `select u.verification, e.predictions, c.columns
       from publications p
       join releases r using (fleet, customer_key, version)
       join customers u using (fleet, cycle, customer_key)
       join cycles c using (fleet, cycle)
       left join evaluations e using (fleet, cycle, customer_key)
      where p.fleet = $1 and p.customer_key = $2 and p.state = 'serving'
      order by (p.stage = $3) desc, p.version desc limit 1`,
    [fleet, known.customerKey, stage],
  );
  const found = rows[0];
  if (found?.verification == null || found.verification.length === 0) {
    throw new ClientError(
      `customer "${known.customer}" of fleet "${fleet}" has no held-out rows on record`,
      "give a row yourself: --body",
    );
  }
  return {
    rows: found.verification,
    predictions: found.predictions ?? [],
    columns: (found.columns ?? []).slice(1).map((column) => column.name),
  };
}

/** Where the stage's models and pointers are: its own bucket, or the worker's. */
export async function bucketOf(
  connections: Connections,
  place: { readonly fleet: string; readonly stage: string },
): Promise<string> {
  const stage = await findStageSpec(connections, place);
  return stage?.bucket ?? setting(connections.environment, "MODELFLEET_BUCKET");
}

/** The last stage of the fleet's newest cycle: the one that is nearest to the customers. */
export async function stageOf(connections: Connections, fleet: string): Promise<string> {
  const rows = await askLedger<{ stage: string | null }>(
    connections,
    `select s.spec #>> '{stages,-1,name}' as stage
       from cycles c join fleet_specs s using (fleet, spec_hash)
      where c.fleet = $1 order by c.cycle desc limit 1`,
    [fleet],
  );
  const stage = rows[0]?.stage;
  if (stage == null) throw await unknownFleet(connections, fleet);
  return stage;
}

type WrittenPointer = Omit<Pointer, "stage" | "endpointName"> &
  Partial<Pick<Pointer, "endpointName">>;

/** Those that were written before there were several kinds of endpoint name none. */
function parsePointer(text: string | undefined, place: string): WrittenPointer {
  const pointer: unknown = JSON.parse(text ?? "null");
  if (
    typeof pointer === "object" &&
    pointer !== null &&
    "targetModel" in pointer &&
    "version" in pointer &&
    "modelPackageArn" in pointer &&
    "publishedAt" in pointer
  ) {
    return {
      ...("endpoint" in pointer && typeof pointer.endpoint === "string"
        ? { endpointName: pointer.endpoint }
        : {}),
      targetModel: typeof pointer.targetModel === "string" ? pointer.targetModel : null,
      version: Number(pointer.version),
      modelPackageArn: String(pointer.modelPackageArn),
      publishedAt: String(pointer.publishedAt),
    };
  }
  throw new ClientError(`${place} is no pointer to a model`, "publish the model again");
}

/** Of an answer in CSV: numbers set apart by commas or line breaks. What is no number becomes NaN. */
export function parsePredictions(text: string): number[] {
  return text
    .split(/[\s,]+/)
    .filter((word) => word !== "")
    .map(Number);
}
