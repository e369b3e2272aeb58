/** Processes of a stack beside its parts, such as a worker; and the killing of any of them, for fault tests. */
import { setTimeout as sleep } from "node:timers/promises";
import { awaitReady } from "./await-ready.js";
import { endProcess } from "./end-process.js";
import { launch } from "./launch.js";
import { lastLines } from "./log-tail.js";
import { withLock } from "./lock.js";
import { isPartName } from "./part.js";
import { stackFolder, type StackFolder, type StackPlace } from "./place.js";
import { readRecord, writeRecord, type ProcessRecord } from "./process-records.js";
import { isAlive } from "./process-table.js";
import { StackError } from "./stack-error.js";
import { requireStackFile } from "./stack-file.js";
import { stackLock } from "./stack-lock.js";
import { signalProcess } from "./stop-process.js";

export interface StartProcessOptions {
  /** Its name in `status`, `logs` and `down`, for example `worker`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** All it sees; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** Default: where the caller is. */
  readonly cwd?: string;
  /** It counts as started once a line of its log matches; without this, as soon as it exists. */
  readonly readyWhen?: RegExp;
}

const processNamePattern = /^[a-z][a-z0-9-]{0,30}$/;
const readyTimeoutSeconds = 60;

/** Starts a detached process that `status` shows and `down` ends; one that runs already is left as it is. */
export async function startProcess(
  place: StackPlace,
  options: StartProcessOptions,
): Promise<{ pid: number }> {
  const folder = stackFolder(place);
  requireStackFile(folder);
  refuseName(options.name);
  return withLock(
    stackLock(folder, () => undefined),
    async () => {
      const known = readRecord(folder, options.name);
      if (known?.state === "running" && isAlive(known)) return { pid: known.pid };
      if (known !== undefined) await endProcess(folder, known);
      return startNew(folder, options);
    },
  );
}

/** Ends one process of the stack, a part or another, gracefully. */
export async function stopPart(place: StackPlace, name: string): Promise<void> {
  const folder = stackFolder(place);
  await withLock(
    stackLock(folder, () => undefined),
    async () => void (await endProcess(folder, requireRecord(folder, name))),
  );
}

/** Kills one process of the stack the hard way and waits until it is gone. `startStack` brings a part back. */
export async function killPart(
  place: StackPlace,
  name: string,
  signal: NodeJS.Signals = "SIGKILL",
): Promise<{ pid: number }> {
  const record = requireRecord(stackFolder(place), name);
  signalProcess(record, signal);
  while (isAlive(record)) await sleep(10);
  return { pid: record.pid };
}

async function startNew(
  folder: StackFolder,
  options: StartProcessOptions,
): Promise<{ pid: number }> {
  const { name, command, args, env, readyWhen, cwd = process.cwd() } = options;
  const launched = await launch(folder, { name, command, args, env, cwd });
  const { record, logOffset } = launched;
  const probe = async () =>
    readyWhen === undefined ||
    lastLines(record.log, 1000, logOffset).some((line) => readyWhen.test(line));
  try {
    await awaitReady({
      title: `The process "${name}"`,
      launched,
      timeoutSeconds: readyTimeoutSeconds,
      probe,
    });
  } catch (error) {
    await endProcess(folder, record);
    throw error;
  }
  writeRecord(folder, { ...record, state: "running" });
  return { pid: record.pid };
}

function requireRecord(folder: StackFolder, name: string): ProcessRecord {
  const record = readRecord(folder, name);
  if (record !== undefined) return record;
  throw new StackError(
    "PartUnknown",
    `the stack "${folder.name}" has not started anything named "${name}"`,
    `modelfleet local status${folder.flags}`,
  );
}

function refuseName(name: string): void {
  if (processNamePattern.test(name) && !isPartName(name)) return;
  throw new StackError(
    "StackSettingInvalid",
    `"${name}" cannot name a process of a stack: lower-case letters, digits and hyphens, and not a part's name`,
    "choose a name such as worker",
  );
}
