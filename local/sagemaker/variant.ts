/** One production variant: its container, the model or models in it, and what a request meets there. */
import type { Readable } from "node:stream";
import type { ModelMetrics } from "./cached-model.js";
import { ContainerTimeout, ResponseTooLarge } from "./container-client.js";
import type { ContainerResponse } from "./container-client.js";
import { imageKind } from "./container-image.js";
import type {
  ContainerPlan,
  FleetLimits,
  InvokeRequest,
  InvokeResponse,
  VariantPlan,
} from "./serving-plan.js";
import { ModelCache } from "./model-cache.js";
import { ModelContainer } from "./model-container.js";
import { deleteModel, fetchModel, prepareFiles } from "./model-files.js";
import type { FilesOptions } from "./model-files.js";
import type { PythonHost } from "./python-host.js";
import { modelError, RuntimeError, validationError } from "./runtime-error.js";
import type { ErrorPlace } from "./runtime-error.js";
import { checkTargetModel } from "./target-model.js";

export interface Variant {
  readonly name: string;
  readonly weight: number;
  readonly ready: Promise<void>;
  underWay(): number;
  invoke(request: InvokeRequest): Promise<InvokeResponse>;
  metrics(): ModelMetrics[];
  close(): Promise<void>;
}

export interface VariantOptions {
  readonly endpointName: string;
  readonly account: string;
  readonly region: string;
  readonly plan: VariantPlan;
  readonly limits: FleetLimits;
  readonly memoryLimitMb: number;
  readonly readObject: (url: string) => Promise<Readable>;
  readonly host: PythonHost;
  readonly workDir: string;
  readonly socketPath: string;
  readonly onLine?: ((line: string) => void) | undefined;
  /** When the work folder may be used. */
  readonly prepared: Promise<void>;
}

/** A container that is there, with its models when it has many. */
interface Serving {
  readonly container: ModelContainer;
  readonly models: ModelCache | null;
}

const MEGABYTE = 1024 * 1024;
export function deployVariant(options: VariantOptions): Variant {
  const { plan } = options;
  let serving: Serving | null = null;
  let underWay = 0;
  let closed = false;
  const place: ErrorPlace = {
    account: options.account,
    region: options.region,
    endpointName: options.endpointName,
    containerName: plan.containers[0]?.mode === "MultiModel" ? "model" : "primary",
  };
  const ready = (async () => {
    await options.prepared;
    const files = filesOptions(options, onlyContainer(plan));
    await prepareFiles(files);
    if (closed) throw new Error(`variant ${plan.name} was closed before it came up`);
    serving = startServing(options, files, place);
    try {
      await serving.container.ready;
    } catch (error) {
      throw new Error(pingFailure(plan.name, error), { cause: error });
    }
  })();
  ready.catch(() => {}); // The fleet's `ready` tells it.

  return {
    name: plan.name,
    weight: plan.weight,
    ready,
    underWay: () => underWay,
    invoke: async (request) => {
      if (serving === null) {
        throw validationError(
          `Endpoint ${options.endpointName} of account ${options.account} not found.`,
        );
      }
      underWay += 1;
      try {
        return await invokeOn(serving, request, options, place);
      } finally {
        underWay -= 1;
      }
    },
    metrics: () => serving?.models?.metrics() ?? [],
    close: async () => {
      closed = true;
      await serving?.container.close(); // Also one that is still coming up: `ready` then rejects.
      await ready.catch(() => {});
    },
  };
}

function onlyContainer(plan: VariantPlan): ContainerPlan {
  const [first, ...rest] = plan.containers;
  if (first === undefined) throw new Error(`Variant ${plan.name} has no container.`);
  if (rest.length > 0) {
    throw new Error(
      "Inference pipelines of several containers are not available on the local SageMaker server.",
    );
  }
  if (imageKind(first.image) === "unknown") {
    throw new Error(
      `The repository of image ${first.image} cannot be pulled: the local SageMaker server runs only images ` +
        "whose name contains sagemaker-xgboost or sagemaker-scikit-learn.",
    );
  }
  return first;
}

