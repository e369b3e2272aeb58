/** Repeats a write until the database takes it: a job must not be lost to a restart of Postgres. */
import { setTimeout as pause } from "node:timers/promises";

const firstPauseMs = 100;
const longestPauseMs = 2_000;
const patienceMs = 5 * 60 * 1000;

export async function persistently<T>(write: () => Promise<T>): Promise<T> {
  const giveUpAt = Date.now() + patienceMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return await write();
    } catch (error) {
      if (!isTemporary(error) || Date.now() > giveUpAt) throw error;
      await pause(pauseMs);
    }
  }
}

/** Postgres is away, full, or on its way up or down; everything else is a mistake of ours. */
function isTemporary(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return (
    /^(08|53|57P)/.test(code) || // SQLSTATE: connection, insufficient resources, shutdown.
    ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT"].includes(code) ||
    error.message.startsWith("Connection terminated")
  );
}
