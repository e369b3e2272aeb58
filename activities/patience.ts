/** Waits inside an activity, and repeats calls that were throttled, without ending the attempt. */
import { setTimeout as delay } from "node:timers/promises";
import { cancellationSignal, heartbeat } from "@temporalio/activity";
import { FAILURES } from "../fleet/errors.js";
import { jittered } from "./application-failure.js";
import { translateError } from "./translate-error.js";

/** Well within the heartbeat timeouts of workflows/activities.ts. */
const HEARTBEAT_MILLISECONDS = 5000;

/** Heartbeats for as long as the work takes, with its progress if it tells any. */
export async function withHeartbeat<T>(
  work: () => Promise<T>,
  progress: () => unknown = () => undefined,
): Promise<T> {
  heartbeat(progress());
  const pulse = setInterval(() => heartbeat(progress()), HEARTBEAT_MILLISECONDS);
  try {
    return await work();
  } finally {
    clearInterval(pulse);
  }
}

/** Throws an AbortError when the activity is cancelled or its worker shuts down. */
export const pause = (seconds: number): Promise<void> =>
  delay(seconds * 1000, undefined, { signal: cancellationSignal() });

const THROTTLED_PAUSES = [1, 2, 4, 8, 15] as const;

/** An attempt that waits for an endpoint is too dear to lose it to a throttled call. */
export async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (const seconds of THROTTLED_PAUSES) {
    try {
      return await call();
    } catch (error) {
      if (!isThrottled(error)) throw error;
      await pause(jittered(seconds));
    }
  }
  return call();
}

function isThrottled(error: unknown): boolean {
  const failure = translateError(error);
  return failure instanceof Error && "type" in failure && failure.type === FAILURES.throttled;
}
