import { ApplicationFailure, CancelledFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import { withoutSecrets } from "../../activities/application-failure.js";
import { translateError } from "../../activities/translate-error.js";
import { MetricsError, SpecError } from "../../fleet/errors.js";

const awsError = (name: string, message: string, httpStatusCode = 400) =>
  Object.assign(new Error(message), { name, $metadata: { httpStatusCode } });
const systemError = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

describe("an error of an activity becomes a failure", () => {
  test.each([
    [awsError("ThrottlingException", "Rate exceeded"), "Throttled", false, "BENIGN"],
    [awsError("SlowDown", "Please reduce your request rate"), "Throttled", false, "BENIGN"],
    [awsError("ResourceLimitExceeded", "The account-level …"), "QuotaFull", false, "BENIGN"],
    [
      awsError("AccessDeniedException", "not authorized to perform"),
      "AccessDenied",
      true,
      undefined,
    ],
    [awsError("SignatureDoesNotMatch", "calculated …", 403), "AccessDenied", true, undefined],
    [awsError("ExpiredTokenException", "expired", 403), "AccessDenied", false, undefined],
    [awsError("ExpiredToken", "The provided token …", 400), "AccessDenied", false, undefined],
    [awsError("ValidationException", "1 validation error"), "SpecInvalid", true, undefined],
    [awsError("NoSuchBucket", "The bucket does not exist", 404), "SpecInvalid", true, undefined],
    [awsError("InsufficientStorage", "", 507), "StorageFull", false, undefined],
    [awsError("InternalError", "no free volumes left", 500), "StorageFull", false, undefined],
    [systemError("ECONNREFUSED"), "TimedOut", false, undefined],
    [new SpecError("wrong", "mend it"), "SpecInvalid", true, undefined],
    [new MetricsError("missing", "print it"), "TrainingAlgorithmError", true, undefined],
    [new TypeError("x is undefined"), "Unexpected", false, undefined],
  ])("%s", (error, type, nonRetryable, category) => {
    const failure = translateError(error);
    if (!(failure instanceof ApplicationFailure)) return expect.unreachable();
    expect(failure.type).toBe(type);
    expect(failure.nonRetryable ?? false).toBe(nonRetryable);
    expect(failure.category ?? undefined).toBe(category);
  });

  test("with a hint of what to do", () => {
    const failure = translateError(new SpecError("wrong", "mend it"));
    expect(failure).toMatchObject({ message: "wrong", details: [{ hint: "mend it" }] });
  });

  test("unless it is one already, or a cancellation", () => {
    const failure = ApplicationFailure.nonRetryable("said", "Said");
    const cancelled = new CancelledFailure("CANCELLED");
    expect(translateError(failure)).toBe(failure);
    expect(translateError(cancelled)).toBe(cancelled);
  });

  test("without the password of a connection, wherever it stands", () => {
    const error = new Error("cannot connect to postgres://reader:sesame@host:5432/db");
    const failure = translateError(error);
    if (!(failure instanceof ApplicationFailure)) return expect.unreachable();
    const told = [failure.message, failure.stack, failure.cause?.message, failure.cause?.stack];
    expect(told.join()).not.toContain("sesame");
  });
});

test.each([
  ["postgres://u:p@h/db", "postgres://u:…@h/db"],
  ["see https://x:y:z@host and s3://bucket/key:1", "see https://x:…@host and s3://bucket/key:1"],
  ["no url: a@b", "no url: a@b"],
])("secrets are cut out of %s", (text, expected) => {
  expect(withoutSecrets(text)).toBe(expected);
});
