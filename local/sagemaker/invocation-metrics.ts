/** What CloudWatch is told of each invocation: that there was one, how it ended, and how long it took. */
import type { Timing } from "./hosted-container.js";
import { RuntimeError } from "./runtime-error.js";
import type { InvokeRequest, InvokeResponse, VariantPlan } from "./serving-plan.js";
import { microsecondsSince } from "./variant-metrics.js";
import type { VariantMeter } from "./variant-metrics.js";

interface Measured {
  readonly plan: VariantPlan;
  readonly meter: VariantMeter;
}

/** Runs the step; what is refused before a model is asked (ValidationError, throttling) is no invocation. */
export async function measureInvocation(
  { plan, meter }: Measured,
  request: InvokeRequest,
  step: (timing: Timing) => Promise<InvokeResponse>,
): Promise<InvokeResponse> {
  const since = request.receivedAtMs ?? performance.now();
  const timing: Timing = { modelMicroseconds: 0 };
  const tell = (status: number): void => {
    meter.sample("Invocations", 1);
    meter.sample("InvocationsPerInstance", 1 / Math.max(1, plan.instances ?? 1));
    meter.sample("Invocation4XXErrors", status >= 400 && status < 500 ? 1 : 0);
    meter.sample("Invocation5XXErrors", status >= 500 ? 1 : 0);
    meter.sample("InvocationModelErrors", status === 200 ? 0 : 1);
    meter.sample("ModelLatency", timing.modelMicroseconds);
    const overhead = microsecondsSince(since) - timing.modelMicroseconds;
    meter.sample("OverheadLatency", Math.max(0, overhead));
  };
  try {
    const response = await step(timing);
    tell(200);
    return response;
  } catch (error) {
    const status = modelStatus(error);
    if (status !== undefined) tell(status);
    throw error;
  }
}

/** What the model answered; 0 when it did not answer, undefined when it was not asked. */
function modelStatus(error: unknown): number | undefined {
  if (!(error instanceof RuntimeError) || error.code !== "ModelError") return undefined;
  return Number(error.extra["OriginalStatusCode"] ?? 0);
}
