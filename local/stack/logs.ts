/** Reads and follows the logs of a stack's parts and processes. */
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";
import { lastLines } from "./log-tail.js";
import { stackFolder, type StackFolder, type StackPlace } from "./place.js";
import { StackError } from "./stack-error.js";
import { requireStackFile } from "./stack-file.js";

export interface LogsOptions extends StackPlace {
  /** Default: all. */
  readonly process?: string | undefined;
  readonly lines: number;
  /** Goes on with what is written from now on, until aborted. */
  readonly follow?: AbortSignal | undefined;
  readonly onLine: (process: string, line: string) => void;
}

const pollMilliseconds = 200;

export async function readLogs(options: LogsOptions): Promise<void> {
  const folder = stackFolder(options);
  requireStackFile(folder);
  const logs = selectLogs(folder, options.process);
  const followers = logs.map(({ process, file }) => {
    // The size comes first: what is written while we read is told twice rather than never.
    const offset = existsSync(file) ? statSync(file).size : 0;
    for (const line of lastLines(file, options.lines)) options.onLine(process, line);
    return followFrom(file, offset, (line) => options.onLine(process, line));
  });
  if (options.follow === undefined) return;
  while (!options.follow.aborted) {
    followers.forEach((readMore) => readMore());
    await sleep(pollMilliseconds, undefined, { signal: options.follow }).catch(() => undefined);
  }
}

/** The names that `logs` takes: whatever has ever written one. */
export function logNames(folder: StackFolder): string[] {
  if (!existsSync(folder.logs)) return [];
  return readdirSync(folder.logs)
    .filter((file) => file.endsWith(".log"))
    .map((file) => file.slice(0, -".log".length))
    .sort();
}

function selectLogs(folder: StackFolder, wanted: string | undefined) {
  const names = logNames(folder);
  if (wanted !== undefined && !names.includes(wanted)) {
    throw new StackError(
      "PartUnknown",
      `the stack "${folder.name}" has no log of "${wanted}"`,
      names.length === 0 ? `modelfleet local up${folder.flags}` : `one of: ${names.join(", ")}`,
    );
  }
  return names
    .filter((name) => wanted === undefined || name === wanted)
    .map((name) => ({ process: name, file: join(folder.logs, `${name}.log`) }));
}

function followFrom(file: string, start: number, onLine: (line: string) => void): () => void {
  let offset = start;
  let rest = "";
  const decoder = new StringDecoder("utf8");
  return () => {
    const size = existsSync(file) ? statSync(file).size : 0;
    if (size < offset) offset = 0; // A new log took its place.
    if (size === offset) return;
    const chunk = readRange(file, offset, size - offset);
    offset += chunk.length;
    const lines = (rest + decoder.write(chunk)).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  };
}

function readRange(file: string, offset: number, length: number): Buffer {
  const descriptor = openSync(file, "r");
  try {
    const chunk = Buffer.alloc(Math.min(length, 1024 * 1024));
    return chunk.subarray(0, readSync(descriptor, chunk, 0, chunk.length, offset));
  } finally {
    closeSync(descriptor);
  }
}
