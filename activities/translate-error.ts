/** Translates what AWS, Postgres and the domain throw into failures with a stable type. */
import { ApplicationFailure, TemporalFailure } from "@temporalio/common";
import { FAILURES, type FailureType } from "../fleet/errors.js";
import {
  backPressure,
  codeOf,
  jittered,
  messageOf,
  permanent,
  retryable,
  sanitized,
} from "./application-failure.js";

/** What is not known stays retryable: Temporal shows it with its stack, and a person decides. */
export function translateError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof TemporalFailure || error.name === "AbortError") return error;
  if (error.name === "CancelledFailure" || error.name === "CompleteAsyncError") return error;
  return fromDomain(error) ?? fromAws(error) ?? fromNetwork(error) ?? unknown(error);
}

/** SpecError and MetricsError say themselves what they are. */
function fromDomain(error: Error): ApplicationFailure | undefined {
  if (!("type" in error && isFailureType(error.type))) return undefined;
  if (!("hint" in error && typeof error.hint === "string")) return undefined;
  return permanent(error.type, { message: error.message, hint: error.hint });
}

const THROTTLES = new Set([
  "ThrottlingException",
  "Throttling",
  "TooManyRequestsException",
  "RequestLimitExceeded",
  "SlowDown",
]);
const CREDENTIALS = new Set([
  "UnrecognizedClientException",
  "InvalidClientTokenId",
  "InvalidAccessKeyId",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "MissingAuthenticationTokenException",
  "CredentialsProviderError",
]);
/** Of STS and its users, of S3, and of a clock that goes wrong. */
const EXPIRED = new Set(["ExpiredTokenException", "ExpiredToken", "RequestExpired"]);
const DENIED = new Set(["AccessDeniedException", "AccessDenied", "Forbidden", "403"]);

function fromAws(error: Error): ApplicationFailure | undefined {
  const { name } = error;
  const message = `${awsOperation(error)}${messageOf(error)}`;
  if (isOutOfSpace(error))
    return retryable(FAILURES.storageFull, {
      message: `the object store has no space left: ${message}`,
      hint: "free space or add a volume; the activity goes on by itself",
      cause: error,
    });
  if (THROTTLES.has(name))
    return backPressure(FAILURES.throttled, {
      message: `AWS throttles: ${message}`,
      hint: "nothing to do: the rate adapts; if it lasts, ask AWS for a higher API quota",
      retryInSeconds: jittered(5),
    });
  if (name === "ResourceLimitExceeded")
    return backPressure(FAILURES.quotaFull, {
      message: `an account quota is used up: ${message}`,
      hint: "wait, lower MODELFLEET_MAX_TRAINING_JOBS, or ask AWS for a higher quota",
      retryInSeconds: jittered(30),
    });
  if (CREDENTIALS.has(name))
    return permanent(FAILURES.accessDenied, {
      message: `AWS does not accept the worker's credentials: ${message}`,
      hint: "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the worker, then restart it",
      cause: error,
    });
  // A role's credentials are renewed by the SDK, others by whoever restarts the worker: the work waits for them.
  if (EXPIRED.has(name))
    return retryable(FAILURES.accessDenied, {
      message: `the worker's AWS credentials have expired: ${message}`,
      hint: "give the worker new ones and restart it; the activity goes on by itself",
      cause: error,
    });
  if (DENIED.has(name))
    return permanent(FAILURES.accessDenied, {
      message: `the worker lacks a permission: ${message}`,
      hint:
        "allow the action that the message names, for the worker's role or the execution role; " +
        "what stages in other accounts lack, modelfleet accounts plan FLEET.ts tells",
      cause: error,
    });
  if (name === "ValidationException" || name === "ValidationError" || name === "NoSuchBucket")
    return permanent(FAILURES.specInvalid, {
      message: `AWS refuses the request: ${message}`,
      hint: "correct what the message names in the fleet file or in the worker's settings",
      cause: error,
    });
  return undefined;
}

/** Names the service where the SDK tells it, since "Rate exceeded" alone says little. */
function awsOperation(error: Error): string {
  return error.name === "" || error.message.startsWith(error.name) ? "" : `${error.name}: `;
}

/** AWS has no such error; object stores on a disk of one's own do, each in its own words. */
function isOutOfSpace(error: Error): boolean {
  return (
    statusOf(error) === 507 ||
    /no space left|no free volume|not enough space|insufficient storage|storage ?full|disk full/i.test(
      `${error.name} ${error.message}`,
    )
  );
}

function statusOf(error: Error): number | undefined {
  if (!("$metadata" in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== "object" || metadata === null || !("httpStatusCode" in metadata))
    return undefined;
  return typeof metadata.httpStatusCode === "number" ? metadata.httpStatusCode : undefined;
}

/** A service that does not answer; the message has its system code. */
function fromNetwork(error: Error): ApplicationFailure | undefined {
  const code = codeOf(error);
  if (code === undefined || !/^(E[A-Z_]+|57P0\d|08\d{3})$/.test(code)) return undefined;
  return ApplicationFailure.create({
    type: FAILURES.timedOut,
    message: `a service does not answer: ${messageOf(error)}`,
    details: [{ hint: "modelfleet doctor tells which part is down; the activity is retried" }],
    cause: sanitized(error),
  });
}

function unknown(error: Error): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURES.unexpected,
    message: `${error.name}: ${messageOf(error)}`,
    cause: sanitized(error),
  });
}

const TYPES: ReadonlySet<unknown> = new Set(Object.values(FAILURES));
const isFailureType = (type: unknown): type is FailureType => TYPES.has(type);
