/** Has the AWS calls of a program that a test starts written down, for test/aws-calls.ts to look at in the end. */
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** Of this test file: each has a process of its own. */
export const recordedCalls = join(tmpdir(), `modelfleet-aws-calls-${process.pid}.jsonl`);

/** The environment with which a command or a worker is watched; an example hands it on to the worker that it starts. */
export function watchedProcess(): Readonly<Record<string, string>> {
  const recorder = pathToFileURL(resolve("test/record-aws-calls.mjs"));
  recorder.searchParams.set("to", recordedCalls);
  return { NODE_OPTIONS: `--import=${recorder.href}` };
}
