/** One container of a variant with the model or models in it: brought up, asked, taken down. */
import type { Readable } from "node:stream";
import type { ModelMetrics } from "./cached-model.js";
import { ContainerTimeout, ResponseTooLarge } from "./container-client.js";
import type { ContainerResponse } from "./container-client.js";
import { imageKind } from "./container-image.js";
import { processUsage } from "./container-usage.js";
import { ModelCache } from "./model-cache.js";
import { ModelContainer } from "./model-container.js";
import { deleteModel, fetchModel, prepareFiles } from "./model-files.js";
import type { FilesOptions } from "./model-files.js";
import type { PythonHost } from "./python-host.js";
import { modelError, RuntimeError, validationError } from "./runtime-error.js";
import type { ErrorPlace } from "./runtime-error.js";
import type { ContainerPlan, FleetLimits, InvokeRequest } from "./serving-plan.js";
import { checkTargetModel } from "./target-model.js";
import { timed } from "./variant-metrics.js";
import type { VariantMeter } from "./variant-metrics.js";

export interface HostedContainerOptions {
  readonly plan: ContainerPlan;
  readonly place: ErrorPlace;
  readonly variantName: string;
  /** What a failure to come up calls it. */
  readonly title: string;
  readonly limits: FleetLimits;
  readonly memoryLimitMb: number;
  readonly readObject: (url: string, role?: string) => Promise<Readable>;
  readonly host: PythonHost;
  readonly baseDir: string;
  readonly socketPath: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  /** When the work folder may be used. */
  readonly prepared: Promise<void>;
  readonly meter: VariantMeter;
}

export interface HostedContainer {
  readonly plan: ContainerPlan;
  /** Rejects with the endpoint's FailureReason. */
  readonly ready: Promise<void>;
  /** Throws RuntimeError, also for an answer of 4xx or 5xx. */
  ask(request: InvokeRequest, timing: Timing): Promise<ContainerResponse>;
  models(): ModelMetrics[];
  usage(): Promise<ContainerUsage | undefined>;
  close(): Promise<void>;
}

/** What an invocation has spent in containers so far. */
export interface Timing {
  modelMicroseconds: number;
}

/** Shares are of what the container may have, from 0 to 1; null is what the machine does not tell. */
export interface ContainerUsage {
  readonly cpuSeconds: number | null;
  readonly memoryShare: number | null;
  readonly diskShare: number;
  readonly loadedModels: number | null;
}

/** A container that is there, with its models when it has many. */
interface Serving {
  readonly container: ModelContainer;
  readonly models: ModelCache | null;
  readonly diskBytes: number;
}

const MEGABYTE = 1024 * 1024;

export function hostContainer(options: HostedContainerOptions): HostedContainer {
  const { plan, place } = options;
  let serving: Serving | null = null;
  let closed = false;
  const ready = (async () => {
    await options.prepared;
    checkImage(plan.image);
    const files = filesOptions(options);
    const diskBytes = await prepareFiles(files);
    if (closed) throw new Error(`variant ${options.variantName} was closed before it came up`);
    serving = startServing(options, files, diskBytes);
    try {
      await serving.container.ready;
    } catch (error) {
      throw new Error(pingFailure(options, error), { cause: error });
    }
  })();
  ready.catch(() => {}); // The variant's `ready` tells it.

  return {
    plan,
    ready,
    ask: async (request, timing) => {
      if (serving === null)
        throw validationError(
          `Endpoint ${place.endpointName} of account ${place.account} not found.`,
        );
      const response = await send(serving, request, { ...options, timing }).catch(
        (error: unknown) => {
          throw asRuntimeError(error, place);
        },
      );
      if (response.status >= 400)
        throw modelError(place, response.status, response.body.toString("utf8"));
      return response;
    },
    models: () => serving?.models?.metrics() ?? [],
    usage: async () => (serving === null ? undefined : usageOf(serving, options)),
    close: async () => {
      closed = true;
      await serving?.container.close(); // Also one that is still coming up: `ready` then rejects.
      await ready.catch(() => {});
    },
  };
}

function checkImage(image: string): void {
  if (imageKind(image) !== "unknown") return;
  throw new Error(
    `The repository of image ${image} cannot be pulled: the local SageMaker server runs only images ` +
      "whose name contains sagemaker-xgboost or sagemaker-scikit-learn.",
  );
}

function filesOptions(options: HostedContainerOptions): FilesOptions {
  const { plan, limits, memoryLimitMb, readObject, baseDir } = options;
  // A model that does not fit into memory is no use on the disk.
  const limitMb = plan.mode === "MultiModel" ? memoryLimitMb : limits.diskLimitMb;
  return { plan, readObject, baseDir, limitBytes: limitMb * MEGABYTE };
}

