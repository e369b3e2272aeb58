/** The fleets that serve at this moment, by endpoint: brought up, invoked, taken down. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { s3Location } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import type { ServerConfig } from "./config.schema.js";
import { openLog } from "./container-log.js";
import type { Deployment } from "./documents.js";
import type { EndpointFleet, EndpointFleetOptions } from "./endpoint-fleet.js";
import type { InvokeRequest, InvokeResponse } from "./endpoint-fleet.js";
import { planVariants } from "./endpoint-plan.js";
import type { FaultInjector } from "./faults.js";
import type { MetricStore } from "./metric-store.js";
import type { Objects } from "./objects.js";
import type { PythonHost } from "./python-host.js";
import { validationError } from "./runtime-error.js";
import type { Store } from "./store.js";

export interface FleetParts {
  readonly config: ServerConfig;
  readonly store: Store;
  readonly objects: Objects;
  readonly faults: FaultInjector;
  readonly metrics: Pick<MetricStore, "meter">;
  readonly python: () => Promise<PythonHost>;
  readonly deploy: (options: EndpointFleetOptions) => EndpointFleet;
}

type EndpointKey = ResourceKey<"endpoint">;

export type ServingFleets = ReturnType<typeof createServingFleets>;

export function createServingFleets(parts: FleetParts) {
  /** One that is still coming up (after a restart) makes its callers wait. */
  const serving = new Map<string, Promise<EndpointFleet>>();

  return {
    /** Resolves when the fleet answers pings; rejects with the endpoint's FailureReason. */
    bringUp: (key: EndpointKey, deployment: Deployment) => bringUp(parts, key, deployment),

    /** From now on this fleet answers. Returns the one before, which may still have requests. */
    serve(key: EndpointKey, fleet: Promise<EndpointFleet>): Promise<EndpointFleet> | undefined {
      const before = serving.get(idOf(key));
      fleet.catch(() => serving.delete(idOf(key)));
      serving.set(idOf(key), fleet);
      return before;
    },

    /** Throws RuntimeError for an endpoint that does not serve, as for one that is not there. */
    async invoke(key: EndpointKey, request: InvokeRequest): Promise<InvokeResponse> {
      const fleet = await serving.get(idOf(key))?.catch(() => undefined);
      if (fleet === undefined)
        throw validationError(`Endpoint ${key.name} of account ${key.account} not found.`);
      return fleet.invoke(request);
    },

    async takeDown(key: EndpointKey): Promise<void> {
      const fleet = serving.get(idOf(key));
      serving.delete(idOf(key));
      await drain(fleet);
    },

    async close(): Promise<void> {
      const all = [...serving.values()];
      serving.clear();
      await Promise.all(all.map(drain));
    },
  };
}

/** Lets a fleet finish what it has begun; one that never came up has nothing to finish. */
export async function drain(fleet: Promise<EndpointFleet> | undefined): Promise<void> {
  const up = await fleet?.catch(() => undefined);
  await up?.close();
}

async function bringUp(
  parts: FleetParts,
  key: EndpointKey,
  deployment: Deployment,
): Promise<EndpointFleet> {
  const { config, store, objects, faults, metrics, python, deploy } = parts;
  const { account, region, name } = key;
  const variants = await planVariants(store, key, deployment);
  const log = openLog(endpointLogFile(config.stateDir, key), { append: true });
  const fleet = deploy({
    ...{ endpointName: name, account, region, variants },
    readObject: (url, role) => objects.as(role).read(s3Location(url)),
    workDir: join(config.stateDir, "endpoints", account, region, name, randomUUID()),
    host: await python(),
    memoryLimitMb: faults.current().endpointMemoryMb ?? config.endpointMemoryMb,
    onLine: log.write,
    meter: (variantName) => metrics.meter(key, name, variantName),
    limits: { serverlessIdleMs: config.serverlessIdleSeconds * 1000 },
  });
  try {
    await Promise.all([fleet.ready, pause((faults.current().endpointStartSeconds ?? 0) * 1000)]);
  } catch (error) {
    await fleet.close();
    await log.close();
    throw error;
  }
  return { ...fleet, close: () => fleet.close().finally(log.close) };
}

const endpointLogFile = (stateDir: string, { account, region, name }: EndpointKey): string =>
  join(stateDir, "logs", "endpoints", account, region, `${name}.log`);

const idOf = ({ account, region, name }: EndpointKey): string => `${account}/${region}/${name}`;
