/** Builds the failures that activities end with: a stable type, a sentence, a hint, and no secrets. */
import { ApplicationFailure, ApplicationFailureCategory } from "@temporalio/common";
import type { FailureType } from "../fleet/errors.js";

export interface FailureOptions {
  /** One sentence with the actual values. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
  readonly cause?: unknown;
}

/** No retry can mend it. */
export const permanent = (type: FailureType, options: FailureOptions): ApplicationFailure =>
  ApplicationFailure.create({ ...common(type, options), nonRetryable: true });

/** A fault of the surroundings that may pass: retried with the activity's own backoff. */
export const retryable = (type: FailureType, options: FailureOptions): ApplicationFailure =>
  ApplicationFailure.create(common(type, options));

/** Nothing is wrong, there is just no room yet: retried after a while, and kept out of error counts. */
export const backPressure = (
  type: FailureType,
  options: FailureOptions & { readonly retryInSeconds: number },
): ApplicationFailure =>
  ApplicationFailure.create({
    ...common(type, options),
    category: ApplicationFailureCategory.BENIGN,
    nextRetryDelay: Math.round(options.retryInSeconds * 1000),
  });

/** Spreads retries over half to one and a half of the given time, so that they do not come back as one. */
export const jittered = (seconds: number): number => seconds * (0.5 + Math.random());

function common(type: FailureType, { message, hint, cause }: FailureOptions) {
  return {
    type,
    message: withoutSecrets(message),
    details: [{ hint: withoutSecrets(hint) }],
    ...(cause instanceof Error ? { cause: sanitized(cause) } : {}),
  };
}

/** A copy, since messages and stacks of database errors can hold the connection's URL. */
export function sanitized(error: Error): Error {
  const copy = new Error(withoutSecrets(error.message));
  copy.name = error.name;
  if (error.stack !== undefined) copy.stack = withoutSecrets(error.stack);
  return copy;
}

/** Cuts the credentials out of URLs: `postgres://reader:…@host/db`. */
export const withoutSecrets = (text: string): string =>
  text.replace(/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@]*@/gi, "$1:…@");

export const messageOf = (error: unknown): string =>
  withoutSecrets(error instanceof Error ? firstMessage(error) : String(error));

/** Node reports a refused connection to a name with several addresses as an AggregateError without a message. */
function firstMessage(error: Error): string {
  if (error.message !== "") return error.message;
  const first = firstOf(error);
  return first instanceof Error ? first.message : error.name;
}

function firstOf(error: Error): unknown {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  return errors[0];
}

/** SQLSTATE of a Postgres error, or a system error's code, such as ECONNREFUSED. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  return codeOf(firstOf(error));
}