function pingFailure({ title, variantName }: HostedContainerOptions, error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return (
    `The ${title} container for production variant ${variantName} did not pass the ping health check. ` +
    `Please check CloudWatch logs for this endpoint. (${reason})`
  );
}

function startServing(
  options: HostedContainerOptions,
  files: FilesOptions,
  diskBytes: number,
): Serving {
  const { plan, limits, meter } = options;
  const isMultiModel = plan.mode === "MultiModel";
  let models: ModelCache | null = null;
  const container = new ModelContainer({
    host: options.host,
    baseDir: options.baseDir,
    socketPath: options.socketPath,
    env: {
      ...options.environment,
      SAGEMAKER_BASE_DIR: options.baseDir,
      ...plan.environment,
      ...(isMultiModel && { SAGEMAKER_MULTI_MODEL: "true" }),
    },
    onLine: options.onLine,
    startupMs: limits.startupMs,
    onRestart: () => models?.forgetLoaded(),
  });
  if (isMultiModel) {
    models = new ModelCache({
      fetchModel: (model) => timed(meter, "ModelDownloadingTime", () => fetchModel(files, model)),
      deleteFiles: (name) => deleteModel(files, name),
      send: (request) => container.send(request),
      loadError: (status, message) => modelError(options.place, status, message),
      memoryLimitBytes: options.memoryLimitMb * MEGABYTE,
      diskLimitBytes: limits.diskLimitMb * MEGABYTE,
      keepsModels: plan.cachesModels !== false,
      loadWaitMs: limits.loadWaitMs,
      loadTimeoutMs: limits.loadTimeoutMs,
      meter,
    });
  }
  return { container, models, diskBytes };
}

type Asking = HostedContainerOptions & { readonly timing: Timing };

async function send(
  { container, models }: Serving,
  request: InvokeRequest,
  { limits, timing }: Asking,
): Promise<ContainerResponse> {
  const post = async (
    path: string,
    headers: Record<string, string>,
  ): Promise<ContainerResponse> => {
    const since = performance.now();
    try {
      const timeoutMs = limits.invocationMs;
      return await container.send({ method: "POST", path, headers, body: request.body, timeoutMs });
    } finally {
      timing.modelMicroseconds += Math.round((performance.now() - since) * 1000);
    }
  };
  if (models === null) return post("/invocations", containerHeaders(request));
  // The variant has checked that it is there.
  const targetModel = checkTargetModel(request.targetModel ?? "");
  const headers = {
    ...containerHeaders(request),
    "x-amzn-sagemaker-target-model": targetModel,
  };
  return models.withModel(targetModel, (name) => post(`/models/${name}/invoke`, headers));
}

function containerHeaders(request: InvokeRequest): Record<string, string> {
  const headers = {
    "content-type": request.contentType,
    accept: request.accept,
    "x-amzn-sagemaker-custom-attributes": request.customAttributes,
  };
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  );
}

function asRuntimeError(error: unknown, place: ErrorPlace): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const name = place.containerName;
  if (error instanceof ContainerTimeout) {
    return modelError(
      place,
      0,
      `Your invocation timed out while waiting for a response from container ${name}. Review the latency metrics ` +
        "for each container in Amazon CloudWatch, resolve the issue, and try again.",
    );
  }
  if (error instanceof ResponseTooLarge) return modelError(place, 0, error.message);
  const reason = error instanceof Error ? error.message : String(error);
  return modelError(place, 0, `Container ${name} ended, or is being started again (${reason})`);
}

/** Models of a multi-model container count for what they were measured at; others for their process. */
async function usageOf(
  { container, models, diskBytes }: Serving,
  { memoryLimitMb, limits }: HostedContainerOptions,
): Promise<ContainerUsage> {
  const pid = container.pid();
  const own = pid === null ? undefined : await processUsage(pid);
  const memoryBytes = models === null ? own?.memoryBytes : models.memoryBytes();
  const disk = diskBytes + (models?.diskBytes() ?? 0);
  return {
    cpuSeconds: own?.cpuSeconds ?? null,
    memoryShare:
      memoryBytes === undefined ? null : Math.min(1, memoryBytes / (memoryLimitMb * MEGABYTE)),
    diskShare: Math.min(1, disk / (limits.diskLimitMb * MEGABYTE)),
    loadedModels: models?.loadedCount() ?? null,
  };
}
