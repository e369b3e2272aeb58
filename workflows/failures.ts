/** Finds, in what a failed step throws, the failure that a person must know. */
import { ApplicationFailure, TimeoutFailure } from "@temporalio/workflow";
import { FAILURES } from "../fleet/errors.js";

export interface Failure {
  /** Stable, see FAILURES. */
  readonly type: string;
  /** One sentence. */
  readonly message: string;
  /** From the activity that failed: `[{ hint }]`, what to do about it. */
  readonly details?: unknown[];
}

/** Temporal wraps: a child's failure holds an activity's failure, which holds what the activity threw. */
export function failureOf(error: unknown): Failure {
  let timedOut = false;
  let deepest = "";
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ApplicationFailure)
      return {
        type: cause.type ?? FAILURES.unexpected,
        message: cause.message,
        ...(cause.details?.length ? { details: cause.details } : {}),
      };
    timedOut ||= cause instanceof TimeoutFailure;
    deepest = cause.message;
  }
  const type = timedOut ? FAILURES.timedOut : FAILURES.unexpected;
  return { type, message: deepest === "" ? String(error) : deepest };
}

/** Ends a workflow with a failure: a plain Error would only repeat its task for ever. */
export const workflowFailure = (failure: Failure, cause?: unknown): ApplicationFailure =>
  ApplicationFailure.create({
    ...failure,
    nonRetryable: true,
    ...(cause instanceof Error ? { cause } : {}),
  });
