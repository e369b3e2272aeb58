/** Starts a process that outlives us: detached, its output in a log file, its identity on record. */
import { spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { StackFolder } from "./place.js";
import { writeRecord, type ProcessRecord } from "./process-records.js";
import { findProcess } from "./process-table.js";
import { StackError } from "./stack-error.js";

/** A log of a few days of work stays below this; an older one is kept beside it as `.1`. */
const logLimitBytes = 20 * 1024 * 1024;

export interface LaunchOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** All the process sees: nothing is inherited, so a shell's AWS_PROFILE or PGPORT changes nothing. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly port?: number;
  readonly version?: string;
  /** Whom to run as, where it must not be root. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** An open file or folder of ours that it gets as descriptor 3. */
  readonly descriptor?: number | undefined;
}

export interface Launched {
  readonly record: ProcessRecord;
  /** Where this start's output begins in the log. */
  readonly logOffset: number;
  /** Set once it has ended; only the process that started it learns this. */
  readonly ending: { how: string | undefined };
}

export async function launch(folder: StackFolder, options: LaunchOptions): Promise<Launched> {
  mkdirSync(folder.logs, { recursive: true, mode: 0o700 });
  const log = join(folder.logs, `${options.name}.log`);
  const output = openLog(log);
  const logOffset = fstatSync(output).size;
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: { ...options.env },
    detached: true,
    stdio: ["ignore", output, output, options.descriptor ?? "ignore"],
    ...options.user,
  });
  closeSync(output);
  const ending: Launched["ending"] = { how: undefined };
  const failure = new Promise<Error>((resolve) => child.once("error", resolve));
  child.once("exit", (code, signal) => (ending.how = signal ?? `exit code ${code}`));
  child.unref();
  if (child.pid === undefined) throw notStarted(options, await failure);
  const identity = findProcess(child.pid);
  const record: ProcessRecord = {
    name: options.name,
    pid: child.pid,
    startedAt: identity?.startedAt ?? "ended",
    since: new Date().toISOString(),
    state: "starting",
    command: options.command,
    version: options.version ?? null,
    port: options.port ?? null,
    log,
  };
  writeRecord(folder, record);
  return { record, logOffset, ending };
}

function openLog(log: string): number {
  const descriptor = openSync(log, "a", 0o600);
  if (fstatSync(descriptor).size < logLimitBytes) return descriptor;
  closeSync(descriptor);
  renameSync(log, `${log}.1`);
  return openSync(log, "a", 0o600);
}

function notStarted(options: LaunchOptions, cause: Error): StackError {
  return new StackError(
    "PartDied",
    `${options.name} could not be started: ${cause.message}`,
    `check that ${options.command} exists and may be executed`,
    cause,
  );
}
