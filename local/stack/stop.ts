/** Ends what a stack started: each process gracefully, then by force; nothing else on the machine. */
import { endProcess } from "./end-process.js";
import { withLock } from "./lock.js";
import { isPartName } from "./part.js";
import { stackFolder, type StackFolder, type StackPlace } from "./place.js";
import { listRecords, type ProcessRecord } from "./process-records.js";
import type { OnProgress } from "./progress.js";
import { requireStackFile } from "./stack-file.js";
import { stackLock } from "./stack-lock.js";
import type { StopResult } from "./stop-process.js";

export interface StopOptions extends StackPlace {
  readonly onProgress?: OnProgress;
}

export interface Stopped {
  readonly name: string;
  readonly pid: number;
  readonly result: StopResult;
}

export async function stopStack(options: StopOptions): Promise<readonly Stopped[]> {
  const folder = stackFolder(options);
  requireStackFile(folder);
  const onProgress = options.onProgress ?? (() => undefined);
  return withLock(stackLock(folder, onProgress), () => stopRecorded(folder, onProgress));
}

/** For who holds the stack's lock. */
export async function stopRecorded(
  folder: StackFolder,
  onProgress: OnProgress,
): Promise<readonly Stopped[]> {
  const records = listRecords(folder);
  const stopped: Stopped[] = [];
  // Workers before the SageMaker server, and that before the stores it writes to while it ends.
  for (const group of stopOrder(records)) {
    const results = await Promise.all(group.map((record) => stopOne(folder, record, onProgress)));
    stopped.push(...results);
  }
  return stopped;
}

const told = {
  ended: "ended",
  // Some do not end in time by themselves; what they had written stays.
  killed: "ended by force",
  "was not running": "had ended before",
} as const;

function stopOrder(records: readonly ProcessRecord[]): ProcessRecord[][] {
  return [
    records.filter((record) => !isPartName(record.name)),
    records.filter((record) => record.name === "sagemaker"),
    records.filter((record) => isPartName(record.name) && record.name !== "sagemaker"),
  ];
}

async function stopOne(
  folder: StackFolder,
  record: ProcessRecord,
  onProgress: OnProgress,
): Promise<Stopped> {
  const begun = Date.now();
  onProgress({ part: record.name, state: "working", message: "ending" });
  const result = await endProcess(folder, record);
  const seconds = (Date.now() - begun) / 1000;
  onProgress({ part: record.name, state: "ready", message: told[result], seconds });
  return { name: record.name, pid: record.pid, result };
}
