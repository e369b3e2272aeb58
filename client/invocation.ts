/** Asks a customer's serving model: pointer object → endpoint and TargetModel → InvokeEndpoint. */
import { performance } from "node:perf_hooks";
import { endpointName, s3Keys } from "../fleet/names.js";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import { invocationError } from "./invocation-error.js";
import { askLedger, findCustomer, unknownFleet } from "./ledger.js";
import { setting } from "./settings.js";

/** What `publish` leaves for whoever invokes: what to call. */
export interface Pointer {
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
  { fleet, customer }: { fleet: string; customer: string },
): Promise<Pointer> {
  const known = await findCustomer(connections, { fleet, customer });
  const stage = await stageOf(connections, fleet);
  const { GetObjectCommand } = await import("@aws-sdk/client-s3");
  const Bucket = setting(connections.environment, "MODELFLEET_BUCKET");
  const Key = s3Keys.pointer({ fleet, stage, customerKey: known.customerKey });
  const s3 = await connections.s3();
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    const pointer = parsePointer(await Body?.transformToString(), `s3://${Bucket}/${Key}`);
    return { endpointName: endpointName(fleet, stage), ...pointer };
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "NoSuchKey") throw error;
    throw new ClientError(
      `customer "${known.customer}" of fleet "${fleet}" has no serving model`,
      `modelfleet status ${fleet} --customer ${known.customer}`,
      { cause: error },
    );
  }
}

export interface ModelCall {
  readonly fleet: string;
  /** By default the one that all customers of the fleet share. */
  readonly endpointName?: string;
  readonly targetModel: string | null;
  readonly version?: number;
  /** Rows of CSV. */
  readonly body: string;
}

/** Throws ModelFailed when the model's container answers with an error, else ClientError. */
export async function invokeModel(connections: Connections, call: ModelCall): Promise<Invocation> {
  const { InvokeEndpointCommand } = await import("@aws-sdk/client-sagemaker-runtime");
  const { targetModel } = call;
  const EndpointName =
    call.endpointName ?? endpointName(call.fleet, await stageOf(connections, call.fleet));
  const runtime = await connections.runtime();
  const started = performance.now();
  try {
    const { Body } = await runtime.send(
      new InvokeEndpointCommand({
        EndpointName,
        ...(targetModel === null ? {} : { TargetModel: targetModel }),
        ContentType: "text/csv",
        Accept: "text/csv",
        Body: call.body,
      }),
    );
    const latencyMs = performance.now() - started;
    return {
      endpointName: EndpointName,
      targetModel,
      ...(call.version === undefined ? {} : { version: call.version }),
      predictions: parsePredictions(Body.transformToString()),
      latencyMs: Math.round(latencyMs * 100) / 100,
    };
  } catch (error) {
    throw invocationError(error, { endpointName: EndpointName, targetModel });
  }
}

export async function readSampleRows(
  connections: Connections,
  { fleet, customer }: { fleet: string; customer: string },
): Promise<SampleRows> {
  const known = await findCustomer(connections, { fleet, customer });
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
      order by p.version desc limit 1`,
    [fleet, known.customerKey],
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

/** The stage of the fleet's newest cycle. */
export async function stageOf(connections: Connections, fleet: string): Promise<string> {
  const rows = await askLedger<{ stage: string | null }>(
    connections,
    `select s.spec #>> '{stages,0,name}' as stage
       from cycles c join fleet_specs s using (fleet, spec_hash)
      where c.fleet = $1 order by c.cycle desc limit 1`,
    [fleet],
  );
  const stage = rows[0]?.stage;
  if (stage == null) throw await unknownFleet(connections, fleet);
  return stage;
}

type WrittenPointer = Omit<Pointer, "endpointName"> & Partial<Pick<Pointer, "endpointName">>;

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

function parsePredictions(text: string): number[] {
  return text
    .split(/[\s,]+/)
    .filter((word) => word !== "")
    .map(Number);
}
