/** Waits for a workflow that a worker carries out, and says so when none does. */
import { setTimeout as wait } from "node:timers/promises";
import type { Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import { isPolled } from "./watch-cycle.js";

/** A worker asks for work about once a minute; one that has just started has asked. */
const LOOK_MS = 2000;

/** Throws ClientError: what the workflow failed with, or that no worker is there to carry it out. */
export async function resultOf<Result>(
  connections: Connections,
  handle: { readonly result: () => Promise<Result> },
): Promise<Result> {
  const temporal = await connections.temporal();
  const isOver = new AbortController();
  const idle = async (): Promise<never> => {
    for (;;) {
      await wait(LOOK_MS, undefined, { signal: isOver.signal });
      if (await isPolled(temporal).catch(() => true)) continue;
      throw new ClientError(
        "no worker runs, so nothing happens: it begins as soon as one does",
        "modelfleet worker",
      );
    }
  };
  try {
    return await Promise.race([handle.result(), idle()]);
  } catch (error) {
    if (error instanceof ClientError) throw error;
    throw refusal(error);
  } finally {
    isOver.abort();
  }
}

/** Temporal wraps failures; the innermost says what happened, and what to do about it. */
function refusal(error: unknown): ClientError {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  const details: unknown =
    root instanceof Error && "details" in root && Array.isArray(root.details)
      ? root.details[0]
      : undefined;
  const hint =
    typeof details === "object" && details !== null && "hint" in details ? details.hint : undefined;
  return new ClientError(
    messageOf(root),
    typeof hint === "string" ? hint : "run the same command again: it goes on with what is left",
    { cause: error },
  );
}
