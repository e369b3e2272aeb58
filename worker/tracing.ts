/** Exports traces to an OpenTelemetry collector when the standard OTEL_* variables name one; else nothing is traced. */
import { context, trace, type TracerProvider } from "@opentelemetry/api";

/** Where spans go; what is imported for it is imported only then. */
export interface Tracing {
  /** Sends what is not sent yet. */
  readonly close: () => Promise<void>;
}

/** As OpenTelemetry's specification has it: https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
export function isTracingWanted(environment: NodeJS.ProcessEnv): boolean {
  const { OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER } = environment;
  if (OTEL_SDK_DISABLED?.toLowerCase() === "true" || OTEL_TRACES_EXPORTER === "none") return false;
  return [
    environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    environment.OTEL_EXPORTER_OTLP_ENDPOINT,
  ].some((url) => url !== undefined && url !== "");
}

/** Before anything is traced: whoever asked for a tracer earlier gets this one all the same. */
export async function startTracing(environment: NodeJS.ProcessEnv): Promise<Tracing> {
  if (!isTracingWanted(environment)) return { close: async () => {} };
  const { BatchSpanProcessor, TracerProvider } = await import("@opentelemetry/sdk-trace");
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } =
    await import("@opentelemetry/resources");
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ "service.name": "modelfleet-worker" }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  await traceWith(provider);
  return { close: () => provider.shutdown().catch(() => undefined) };
}

/** Every tracer of the process leads to this provider from now on, and a span's callees know it as their parent. */
export async function traceWith(provider: TracerProvider): Promise<void> {
  const { AsyncLocalStorageContextManager } = await import("@opentelemetry/context-async-hooks");
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
}
