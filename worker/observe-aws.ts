/**
 * Counts, times and traces every call of AWS by service and operation. Of how it ended the error's name is told, never its
 * text, and nothing of what was sent. OpenTelemetry's own instrumentation hooks into how modules are loaded, which in ESM
 * needs a loader before the program; a middleware of the clients sees the same.
 */
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { MetricMeter } from "@temporalio/common";

/** What of an SDK client this needs: clients of all services have it. */
export interface ObservedClient {
  readonly config: { readonly serviceId: string };
  readonly middlewareStack: {
    add(
      middleware: (
        next: (input: never) => Promise<unknown>,
        context: { readonly commandName?: string },
      ) => (input: never) => Promise<unknown>,
      options: { readonly name: string; readonly step: "initialize" },
    ): void;
  };
}

export type Observe = (client: ObservedClient) => void;

/** Around the SDK's own retries and the budget's wait: what a caller waited for. */
export function observeAws(meter: MetricMeter): Observe {
  const calls = meter.createCounter(
    "modelfleet_aws_calls",
    undefined,
    "Calls of AWS by service, operation and outcome: ok, throttled, denied or failed",
  );
  const seconds = meter.createHistogram(
    "modelfleet_aws_call",
    "float",
    "seconds",
    "How long calls of AWS took, retries and the budget's wait included",
  );
  return (client) => {
    const service = client.config.serviceId;
    client.middlewareStack.add(
      (next, context) => (input) => {
        const operation = (context.commandName ?? "unknown").replace(/Command$/, "");
        const begun = performance.now();
        const count = (outcome: Outcome): void => {
          calls.add(1, { service, operation, outcome });
          seconds.record((performance.now() - begun) / 1000, { service, operation });
        };
        return traced({ service, operation }, async () => {
          try {
            const output = await next(input);
            count("ok");
            return output;
          } catch (error) {
            count(outcomeOf(error));
            throw error;
          }
        });
      },
      { name: "modelfleetObserve", step: "initialize" },
    );
  };
}

/** Names as OpenTelemetry's conventions for AWS have them. Without a provider of traces this costs next to nothing. */
function traced<T>(
  { service, operation }: { readonly service: string; readonly operation: string },
  call: () => Promise<T>,
): Promise<T> {
  const attributes = { "rpc.system": "aws-api", "rpc.service": service, "rpc.method": operation };
  const options = { kind: SpanKind.CLIENT, attributes };
  const tracer = trace.getTracer("modelfleet");
  return tracer.startActiveSpan(`${service}.${operation}`, options, async (span) => {
    try {
      return await call();
    } catch (error) {
      span.setAttribute("error.type", error instanceof Error ? error.name : "unknown");
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

type Outcome = "ok" | "throttled" | "denied" | "failed";

/** AWS has many names for two things. */
export function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof Error)) return "failed";
  const type = "type" in error && typeof error.type === "string" ? error.type : "";
  const named = `${error.name} ${type}`;
  if (/throttl|TooManyRequests|RequestLimitExceeded|SlowDown/i.test(named)) return "throttled";
  if (
    /AccessDenied|Forbidden|UnrecognizedClient|InvalidClientToken|InvalidAccessKey|ExpiredToken|Signature/i.test(
      named,
    )
  )
    return "denied";
  return "failed";
}
