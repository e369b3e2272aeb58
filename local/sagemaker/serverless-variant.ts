/**
 * A serverless variant: a container for each request at a time, as on AWS. None at first, started by the
 * request that finds none free (a cold start), ended when nobody has asked for a while.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startInstance } from "./instance.js";
import type { Instance } from "./instance.js";
import { measureInvocation } from "./invocation-metrics.js";
import { modelError, modelNotReady, throttled } from "./runtime-error.js";
import type { InvokeResponse, ServerlessPlan } from "./serving-plan.js";
import { createUsageGauges } from "./usage-gauges.js";
import { microsecondsSince } from "./variant-metrics.js";
import { checkBody } from "./variant.js";
import type { Variant, VariantOptions } from "./variant.js";

/** AWS, Developer Guide, serverless-endpoints: of a request and of its answer. */
const bodyBytes = 4 * 1024 * 1024;

/** One container and who has it. */
interface Place {
  readonly number: number;
  readonly instance: Instance;
  busy: boolean;
  idleTimer: NodeJS.Timeout | undefined;
}

export function deployServerless(options: VariantOptions, serverless: ServerlessPlan): Variant {
  const { plan, meter } = options;
  const pool = createPool(options, serverless);
  const gauges = createUsageGauges(meter);
  return {
    name: plan.name,
    weight: plan.weight,
    ready: pool.checked,
    underWay: pool.underWay,
    invoke: async (request) => {
      checkBody(request.body, bodyBytes);
      if (pool.underWay() >= serverless.maxConcurrency) throw throttled();
      const place = pool.take();
      try {
        return await measureInvocation(options, request, async (timing) => {
          await untilUp(place, options);
          return checkAnswer(await place.instance.invoke(request, timing), options);
        });
      } finally {
        pool.giveBack(place);
      }
    },
    metrics: () => [],
    gauge: async () => gauges.show(await pool.usage()),
    close: pool.close,
  };
}

function createPool(options: VariantOptions, serverless: ServerlessPlan) {
  const places = createPlaces(options, serverless);
  const { open: all, start, end } = places;
  const { meter, onLine } = options;
  const coldStart = (number: number, microseconds: number): void => {
    meter.sample("ModelSetupTime", microseconds);
    const milliseconds = Math.round(microseconds / 1000);
    onLine(`serverless: container ${number} started in ${milliseconds} ms (cold start)`);
  };
  /** The health check of a creation needs a container, which stays only if it is provisioned. */
  const check = async (): Promise<void> => {
    const first = start(() => undefined);
    await first.instance.ready;
    if (serverless.provisionedConcurrency === 0) return end(first);
    const others = Array.from({ length: serverless.provisionedConcurrency - 1 }, () =>
      start(() => undefined),
    );
    await Promise.all(others.map(({ instance }) => instance.ready));
  };
  const checked = check();
  checked.catch(() => {}); // The fleet's `ready` tells it.

  return {
    checked,
    underWay: () => [...all].filter(({ busy }) => busy).length,
    /** The one used last, so that the others come to their end; a new one when all are busy. */
    take(): Place {
      const free = [...all].reverse().find(({ busy }) => !busy);
      const place = free ?? start((microseconds) => coldStart(place.number, microseconds));
      clearTimeout(place.idleTimer);
      place.busy = true;
      // Moved to the end, where the next search begins.
      all.delete(place);
      all.add(place);
      return place;
    },
    giveBack(place: Place): void {
      place.busy = false;
      places.endWhenIdle(place);
    },
    usage: async () => (await Promise.all([...all].map(({ instance }) => instance.usage()))).flat(),
    close: async () => {
      await places.close();
      await checked.catch(() => {});
      await places.close(); // What the check has started meanwhile.
    },
  };
}

/** The containers that are there: started, ended, ended after a while without a request. */
function createPlaces(options: VariantOptions, { provisionedConcurrency }: ServerlessPlan) {
  const { limits, onLine } = options;
  const places = new Set<Place>();
  const ending = new Set<Promise<void>>();
  let started = 0;

  const end = (place: Place): void => {
    clearTimeout(place.idleTimer);
    if (!places.delete(place)) return;
    const ended = place.instance
      .close()
      .then(() => rm(folderOf(options, place.number), { recursive: true, force: true }))
      .finally(() => ending.delete(ended));
    ending.add(ended);
  };
  return {
    open: places,
    end,
    start: (onUp: (microseconds: number) => void): Place => {
      started += 1;
      const place = open(options, started);
      places.add(place);
      const since = performance.now();
      place.instance.ready.then(
        () => onUp(microsecondsSince(since)),
        (error: unknown) => {
          onLine(`serverless: container ${place.number} did not start: ${String(error)}`);
          end(place);
        },
      );
      return place;
    },
    endWhenIdle: (place: Place): void => {
      if (!places.has(place)) return; // It did not come up.
      place.idleTimer = setTimeout(() => {
        if (places.size <= provisionedConcurrency) return;
        const seconds = limits.serverlessIdleMs / 1000;
        onLine(`serverless: container ${place.number} ends after ${seconds} s without a request`);
        end(place);
      }, limits.serverlessIdleMs).unref();
    },
    close: async () => {
      for (const place of [...places]) end(place);
      await Promise.all(ending);
    },
  };
}

function open(options: VariantOptions, number: number): Place {
  const { plan, workDir, socketBase, onLine } = options;
  const instance = startInstance({
    ...options,
    memoryLimitMb: plan.serverless?.memoryMb ?? options.memoryLimitMb,
    workDir: folderOf({ workDir }, number),
    socketBase: `${socketBase}-${number}`,
    onLine: (line) => onLine(`[${number}] ${line}`),
  });
  return { number, instance, busy: false, idleTimer: undefined };
}

const folderOf = ({ workDir }: Pick<VariantOptions, "workDir">, number: number) =>
  join(workDir, `serverless-${number}`);

/** A request waits as long as for a model; the container comes up all the same, for the next one. */
async function untilUp({ instance }: Place, options: VariantOptions): Promise<void> {
  const { account, region, endpointName, limits } = options;
  const timer = new AbortController();
  const late = delay(limits.loadWaitMs, undefined, { signal: timer.signal }).then(() => {
    throw modelNotReady(endpointName);
  });
  const up = instance.ready.catch((error: unknown) => {
    const place = { account, region, endpointName, containerName: "primary" };
    throw modelError(place, 0, error instanceof Error ? error.message : String(error));
  });
  try {
    await Promise.race([up, late]);
  } finally {
    timer.abort();
  }
}

function checkAnswer(response: InvokeResponse, options: VariantOptions): InvokeResponse {
  if (response.body.byteLength <= bodyBytes) return response;
  const { account, region, endpointName } = options;
  const place = { account, region, endpointName, containerName: "primary" };
  throw modelError(place, 0, `the response is larger than ${bodyBytes} bytes`);
}
