/** The metrics of an endpoint's variants, named, measured in and told under the namespaces that AWS uses. */

interface Definition {
  readonly namespace: "AWS/SageMaker" | "/aws/sagemaker/Endpoints";
  readonly unit: "None" | "Microseconds" | "Percent";
}

const invocation = { namespace: "AWS/SageMaker", unit: "None" } as const;
const duration = { namespace: "AWS/SageMaker", unit: "Microseconds" } as const;
const utilization = { namespace: "/aws/sagemaker/Endpoints", unit: "Percent" } as const;

/** AWS, Developer Guide, monitoring-cloudwatch: namespaces and units. */
export const variantMetrics = {
  Invocations: invocation,
  InvocationsPerInstance: invocation,
  Invocation4XXErrors: invocation,
  Invocation5XXErrors: invocation,
  InvocationModelErrors: invocation,
  ModelLatency: duration,
  OverheadLatency: duration,
  ModelSetupTime: duration,
  ModelLoadingWaitTime: duration,
  ModelUnloadingTime: duration,
  ModelDownloadingTime: duration,
  ModelLoadingTime: duration,
  ModelCacheHit: invocation,
  LoadedModelCount: { namespace: "/aws/sagemaker/Endpoints", unit: "None" },
  CPUUtilization: utilization,
  MemoryUtilization: utilization,
  DiskUtilization: utilization,
} as const satisfies Readonly<Record<string, Definition>>;

export type VariantMetric = keyof typeof variantMetrics;

/** Where a variant's parts tell what they measure. */
export interface VariantMeter {
  /** One more sample of the minute. */
  sample(metric: VariantMetric, value: number): void;
  /** What a gauge shows: the last value of a minute is that minute's only sample. */
  gauge(metric: VariantMetric, value: number): void;
}

/** For fleets that nobody watches. */
export const noMeter: VariantMeter = { sample: () => undefined, gauge: () => undefined };

/** Runs the step and tells in microseconds how long it took, also when it fails. */
export async function timed<T>(
  meter: VariantMeter,
  metric: VariantMetric,
  step: () => Promise<T>,
): Promise<T> {
  const since = performance.now();
  try {
    return await step();
  } finally {
    meter.sample(metric, microsecondsSince(since));
  }
}

/** `since` is a reading of performance.now(). */
export const microsecondsSince = (since: number): number =>
  Math.max(0, Math.round((performance.now() - since) * 1000));
