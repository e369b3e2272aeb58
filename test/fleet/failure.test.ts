/** What a FailureReason means, and the line of it that a person gets to read. */
import { describe, expect, test } from "vitest";
import { classifyFailure, failureSentence } from "../../fleet/failure.js";

describe("whose fault it is", () => {
  test.each([
    ["AlgorithmError: ExecuteUserScriptError:\nExitCode 1", "algorithm"],
    ["AlgorithmError: , exit code: 1", "algorithm"],
    ["ClientError: No S3 objects found", "client"],
    ["InternalServerError: We encountered an internal error. Please try again.", "internal"],
    ["CapacityError: Unable to provision requested ML compute capacity.", "capacity"],
    ["", "internal"],
    [undefined, "internal"],
    ["Something new", "algorithm"], // Not repeated: three jobs for every customer cost too much.
  ])("%j: %s", (reason, kind) => {
    expect(classifyFailure(reason)).toBe(kind);
  });
});

describe("the line to show", () => {
  const traceback = (end: string): string =>
    'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback (most recent call last):\n' +
    `  File "/opt/ml/code/train.py", line 7, in main\n    fit(rows)\nValueError: no rows left${end}`;

  test.each([
    ["the whole message", traceback('\n"\nCommand "/usr/bin/python3 train.py --x 1"')],
    ["the message on one line", traceback('" Command "python train.py"')],
    ["a message cut at 1024 characters", traceback("")],
    [
      "only the last line",
      'AlgorithmError: ExecuteUserScriptError:\nErrorMessage "ValueError: no rows left\n "',
    ],
  ])("is the traceback's last: %s", (_what, reason) => {
    expect(failureSentence(reason)).toBe("ValueError: no rows left");
  });

  test("keeps quotes within the message", () => {
    const reason =
      'AlgorithmError: ExecuteUserScriptError:\nErrorMessage "KeyError: "arr_delay""\nCommand "x"';
    expect(failureSentence(reason)).toBe('KeyError: "arr_delay"');
  });

  test.each([
    ["AlgorithmError: , exit code: 1", "AlgorithmError: , exit code: 1"],
    ["ClientError: first\nsecond", "ClientError: first"],
    ["", "SageMaker gave no reason"],
    [undefined, "SageMaker gave no reason"],
  ])("of %j is %j", (reason, sentence) => {
    expect(failureSentence(reason)).toBe(sentence);
  });
});
