/** What a training job's FailureReason means for the customer: whose fault it is, and the line to show. */
import { FAILURES, type FailureType } from "./errors.js";

/**
 * - `algorithm`: the container's code failed; the same image and data will fail again.
 * - `client`: the request or the data is wrong: a missing object, no permission, an image that cannot be pulled.
 * - `internal`, `capacity`: SageMaker's own; a new job may well succeed.
 */
export type FailureClass = "algorithm" | "client" | "internal" | "capacity";

/** By the prefix that SageMaker puts before every reason. What it does not explain counts as its own fault. */
export function classifyFailure(failureReason: string | undefined): FailureClass {
  const reason = failureReason?.trim() ?? "";
  if (/^AlgorithmError\b/i.test(reason)) return "algorithm";
  if (/^ClientError\b/i.test(reason)) return "client";
  if (/^CapacityError\b/i.test(reason)) return "capacity";
  if (/^InternalServerError\b/i.test(reason) || reason === "") return "internal";
  // An unknown prefix is not retried: a fault that repeats would cost three jobs for every customer.
  return "algorithm";
}

export const failureTypes: Readonly<Record<FailureClass, FailureType>> = {
  algorithm: FAILURES.trainingAlgorithmError,
  client: FAILURES.trainingClientError,
  internal: FAILURES.trainingInternalError,
  capacity: FAILURES.trainingCapacityError,
};

/**
 * The one line a person wants: the last line of the Python traceback, when the reason holds one, else the
 * reason's first line. The training toolkit writes `ErrorMessage "…"`, cut at 1024 characters with the rest.
 */
export function failureSentence(failureReason: string | undefined): string {
  const reason = failureReason?.trim() ?? "";
  if (reason === "") return "SageMaker gave no reason";
  const traceback = /ErrorMessage\s+"([\s\S]*?)("\s*(\n|$|Command\s)|$)/.exec(reason)?.[1];
  const lines = (traceback ?? "").split("\n").map((line) => line.trim());
  return lines.findLast((line) => line !== "") ?? (reason.split("\n")[0] ?? reason).trim();
}
