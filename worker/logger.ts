/** Logs as JSON lines on stderr: an event's name, and its values as fields; without the credentials that URLs hold. */
import type { Logger } from "@temporalio/worker";
import pino from "pino";
import { withoutSecrets } from "../activities/application-failure.js";

/** `to` is stderr unless told. */
export function jsonLogger(
  level = "info",
  to: pino.DestinationStream = pino.destination(2),
): Logger {
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, to);
  const write =
    (to: "trace" | "debug" | "info" | "warn" | "error") =>
    (message: string, fields?: Record<string, unknown>) =>
      log[to](cleaned(fields ?? {}), withoutSecrets(message));
  return {
    log: (severity, message, fields) => {
      const to = severity.toLowerCase();
      if (to === "trace" || to === "debug" || to === "info" || to === "warn" || to === "error")
        write(to)(message, fields);
    },
    trace: write("trace"),
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
  };
}

/** Errors as their message and stack; of Temporal's own fields, numbers that JSON does not know as text. */
function cleaned(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, clean(value)]));
}

function clean(value: unknown): unknown {
  if (typeof value === "string") return withoutSecrets(value);
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error)
    return {
      name: value.name,
      message: withoutSecrets(value.message),
      ...(value.stack === undefined ? {} : { stack: withoutSecrets(value.stack) }),
      ...(value.cause instanceof Error ? { cause: clean(value.cause) } : {}),
    };
  if (Array.isArray(value)) return value.map(clean);
  if (
    typeof value === "object" &&
    value !== null &&
    Object.getPrototypeOf(value) === Object.prototype
  )
    return cleaned({ ...value });
  return value;
}
