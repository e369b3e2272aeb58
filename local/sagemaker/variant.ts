/** A production variant on instances: one of them here, whatever the configuration's count. */
import type { ModelMetrics } from "./cached-model.js";
import { BODY_BYTES } from "./container-client.js";
import { startInstance } from "./instance.js";
import type { InstanceOptions } from "./instance.js";
import { measureInvocation } from "./invocation-metrics.js";
import { createUsageGauges } from "./usage-gauges.js";
import { throttled, validationError } from "./runtime-error.js";
import type { InvokeRequest, InvokeResponse } from "./serving-plan.js";

export type VariantOptions = InstanceOptions;

export interface Variant {
  readonly name: string;
  readonly weight: number;
  readonly ready: Promise<void>;
  underWay(): number;
  /** Throws RuntimeError. */
  invoke(request: InvokeRequest): Promise<InvokeResponse>;
  metrics(): ModelMetrics[];
  /** Tells the meter what the variant uses of memory, processor and disk at this moment. */
  gauge(): Promise<void>;
  close(): Promise<void>;
}

export function deployOnInstance(options: VariantOptions): Variant {
  const { plan, limits, meter } = options;
  const instance = startInstance(options);
  const gauges = createUsageGauges(meter);
  let underWay = 0;
  return {
    name: plan.name,
    weight: plan.weight,
    ready: instance.ready,
    underWay: () => underWay,
    invoke: async (request) => {
      checkBody(request.body, BODY_BYTES);
      if (underWay >= limits.requestsPerVariant) throw throttled();
      underWay += 1;
      try {
        return await measureInvocation(options, request, (timing) =>
          instance.invoke(request, timing),
        );
      } finally {
        underWay -= 1;
      }
    },
    metrics: () => instance.models(),
    gauge: async () => gauges.show(await instance.usage()),
    close: () => instance.close(),
  };
}

/** AWS's text for a body that is longer than the service model's shape. */
export function checkBody(body: Uint8Array, maxBytes: number): void {
  if (body.byteLength <= maxBytes) return;
  throw validationError(
    `1 validation error detected: Value at 'body' failed to satisfy constraint: ` +
      `Member must have length less than or equal to ${maxBytes}`,
  );
}
