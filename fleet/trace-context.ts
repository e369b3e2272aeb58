/** Which trace a step belongs to, as it travels in headers: W3C's traceparent, the way Temporal's SDKs carry it. */

/** Header under which Temporal's own OpenTelemetry interceptors keep it, in every language. */
export const TRACE_HEADER = "_tracer-data";

export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Of the span that caused the step: 16 hex digits. */
  readonly spanId: string;
  readonly sampled: boolean;
}

/** What stands in the header, as JSON. Source: https://www.w3.org/TR/trace-context/#traceparent-header */
export const carrierOf = ({ traceId, spanId, sampled }: TraceContext): { traceparent: string } => ({
  traceparent: `00-${traceId}-${spanId}-0${sampled ? 1 : 0}`,
});

/** Null for what is no carrier, or names no trace: somebody else's header is not our failure. */
export function readCarrier(carrier: unknown): TraceContext | null {
  if (typeof carrier !== "object" || carrier === null || !("traceparent" in carrier)) return null;
  const { traceparent } = carrier;
  if (typeof traceparent !== "string") return null;
  const [, traceId = "", spanId = "", flags = ""] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(traceparent) ?? [];
  if (!/[1-9a-f]/.test(traceId) || !/[1-9a-f]/.test(spanId)) return null;
  return { traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 };
}
