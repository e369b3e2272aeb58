/** A lock between processes: a file that names its holder, taken over when the holder has died. */
import { randomBytes } from "node:crypto";
import {
  accessSync,
  constants,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { findProcess, isAlive } from "./process-table.js";
import { StackError } from "./stack-error.js";

const holderSchema = z.object({ pid: z.int(), startedAt: z.string() });
const retryMilliseconds = 100;

export interface LockOptions {
  readonly path: string;
  readonly timeoutSeconds: number;
  /** What the holder does, for the message to who waits. */
  readonly purpose: string;
  readonly onWait?: (message: string) => void;
}

export async function withLock<T>(options: LockOptions, work: () => Promise<T>): Promise<T> {
  const mine = await acquire(options);
  try {
    return await work();
  } finally {
    if (readText(options.path) === mine) rmSync(options.path, { force: true });
  }
}

async function acquire(options: LockOptions): Promise<string> {
  makeFolder(dirname(options.path));
  const self = { pid: process.pid, startedAt: findProcess(process.pid)?.startedAt ?? "" };
  // The token tells two locks of one process apart, for instance two stacks' starts in one test run.
  const mine = JSON.stringify({ ...self, token: randomBytes(6).toString("hex") });
  const deadline = Date.now() + options.timeoutSeconds * 1000;
  let told = false;
  while (!tryTake(options.path, mine)) {
    const holder = dropIfStale(options.path);
    if (holder === undefined) continue;
    if (!told) options.onWait?.(`waiting for process ${holder}, which is ${options.purpose}`);
    told = true;
    if (Date.now() > deadline) throw busy(options, holder);
    await sleep(retryMilliseconds);
  }
  return mine;
}

/** Each folder of ours has its lock before anything else: where we may not write, this is where it shows. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StackError(
      "FolderUnwritable",
      `cannot write in ${folder}: ${reason}`,
      "choose another folder: --state for a stack's state, XDG_CACHE_HOME for the cache",
      error,
    );
  }
}

/** A link appears with its whole content at once, which `open` with `wx` does not promise. */
function tryTake(path: string, content: string): boolean {
  const draft = `${path}.${randomBytes(4).toString("hex")}`;
  writeFileSync(draft, content, { mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** The living holder's pid; undefined when the lock is gone now. */
function dropIfStale(path: string): number | undefined {
  const content = readText(path);
  if (content === undefined) return undefined;
  const holder = parseHolder(content);
  if (holder !== undefined && isAlive(holder)) return holder.pid;
  // Another process may drop the same stale lock and take its own between our read and our rename:
  // whoever moved a lock that it had not read puts it back.
  const aside = `${path}.stale-${randomBytes(4).toString("hex")}`;
  try {
    renameSync(path, aside);
  } catch {
    return undefined;
  }
  if (readText(aside) !== content) linkSync(aside, path);
  rmSync(aside, { force: true });
  return undefined;
}

function parseHolder(content: string): z.infer<typeof holderSchema> | undefined {
  try {
    return holderSchema.safeParse(JSON.parse(content)).data;
  } catch {
    return undefined;
  }
}

function busy(options: LockOptions, holder: number): StackError {
  return new StackError(
    "StackBusy",
    `process ${holder} has been ${options.purpose} for over ${options.timeoutSeconds} s`,
    `wait for it, or end it with: kill ${holder}`,
  );
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
