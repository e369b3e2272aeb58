/** One instance of a variant: its containers, and the way of a request through them. */
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { ModelMetrics } from "./cached-model.js";
import type { ContainerResponse } from "./container-client.js";
import { hostContainer } from "./hosted-container.js";
import type { ContainerUsage, HostedContainer, Timing } from "./hosted-container.js";
import type { PythonHost } from "./python-host.js";
import { validationError } from "./runtime-error.js";
import type { ContainerPlan, FleetLimits, VariantPlan } from "./serving-plan.js";
import type { InvokeRequest, InvokeResponse } from "./serving-plan.js";
import { checkTargetModel } from "./target-model.js";
import type { VariantMeter } from "./variant-metrics.js";

export interface InstanceOptions {
  readonly endpointName: string;
  readonly account: string;
  readonly region: string;
  readonly plan: VariantPlan;
  readonly limits: FleetLimits;
  /** Of each multi-model container's models together; of a serverless container as a whole. */
  readonly memoryLimitMb: number;
  readonly readObject: (url: string, role?: string) => Promise<Readable>;
  readonly host: PythonHost;
  readonly workDir: string;
  /** Where the containers' sockets begin. */
  readonly socketBase: string;
  readonly onLine: (line: string) => void;
  /** When the work folder may be used. */
  readonly prepared: Promise<void>;
  readonly meter: VariantMeter;
}

export interface Instance {
  /** Rejects with the endpoint's FailureReason. */
  readonly ready: Promise<void>;
  /** Throws RuntimeError. */
  invoke(request: InvokeRequest, timing: Timing): Promise<InvokeResponse>;
  models(): ModelMetrics[];
  usage(): Promise<ContainerUsage[]>;
  close(): Promise<void>;
}

/** The port of the first container, as on AWS; the others follow. Nothing listens there: see `socketBase`. */
const firstPort = 8080;
/** Ports that each container of several may open besides; AWS gives each a range of its own. */
const safePorts = { first: 20_000, each: 100 };

export function startInstance(options: InstanceOptions): Instance {
  const { plan } = options;
  if (plan.containers.length === 0) throw new Error(`Variant ${plan.name} has no container.`);
  const containers = plan.containers.map((_, index) => host(options, index));
  const ready = Promise.all(containers.map((container) => container.ready)).then(() => undefined);
  ready.catch(() => {}); // The owner looks at it in its own time.

  return {
    ready,
    invoke: async (request, timing) => {
      const chosen = route(containers, options, request);
      checkTarget(chosen, options, request);
      const response = await invokeInTurn(chosen, request, timing);
      return {
        body: response.body,
        contentType: headerOf(response, "content-type") ?? "application/octet-stream",
        customAttributes: headerOf(response, "x-amzn-sagemaker-custom-attributes"),
        invokedProductionVariant: plan.name,
      };
    },
    models: () => containers.flatMap((container) => container.models()),
    usage: async () => {
      const usages = await Promise.all(containers.map((container) => container.usage()));
      return usages.filter((usage) => usage !== undefined);
    },
    close: async () => {
      await Promise.all(containers.map((container) => container.close()));
    },
  };
}

function host(options: InstanceOptions, index: number): HostedContainer {
  const { plan, account, region, endpointName, workDir } = options;
  const container = plan.containers[index];
  if (container === undefined) throw new Error(`variant ${plan.name} has no container ${index}`);
  const isAlone = plan.containers.length === 1;
  const name = isAlone ? aloneName(container) : containerName(container, index);
  return hostContainer({
    ...options,
    plan: container,
    variantName: plan.name,
    title: isAlone ? "primary" : name,
    place: { account, region, endpointName, containerName: name },
    baseDir: isAlone ? workDir : join(workDir, `container-${index + 1}`),
    socketPath: `${options.socketBase}.${index}`,
    environment: { AWS_REGION: region, ...(!isAlone && portsOf(index)) },
    onLine: (line) => options.onLine(isAlone ? line : `[${name}] ${line}`),
  });
}

const aloneName = ({ mode }: ContainerPlan) => (mode === "MultiModel" ? "model" : "primary");

const containerName = ({ hostname }: ContainerPlan, index: number) =>
  hostname ?? `container-${index + 1}`;

function portsOf(index: number): Record<string, string> {
  const from = safePorts.first + index * safePorts.each;
  return {
    SAGEMAKER_BIND_TO_PORT: String(firstPort + index),
    SAGEMAKER_SAFE_PORT_RANGE: `${from}-${from + safePorts.each - 1}`,
  };
}

/** All containers in their order, or the one that the request names. */
function route(
  containers: readonly HostedContainer[],
  { plan, endpointName }: InstanceOptions,
  { targetContainerHostname }: InvokeRequest,
): readonly HostedContainer[] {
  if (plan.execution !== "Direct") {
    if (targetContainerHostname === undefined) return containers;
    throw validationError(
      `Endpoint ${endpointName} does not invoke its containers directly and does not support target container hostname header.`,
    );
  }
  const names = plan.containers.map(containerName);
  if (targetContainerHostname === undefined)
    throw validationError(
      `Endpoint ${endpointName} invokes its containers directly: name one of ${names.join(", ")} in the target container hostname header.`,
    );
  const chosen = containers[names.indexOf(targetContainerHostname)];
  if (chosen === undefined)
    throw validationError(
      `Endpoint ${endpointName} has no container ${targetContainerHostname}; it has ${names.join(", ")}.`,
    );
  return [chosen];
}

/** Refused before any container is asked. */
function checkTarget(
  containers: readonly HostedContainer[],
  { endpointName }: InstanceOptions,
  { targetModel, requestId }: InvokeRequest,
): void {
  const isMultiModel = containers.some(({ plan }) => plan.mode === "MultiModel");
  if (isMultiModel && targetModel === undefined)
    throw validationError(`Request ${requestId} is missing a target model header.`);
  if (!isMultiModel && targetModel !== undefined)
    throw validationError(
      `Endpoint ${endpointName} is not a multi-model endpoint and does not support target model header.`,
    );
  if (targetModel !== undefined) checkTargetModel(targetModel);
}

/**
 * The answer of one container is the request of the next, in the content type that it says. What the
 * client accepts is for the last to know: the others answer in their own default, JSON unless
 * SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT says otherwise, as in AWS's own pipelines.
 */
async function invokeInTurn(
  containers: readonly HostedContainer[],
  request: InvokeRequest,
  timing: Timing,
): Promise<ContainerResponse> {
  let response: ContainerResponse | undefined;
  for (const container of containers) {
    const isLast = container === containers.at(-1);
    response = await container.ask(
      {
        ...request,
        accept: isLast ? request.accept : undefined,
        ...(response !== undefined && {
          body: response.body,
          contentType: headerOf(response, "content-type"),
        }),
      },
      timing,
    );
  }
  if (response === undefined) throw new Error("an instance has at least one container");
  return response;
}

function headerOf({ headers }: ContainerResponse, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
