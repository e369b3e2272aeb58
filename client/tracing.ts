/** Begins a trace where a person begins something: the start of a workflow, whose steps the workers add to it. */
import type { WorkflowClientInterceptor } from "@temporalio/client";
import { defaultPayloadConverter } from "@temporalio/common";
import { carrierOf, TRACE_HEADER } from "../fleet/trace-context.js";
import type { Environment } from "./settings.js";

export interface ClientTracing {
  readonly interceptors: readonly WorkflowClientInterceptor[];
  /** Sends what is not sent yet. */
  readonly close: () => Promise<void>;
}

/** Off unless the standard OTEL_* variables name a collector, as for workers. */
export async function startClientTracing(environment: Environment): Promise<ClientTracing> {
  const { OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER } = environment;
  const off = OTEL_SDK_DISABLED?.toLowerCase() === "true" || OTEL_TRACES_EXPORTER === "none";
  const url =
    environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || environment.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (off || !url) return { interceptors: [], close: async () => {} };
  const { SpanKind, SpanStatusCode } = await import("@opentelemetry/api");
  const { SimpleSpanProcessor, TracerProvider } = await import("@opentelemetry/sdk-trace");
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } =
    await import("@opentelemetry/resources");
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ "service.name": "modelfleet" }))
      .merge(detectResources({ detectors: [envDetector] })),
    // A command starts one workflow and ends: there is nothing to batch.
    spanProcessors: [new SimpleSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  const tracer = provider.getTracer("modelfleet");
  const interceptor: WorkflowClientInterceptor = {
    async start(input, next) {
      const attributes = {
        "temporal.workflow.type": input.workflowType,
        "temporal.workflow.id": input.options.workflowId,
      };
      const span = tracer.startSpan(`StartWorkflow:${input.workflowType}`, {
        kind: SpanKind.PRODUCER,
        attributes,
      });
      const { traceId, spanId, traceFlags } = span.spanContext();
      const carrier = carrierOf({ traceId, spanId, sampled: (traceFlags & 1) === 1 });
      const header = { [TRACE_HEADER]: defaultPayloadConverter.toPayload(carrier) };
      try {
        return await next({ ...input, headers: { ...input.headers, ...header } });
      } catch (error) {
        span.setAttribute("error.type", error instanceof Error ? error.name : "unknown");
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    },
  };
  return { interceptors: [interceptor], close: () => provider.shutdown().catch(() => undefined) };
}
