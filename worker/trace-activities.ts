/** Makes a span of every activity, in the trace that its workflow was started in. Inputs and results stay out of it. */
import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
} from "@opentelemetry/api";
import type { Context as ActivityContext } from "@temporalio/activity";
import {
  ApplicationFailure,
  ApplicationFailureCategory,
  defaultPayloadConverter,
} from "@temporalio/common";
import type { ActivityInterceptorsFactory } from "@temporalio/worker";
import { readCarrier, TRACE_HEADER } from "../fleet/trace-context.js";
import { subjectOf } from "./log-subject.js";

/** Outside of the one that translates errors: a span tells the stable type of a failure. */
export const traceActivities: ActivityInterceptorsFactory = (activity) => ({
  inbound: {
    execute: (input, next) => {
      const { info } = activity;
      const tracer = trace.getTracer("modelfleet");
      const attributes = { ...temporalAttributes(info), ...subjectAttributes(input.args) };
      const parent = parentOf(input.headers[TRACE_HEADER], info);
      const options = { kind: SpanKind.INTERNAL, attributes };
      return tracer.startActiveSpan(
        `RunActivity:${info.activityType}`,
        options,
        parent,
        async (span) => {
          try {
            return await next(input);
          } catch (error) {
            span.setAttribute("error.type", typeOf(error));
            // Waiting for room is no error.
            if (!isBenign(error)) span.setStatus({ code: SpanStatusCode.ERROR });
            throw error;
          } finally {
            span.end();
          }
        },
      );
    },
  },
});

type ActivityInfo = ActivityContext["info"];

/**
 * Of a workflow that nobody traced, such as a schedule's, all activities share a trace of their own: its id is that of
 * the run, which has the same 128 bits.
 */
function parentOf(
  header: Parameters<typeof defaultPayloadConverter.fromPayload>[0] | undefined,
  info: ActivityInfo,
): Context {
  const carried = header === undefined ? null : readCarrier(decoded(header));
  const traceId = (info.workflowExecution?.runId ?? "").replaceAll("-", "");
  const found =
    carried ??
    (/^[0-9a-f]{32}$/.test(traceId) ? { traceId, spanId: traceId.slice(16), sampled: true } : null);
  if (found === null) return context.active();
  const { spanId, sampled } = found;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: found.traceId,
    spanId,
    traceFlags: sampled ? 1 : 0,
    isRemote: true,
  });
}

function decoded(payload: Parameters<typeof defaultPayloadConverter.fromPayload>[0]): unknown {
  try {
    return defaultPayloadConverter.fromPayload(payload);
  } catch {
    return null;
  }
}

const temporalAttributes = (info: ActivityInfo) => ({
  "temporal.workflow.type": info.workflowType ?? "",
  "temporal.workflow.id": info.workflowExecution?.workflowId ?? "",
  "temporal.run.id": info.workflowExecution?.runId ?? "",
  "temporal.activity.type": info.activityType,
  "temporal.activity.attempt": info.attempt,
});

const subjectAttributes = (args: readonly unknown[]) =>
  Object.fromEntries(
    Object.entries(subjectOf(args)).map(([name, value]) => [`modelfleet.${name}`, String(value)]),
  );

const typeOf = (error: unknown): string => {
  if (error instanceof ApplicationFailure) return error.type ?? "ApplicationFailure";
  return error instanceof Error ? error.name : "unknown";
};

const isBenign = (error: unknown): boolean =>
  error instanceof ApplicationFailure && error.category === ApplicationFailureCategory.BENIGN;
