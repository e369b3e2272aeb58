/** The model of a transform job on one instance: its containers, really started, and what they are asked. */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { s3Location } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import { imageKind } from "./container-image.js";
import { planVariants } from "./endpoint-plan.js";
import { JobFailure } from "./job-failure.js";
import { ModelContainer } from "./model-container.js";
import { prepareFiles } from "./model-files.js";
import type { Objects } from "./objects.js";
import type { PythonHost } from "./python-host.js";
import type { ContainerPlan } from "./serving-plan.js";
import type { Store } from "./store.js";
import { sendBatch } from "./transform-client.js";
import type { BatchAnswer } from "./transform-client.js";

export interface TransformModelOptions {
  readonly containers: readonly ContainerPlan[];
  /** Of the job; wins over the model's own. */
  readonly environment: Readonly<Record<string, string>>;
  readonly region: string;
  readonly objects: Objects;
  readonly python: PythonHost;
  readonly folder: string;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Invocation {
  readonly body: Buffer;
  readonly contentType: string | undefined;
  readonly accept: string | undefined;
  readonly timeoutMs: number;
  readonly retries: number;
}

export interface TransformModel {
  /** Through all containers in turn. Throws JobFailure when one of them does not answer well. */
  invoke(invocation: Invocation): Promise<Buffer>;
  /** What GET /execution-parameters answers; nothing when the container does not know that path. */
  executionParameters(): Promise<unknown>;
  close(): Promise<void>;
}

/** Unpacked bytes of one archive, as on the disk of an endpoint. */
const archiveBytes = 10 * 1024 ** 3;
/** AWS: 4 minutes until the first healthy ping. */
const startupMs = 4 * 60 * 1000;
const pauseBeforeRetryMs = 200;
/** A container that died is given so long to be back before a request to it has failed. */
const restartMs = 30_000;

/** The containers of a model as they are now. Throws JobFailure when it can no longer be deployed. */
export async function planContainers(
  store: Store,
  key: ResourceKey,
  ModelName: string,
): Promise<readonly ContainerPlan[]> {
  const variant = { VariantName: "transform", ModelName };
  const config = {
    ...{ EndpointConfigName: key.name, EndpointConfigArn: "", CreationTime: 0 },
    ProductionVariants: [variant],
  };
  const plans = await planVariants(store, key, { config, capacities: [] }).catch(
    (error: unknown) => {
      throw new JobFailure(`ClientError: ${textOf(error)}`);
    },
  );
  const containers = plans[0]?.containers ?? [];
  const unknown = containers.find(({ image }) => imageKind(image) === "unknown");
  if (unknown !== undefined)
    throw new JobFailure(
      `ClientError: Cannot pull container ${unknown.image}: the local SageMaker server runs only images ` +
        "whose name contains sagemaker-xgboost or sagemaker-scikit-learn.",
    );
  return containers;
}

/** Resolves when all containers answer pings; throws JobFailure when one does not come up. */
export async function startModel(options: TransformModelOptions): Promise<TransformModel> {
  // Short, because a socket's path has room for about a hundred characters.
  const sockets = mkdtempSync(join(tmpdir(), "mf-"));
  const running: RunningContainer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(running.map(({ container }) => container.close()));
    await rm(sockets, { recursive: true, force: true });
  };
  try {
    for (const [index, plan] of options.containers.entries())
      running.push(await startContainer(options, plan, join(sockets, `${index}.sock`), index));
    await untilAborted(
      Promise.all(running.map(({ container }) => container.ready)),
      options.signal,
    );
  } catch (error) {
    await close();
    if (error instanceof JobFailure || options.signal.aborted) throw error;
    throw new JobFailure(
      `AlgorithmError: Model container did not pass the ping health check (${textOf(error)})`,
    );
  }
  return {
    invoke: async (invocation) => {
      let { body, contentType } = invocation;
      for (const one of running) {
        const answer = await ask(one, { ...invocation, body, contentType }, options.signal);
        ({ body, contentType } = answer);
      }
      return body;
    },
    executionParameters: () => askParameters(running, options.signal),
    close,
  };
}

