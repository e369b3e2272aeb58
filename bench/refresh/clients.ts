/** Clients that invoke without pause, and keep every answer: when, how long it took, and which version gave it. */
import { setTimeout as delay } from "node:timers/promises";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { InvokeEndpointCommand, SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { endpointName, s3Keys, targetModel } from "../../fleet/names.js";
import { required, type BenchStack } from "../stack.js";
import { customerOf, STAGE, versionOf, type RefreshFleet } from "./fleet.js";

export interface Invocation {
  readonly customer: number;
  /** Milliseconds of `performance.now()`. */
  readonly sentAt: number;
  readonly latencyMs: number;
  /** Undefined when it failed. */
  readonly version: number | undefined;
  readonly error?: string;
}

export interface Clients {
  readonly invocations: readonly Invocation[];
  stop(): Promise<void>;
}

/** How old a pointer may be that a client goes by: far less than the grace of a withdrawal. */
export const POINTER_SECONDS = 1;

export function startClients(stack: BenchStack, fleet: RefreshFleet, clients: number): Clients {
  const { name, naming, customers } = fleet;
  // A failure that the SDK mends by itself is a failure all the same.
  const runtime = new SageMakerRuntimeClient({ maxAttempts: 1 });
  const pointers = naming === "versioned" ? pointerReader(stack, name) : undefined;
  const invocations: Invocation[] = [];
  const state = { isStopped: false, next: 0 };
  const invoke = async (customer: number): Promise<void> => {
    const key = customerOf(customer);
    const target = (await pointers?.(key)) ?? targetModel(key, 0, "stable");
    const sentAt = performance.now();
    const done = (rest: Pick<Invocation, "version" | "error">) =>
      invocations.push({ customer, sentAt, latencyMs: performance.now() - sentAt, ...rest });
    try {
      const { Body } = await runtime.send(
        new InvokeEndpointCommand({
          EndpointName: endpointName(name, STAGE),
          TargetModel: target,
          ContentType: "text/csv",
          Body: "1,2",
        }),
      );
      const text = Body.transformToString().trim();
      const version = versionOf(customer, Number(text));
      done(version === undefined ? { version, error: `answered ${text}` } : { version });
    } catch (error) {
      done({ version: undefined, error: String(error) });
    }
  };
  const lanes = Array.from({ length: clients }, async () => {
    while (!state.isStopped) await invoke(state.next++ % customers);
  });
  return {
    invocations,
    stop: async () => {
      state.isStopped = true;
      await Promise.all(lanes);
      runtime.destroy();
    },
  };
}

/** Each pointer is read again when it is older than `POINTER_SECONDS`, once for all clients. */
function pointerReader(stack: BenchStack, fleet: string): (key: string) => Promise<string> {
  const s3 = new S3Client({ forcePathStyle: true });
  const Bucket = required(stack.environment, "MODELFLEET_BUCKET");
  const known = new Map<string, { readAt: number; target: Promise<string> }>();
  const read = async (customerKey: string): Promise<string> => {
    const Key = s3Keys.pointer({ fleet, stage: STAGE, customerKey });
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    const pointer: unknown = JSON.parse((await Body?.transformToString()) ?? "null");
    if (typeof pointer === "object" && pointer !== null && "targetModel" in pointer)
      return String(pointer.targetModel);
    throw new Error(`${Key} is no pointer`);
  };
  return (key) => {
    const last = known.get(key);
    const now = performance.now();
    if (last !== undefined && now - last.readAt < POINTER_SECONDS * 1000) return last.target;
    const target = read(key);
    known.set(key, { readAt: now, target });
    return target;
  };
}

/** Waits until what `isTrue` asks of the ledger or the endpoint has come about. */
export async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_SECONDS * 1000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come about`);
    await delay(50);
  }
}
const PATIENCE_SECONDS = 600;
