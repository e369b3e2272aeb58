/** Brings a stack up: makes what is missing, starts what is down, all parts at once. */
import { setTimeout as wait } from "node:timers/promises";
import type { StackAccount } from "./accounts.js";
import { endProcess } from "./end-process.js";
import { environmentOf, writeEnvironmentFile } from "./environment.js";
import { createParts } from "./create-parts.js";
import type { Launched } from "./launch.js";
import type { Part, PartName } from "./part.js";
import { withLock } from "./lock.js";
import { stackFolder, type StackFolder, type StackPlace } from "./place.js";
import { isPortAnswering, isPortTaken, portOwner } from "./port-in-use.js";
import { listRecords, readRecord, writeRecord } from "./process-records.js";
import { isAlive } from "./process-table.js";
import type { OnProgress } from "./progress.js";
import { StackError } from "./stack-error.js";
import { stackLock } from "./stack-lock.js";
import { ensureStackFile, readStackFile, type StackChanges, type StackFile } from "./stack-file.js";

export interface StartOptions extends StackPlace {
  /** Default: the one it had, at first 7230. */
  readonly basePort?: number | undefined;
  /** Beside the stack's own, 111111111111. Default: those it had, at first none. */
  readonly accounts?: readonly StackAccount[] | undefined;
  readonly onProgress?: OnProgress;
  /** The SageMaker server's fault injection, from its start on. */
  readonly faults?: Readonly<Record<string, unknown>>;
}

export interface RunningStack {
  readonly name: string;
  readonly state: string;
  /** What names it on the command line, such as ` --name demo`. */
  readonly flags: string;
  readonly basePort: number;
  readonly environment: Record<string, string>;
  readonly accounts: readonly StackAccount[];
  /** What was down and has been started, and how long each took. */
  readonly started: readonly { readonly part: string; readonly seconds: number }[];
}

export async function startStack(options: StartOptions): Promise<RunningStack> {
  const folder = stackFolder(options);
  const onProgress = options.onProgress ?? (() => undefined);
  return withLock(stackLock(folder, onProgress), async () => {
    refuseChangeWhileUp(folder, options);
    const stack = ensureStackFile(folder, options);
    writeEnvironmentFile(folder, stack);
    const ready = new Map<PartName, Promise<void>>();
    const parts = createParts({ folder, stack, onProgress, faults: options.faults ?? {}, ready });
    const down = await clearDown(folder, parts);
    await refuseTakenPorts(down, folder, stack);
    const started = await startParts({ folder, parts: down, onProgress, ready });
    return {
      name: folder.name,
      state: folder.root,
      flags: folder.flags,
      basePort: stack.basePort,
      environment: environmentOf(stack),
      accounts: stack.accounts,
      started,
    };
  });
}

/**
 * Stopping a worker on a base port that is no longer its stack's would be a surprise, and parts that run know the
 * accounts that they were started with: so neither changes while the stack is up.
 */
function refuseChangeWhileUp(folder: StackFolder, { basePort, accounts }: StackChanges): void {
  const known = readStackFile(folder);
  if (known === undefined || !listRecords(folder).some(isAlive)) return;
  const refuse = (message: string, hint: string) => {
    throw new StackError("StackSettingInvalid", `the stack "${folder.name}" ${message}`, hint);
  };
  if (basePort !== undefined && basePort !== known.basePort)
    refuse(
      `is up on base port ${known.basePort}, so it cannot move to ${basePort}`,
      `modelfleet local down${folder.flags}, or give the other stack its own --name`,
    );
  if (accounts !== undefined && namesOf(accounts) !== namesOf(known.accounts))
    refuse(
      `is up with ${namesOf(known.accounts) || "no other accounts"}, not with ${namesOf(accounts)}`,
      `modelfleet local down${folder.flags}, then up with the accounts; its data stays`,
    );
}

const namesOf = (accounts: readonly StackAccount[]): string =>
  accounts.map(({ name, id }) => `${name}=${id}`).join(",");

/** The parts that do not run, with what is left of their processes ended. */
async function clearDown(folder: StackFolder, parts: readonly Part[]): Promise<Part[]> {
  const running = await Promise.all(parts.map((part) => isRunning(folder, part)));
  const down = parts.filter((_, index) => running[index] !== true);
  for (const part of down) {
    const record = readRecord(folder, part.name);
    if (record === undefined) continue;
    await endProcess(folder, record);
  }
  return down;
}

async function isRunning(folder: StackFolder, part: Part): Promise<boolean> {
  const record = readRecord(folder, part.name);
  if (record?.state !== "running" || !isAlive(record)) return false;
  return isPortAnswering(part.ports[0]);
}

async function refuseTakenPorts(
  parts: readonly Part[],
  folder: StackFolder,
  stack: StackFile,
): Promise<void> {
  for (const part of parts) {
    for (const port of part.ports) {
      if (!(await staysTaken(port))) continue;
      throw new StackError(
        "PortInUse",
        `${part.title} needs port ${port}, which ${portOwner(port) ?? "another program"} uses`,
        `end that program, or: modelfleet local up${folder.flags} --base-port ${otherBase(stack)}`,
      );
    }
  }
}

/** A program that has just been killed may hold its port for a moment longer, when nobody owns it any more. */
async function staysTaken(port: number): Promise<boolean> {
  for (let tries = 20; tries > 0; tries--) {
    if (!(await isPortTaken(port))) return false;
    if (portOwner(port) !== undefined) return true;
    await wait(100);
  }
  return true;
}

function otherBase({ basePort }: StackFile): number {
  return basePort + (basePort < 50_000 ? 10_000 : -10_000);
}

interface StartPartsOptions {
  readonly folder: StackFolder;
  readonly parts: readonly Part[];
  readonly onProgress: OnProgress;
  /** Filled here: what a part that waits for another one waits on. */
  readonly ready: Map<PartName, Promise<void>>;
}

/** All at once. When one fails, what this call started is ended again, and the first failure is told. */
async function startParts(options: StartPartsOptions): Promise<RunningStack["started"]> {
  const { folder, parts, ready } = options;
  const launched: Launched[] = [];
  const times: Promise<{ part: PartName; seconds: number }>[] = [];
  for (const part of parts) {
    const time = startPart(options, part, (one) => launched.push(one));
    times.push(time.then((seconds) => ({ part: part.name, seconds })));
    // Known before the next part starts, which may wait for it. Who waits hears of a failure by the cause below.
    const done = time.then(() => undefined);
    done.catch(() => undefined);
    ready.set(part.name, done);
  }
  const results = await Promise.allSettled(times);
  const failure = results.find((result) => result.status === "rejected");
  if (failure === undefined) return Promise.all(times);
  for (const { record } of launched) {
    await endProcess(folder, record);
  }
  throw failure.reason;
}

async function startPart(
  options: StartPartsOptions,
  part: Part,
  onLaunched: (launched: Launched) => void,
): Promise<number> {
  const { folder, onProgress } = options;
  const begun = Date.now();
  const seconds = () => (Date.now() - begun) / 1000;
  onProgress({ part: part.name, state: "working", message: "starting" });
  try {
    await part.start(onLaunched);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    onProgress({ part: part.name, state: "failed", message, seconds: seconds() });
    throw error;
  }
  const record = readRecord(folder, part.name);
  if (record !== undefined) writeRecord(folder, { ...record, state: "running" });
  const where = `serves on 127.0.0.1:${part.ports[0]}`;
  onProgress({ part: part.name, state: "ready", message: where, seconds: seconds() });
  return seconds();
}