interface RunningContainer {
  readonly container: ModelContainer;
  readonly socketPath: string;
  /** It died and did not come back in time: nobody waits for it any more. */
  isLost: boolean;
}

async function startContainer(
  options: TransformModelOptions,
  plan: ContainerPlan,
  socketPath: string,
  index: number,
): Promise<RunningContainer> {
  const baseDir = join(options.folder, `container-${index + 1}`);
  const readObject = (url: string, role?: string) => options.objects.as(role).read(s3Location(url));
  await prepareFiles({ plan, baseDir, readObject, limitBytes: archiveBytes }).catch(
    (error: unknown) => {
      throw new JobFailure(`ClientError: ${textOf(error)}`);
    },
  );
  const container = new ModelContainer({
    ...{ host: options.python, baseDir, socketPath, startupMs },
    env: {
      ...{ AWS_REGION: options.region, SAGEMAKER_BASE_DIR: baseDir, SAGEMAKER_BATCH: "true" },
      ...plan.environment,
      ...options.environment,
    },
    onLine: options.onLine,
    onRestart: () => undefined, // A single model is loaded before the first ping.
  });
  return { container, socketPath, isLost: false };
}

/** A container that is stopped while it comes up says so in its own time: nobody waits for that. */
async function untilAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<never>((_resolve, reject) => {
    const stop = (): void => reject(new Error("stopped"));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  await Promise.race([promise, aborted]);
}

/** Answers of 4xx are the record's own fault; everything else is tried again. */
async function ask(
  running: RunningContainer,
  { body, contentType, accept, timeoutMs, retries }: Invocation,
  signal: AbortSignal,
): Promise<BatchAnswer> {
  const headers = {
    ...(contentType !== undefined && { "content-type": contentType }),
    ...(accept !== undefined && { accept }),
  };
  const request = {
    ...{ socketPath: running.socketPath, headers, body, timeoutMs, signal },
    ...{ method: "POST" as const, path: "/invocations" },
  };
  const lostAt = Date.now() + restartMs;
  for (let retry = 0; ;) {
    const answer = await sendBatch(request).catch((error: unknown) => toError(error));
    signal.throwIfAborted();
    if (!(answer instanceof Error) && answer.status < 300) return answer;
    if (isAway(answer) && !running.isLost) {
      running.isLost = Date.now() > lostAt;
      await pause(pauseBeforeRetryMs, undefined, { signal });
      continue; // It is being started again, and has not seen this request.
    }
    const isFinal = !(answer instanceof Error) && answer.status < 500;
    if (isFinal || retry === retries) {
      // Of a container that has just died the socket goes on taking requests for a moment.
      if (answer instanceof Error) await pause(pauseBeforeRetryMs, undefined, { signal });
      throw invocationFailure(answer);
    }
    retry++;
    await pause(pauseBeforeRetryMs * retry, undefined, { signal });
  }
}

const isAway = (answer: BatchAnswer | Error): boolean =>
  answer instanceof Error &&
  "code" in answer &&
  (answer.code === "ECONNREFUSED" || answer.code === "ENOENT");

function invocationFailure(answer: BatchAnswer | Error): JobFailure {
  if (answer instanceof Error)
    return new JobFailure(
      `AlgorithmError: the model's container did not answer: ${answer.message}`,
    );
  const message = answer.body.toString("utf8").slice(0, 500).split("\n")[0] ?? "";
  return new JobFailure(
    `AlgorithmError: Bad HTTP status returned from invoke: ${answer.status} (${message})`,
  );
}

async function askParameters(
  running: readonly RunningContainer[],
  signal: AbortSignal,
): Promise<unknown> {
  const [first] = running;
  if (first === undefined) return undefined;
  const answer = await sendBatch({
    ...{ socketPath: first.socketPath, method: "GET", path: "/execution-parameters" },
    ...{ headers: {}, body: Buffer.alloc(0), timeoutMs: 2_000, signal },
  }).catch(() => undefined);
  if (answer?.status !== 200) return undefined;
  try {
    return JSON.parse(answer.body.toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}

const toError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error));
const textOf = (error: unknown): string => toError(error).message;
