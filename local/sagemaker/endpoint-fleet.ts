/** What runs behind one endpoint configuration: its variants' containers, and the way a request takes through them. */
import { mkdtempSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Readable } from "node:stream";
import type { ModelMetrics } from "./cached-model.js";
import type { FleetLimits, InvokeRequest, InvokeResponse, VariantPlan } from "./serving-plan.js";
import type { PythonHost } from "./python-host.js";
import { validationError } from "./runtime-error.js";
import { deployServerless } from "./serverless-variant.js";
import { noMeter } from "./variant-metrics.js";
import type { VariantMeter } from "./variant-metrics.js";
import { deployOnInstance } from "./variant.js";
import type { Variant, VariantOptions } from "./variant.js";

export type { ContainerPlan, InvokeRequest, InvokeResponse, VariantPlan } from "./serving-plan.js";

export interface EndpointFleetOptions {
  readonly endpointName: string;
  readonly account: string;
  readonly region: string;
  readonly variants: readonly VariantPlan[];
  /** S3 GET of an s3:// URL; rejects with an error named NoSuchKey when there is no such object. */
  readonly readObject: (url: string, role?: string) => Promise<Readable>;
  /** Emptied first, and removed by `close`: a new fleet starts with nothing on its disk, as on AWS. */
  readonly workDir: string;
  readonly host: PythonHost;
  /** Memory that the models of one multi-model container may take together. */
  readonly memoryLimitMb: number;
  /** The containers' output, each line begun with the variant's name. */
  readonly onLine?: (line: string) => void;
  readonly limits?: Partial<FleetLimits>;
  /** Where a variant tells what it measures. */
  readonly meter?: (variantName: string) => VariantMeter;
}

const DEFAULT_LIMITS: FleetLimits = {
  invocationMs: 60_000,
  loadWaitMs: 60_000,
  loadTimeoutMs: 360_000,
  startupMs: 240_000,
  requestsPerVariant: 512,
  diskLimitMb: 10_240,
  serverlessIdleMs: 60_000,
};

/** Often enough for a chart by the minute, seldom enough to cost nothing. */
const GAUGE_MS = 10_000;

export interface EndpointFleet {
  /** Rejects when a variant does not come up; the error's message is the endpoint's FailureReason. */
  readonly ready: Promise<void>;
  /** Throws RuntimeError (runtime-error.ts) with the code, status and text that AWS would answer. */
  invoke(request: InvokeRequest): Promise<InvokeResponse>;
  metrics(): { variantName: string; models: ModelMetrics[] }[];
  /** Lets requests under way finish, then stops the containers. */
  close(): Promise<void>;
}

const DRAIN_MS = 60_000;
const DRAIN_CHECK_MS = 20;

export function deployEndpointFleet(options: EndpointFleetOptions): EndpointFleet {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  // Short, because a socket's path has room for about a hundred characters.
  const socketDir = mkdtempSync(join(tmpdir(), "mf-"));
  const prepared = rm(options.workDir, { recursive: true, force: true }).then(() =>
    mkdir(options.workDir, { recursive: true }),
  );
  const variants = options.variants.map((plan, index) =>
    deployVariant({
      endpointName: options.endpointName,
      account: options.account,
      region: options.region,
      memoryLimitMb: options.memoryLimitMb,
      readObject: options.readObject,
      host: options.host,
      onLine: (line) => options.onLine?.(`[${plan.name}] ${line}`),
      plan,
      limits,
      workDir: join(options.workDir, `variant-${index}`),
      socketBase: join(socketDir, String(index)),
      prepared: prepared.then(() => {}),
      meter: options.meter?.(plan.name) ?? noMeter,
    }),
  );
  const gauge = (): void => {
    for (const variant of variants) variant.gauge().catch(() => undefined); // The next one tells.
  };
  const gauging = setInterval(gauge, GAUGE_MS).unref();
  const ready = Promise.all(variants.map((variant) => variant.ready)).then(() => {});
  ready.then(gauge, () => {}); // The owner looks at it in its own time.

  return {
    ready,
    invoke: async (request) => {
      const variant = chooseVariant(variants, options.endpointName, request.targetVariant);
      return variant.invoke(request);
    },
    metrics: () =>
      variants.map((variant) => ({ variantName: variant.name, models: variant.metrics() })),
    close: async () => {
      clearInterval(gauging);
      const deadline = Date.now() + DRAIN_MS;
      while (variants.some((variant) => variant.underWay() > 0) && Date.now() < deadline) {
        await delay(DRAIN_CHECK_MS);
      }
      await Promise.all(variants.map((variant) => variant.close()));
      await rm(options.workDir, { recursive: true, force: true });
      await rm(socketDir, { recursive: true, force: true });
    },
  };
}

function deployVariant(options: VariantOptions): Variant {
  const { serverless } = options.plan;
  return serverless === undefined
    ? deployOnInstance(options)
    : deployServerless(options, serverless);
}

function chooseVariant(
  variants: readonly Variant[],
  endpointName: string,
  targetVariant: string | undefined,
): Variant {
  if (targetVariant !== undefined) {
    const named = variants.find((variant) => variant.name === targetVariant);
    if (named !== undefined) return named;
    throw validationError(`Variant ${targetVariant} not found for Endpoint ${endpointName}.`);
  }
  const total = variants.reduce((sum, variant) => sum + variant.weight, 0);
  let ticket = Math.random() * total;
  for (const variant of variants) {
    ticket -= variant.weight;
    if (ticket < 0) return variant;
  }
  const [first] = variants;
  if (first === undefined) throw validationError(`Endpoint ${endpointName} has no variants.`);
  return first; // All weights are 0: AWS says nothing about it, a request still needs an answer.
}
