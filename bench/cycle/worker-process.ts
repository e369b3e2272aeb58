/** modelfleet's worker as it is shipped, in a process of its own, with its memory sampled and its AWS calls counted. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { startBackground } from "../background-process.js";
import { sampleMemory, type MemorySamples } from "../memory-samples.js";
import type { BenchStack } from "../stack.js";

/** As in count-calls.mjs. */
const WRITE_MS = 250;
const root = join(import.meta.dirname, "..", "..");

export type AwsCalls = Readonly<Record<string, number>>;

export interface BenchWorker {
  readonly pid: number;
  /** Requests to AWS since the worker's start, by service and operation. */
  calls(): Promise<AwsCalls>;
  memory(): Promise<readonly number[]>;
  stop(): Promise<void>;
}

/** With a `profileFolder`, Node writes CPU profiles of the worker's threads there when it ends. */
export async function startWorker(
  stack: BenchStack,
  name: string,
  profileFolder?: string,
): Promise<BenchWorker> {
  const profiling =
    profileFolder === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", resolve(profileFolder)];
  const callsFile = join(stack.workFolder, `calls-${name}.json`);
  const logFile = join(stack.workFolder, `worker-${name}.log`);
  const worker = await startBackground({
    command: process.execPath,
    args: [
      ...profiling,
      ...["--import", join(import.meta.dirname, "count-calls.mjs")],
      ...[join(root, "bin", "modelfleet.js"), "worker"],
    ],
    // The settings are those of the stack here, and of no file that lies above.
    env: { ...stack.environment, MODELFLEET_ENV_FILE: "", BENCH_CALLS_FILE: callsFile },
    logFile,
    isReady: async () => readFileSync(logFile, "utf8").includes("worker ready"),
  });
  const samples: MemorySamples = sampleMemory(worker.pid);
  return {
    pid: worker.pid,
    calls: () => readCalls(callsFile),
    memory: () => samples.stop(),
    stop: async () => {
      await samples.stop();
      await worker.stop();
    },
  };
}

/** Of a moment when the counts in the file are newer than the question. */
async function readCalls(file: string): Promise<AwsCalls> {
  await delay(4 * WRITE_MS);
  return z.record(z.string(), z.number()).parse(JSON.parse(await readFile(file, "utf8")));
}

export function callsBetween(before: AwsCalls, after: AwsCalls): AwsCalls {
  return Object.fromEntries(
    Object.entries(after)
      .map(([operation, count]): [string, number] => [operation, count - (before[operation] ?? 0)])
      .filter(([, count]) => count > 0),
  );
}