function filesOptions(options: VariantOptions, plan: ContainerPlan): FilesOptions {
  const { limits, memoryLimitMb, readObject, workDir } = options;
  // A model that does not fit into memory is no use on the disk.
  const limitMb = plan.mode === "MultiModel" ? memoryLimitMb : limits.diskLimitMb;
  return { plan, readObject, baseDir: workDir, limitBytes: limitMb * MEGABYTE };
}

function pingFailure(variantName: string, error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return (
    `The primary container for production variant ${variantName} did not pass the ping health check. ` +
    `Please check CloudWatch logs for this endpoint. (${reason})`
  );
}

function startServing(options: VariantOptions, files: FilesOptions, place: ErrorPlace): Serving {
  const { plan } = files;
  const isMultiModel = plan.mode === "MultiModel";
  let models: ModelCache | null = null;
  const container = new ModelContainer({
    host: options.host,
    baseDir: options.workDir,
    socketPath: options.socketPath,
    env: {
      AWS_REGION: options.region,
      SAGEMAKER_BASE_DIR: options.workDir,
      ...plan.environment,
      ...(isMultiModel && { SAGEMAKER_MULTI_MODEL: "true" }),
    },
    onLine: (line) => options.onLine?.(`[${options.plan.name}] ${line}`),
    startupMs: options.limits.startupMs,
    onRestart: () => models?.forgetLoaded(),
  });
  if (isMultiModel) {
    models = new ModelCache({
      fetchModel: (model) => fetchModel(files, model),
      deleteFiles: (name) => deleteModel(files, name),
      send: (request) => container.send(request),
      loadError: (status, message) => modelError(place, status, message),
      memoryLimitBytes: options.memoryLimitMb * MEGABYTE,
      diskLimitBytes: options.limits.diskLimitMb * MEGABYTE,
      loadWaitMs: options.limits.loadWaitMs,
      loadTimeoutMs: options.limits.loadTimeoutMs,
    });
  }
  return { container, models };
}

async function invokeOn(
  serving: Serving,
  request: InvokeRequest,
  options: VariantOptions,
  place: ErrorPlace,
): Promise<InvokeResponse> {
  const { container, models } = serving;
  const { targetModel } = request;
  const send = (path: string): Promise<ContainerResponse> =>
    container.send({
      method: "POST",
      path,
      headers: containerHeaders(request),
      body: request.body,
      timeoutMs: options.limits.invocationMs,
    });
  const sendToModel = async (): Promise<ContainerResponse> => {
    if (models !== null) {
      if (targetModel === undefined) {
        throw validationError(`Request ${request.requestId} is missing a target model header.`);
      }
      return models.withModel(checkTargetModel(targetModel), (name) =>
        send(`/models/${name}/invoke`),
      );
    }
    if (targetModel !== undefined) {
      throw validationError(
        `Endpoint ${options.endpointName} is not a multi-model endpoint and does not support target model header.`,
      );
    }
    return send("/invocations");
  };
  const response = await sendToModel().catch((error: unknown) => {
    throw asRuntimeError(error, place);
  });
  if (response.status >= 400) {
    throw modelError(place, response.status, response.body.toString("utf8"));
  }
  const customAttributes = response.headers["x-amzn-sagemaker-custom-attributes"];
  return {
    body: response.body,
    contentType: response.headers["content-type"] ?? "application/octet-stream",
    customAttributes: Array.isArray(customAttributes) ? customAttributes[0] : customAttributes,
    invokedProductionVariant: options.plan.name,
  };
}

function containerHeaders(request: InvokeRequest): Record<string, string> {
  const headers = {
    "content-type": request.contentType,
    accept: request.accept,
    "x-amzn-sagemaker-custom-attributes": request.customAttributes,
    "x-amzn-sagemaker-target-model": request.targetModel,
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
