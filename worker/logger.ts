/** Logs as JSON lines on stderr: an event's name, and its values as fields. */
import type { Logger } from "@temporalio/worker";
import pino from "pino";

export function jsonLogger(level = "info"): Logger {
  const log = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination(2),
  );
  const write =
    (to: "trace" | "debug" | "info" | "warn" | "error") =>
    (message: string, fields?: Record<string, unknown>) =>
      log[to](fields ?? {}, message);
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
