/** A server that a benchmark starts beside the stack, and ends. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

export interface BackgroundProcess {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface BackgroundCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Takes stdout and stderr; its end is shown when the process fails. */
  readonly logFile: string;
  /** Asked again and again until it answers true. */
  readonly isReady: () => Promise<boolean>;
  readonly readyWithinSeconds?: number;
}

const GRACE_SECONDS = 30;

export async function startBackground(options: BackgroundCommand): Promise<BackgroundProcess> {
  const log = openSync(options.logFile, "a");
  const child = spawn(options.command, options.args, {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.once("error", () => undefined); // Told as "ended before it was ready".
  // Whatever ends the benchmark ends what it started.
  const endWithUs = () => void child.kill("SIGKILL");
  process.once("exit", endWithUs);
  const stop = async () => {
    process.off("exit", endWithUs);
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_SECONDS * 1000);
    if (isRunning(child)) await exited;
    clearTimeout(timer);
  };
  await untilReady(child, options).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { pid: child.pid ?? 0, stop };
}

async function untilReady(child: ChildProcess, options: BackgroundCommand): Promise<void> {
  const deadline = Date.now() + (options.readyWithinSeconds ?? 120) * 1000;
  while (!(await options.isReady().catch(() => false))) {
    const ended = !isRunning(child);
    if (!ended && Date.now() < deadline) {
      await delay(100);
      continue;
    }
    const tail = readFileSync(options.logFile, "utf8").split("\n").slice(-20).join("\n");
    const what = ended ? "ended before it was ready" : "was not ready in time";
    throw new Error(`${options.command} ${options.args.join(" ")} ${what}:\n${tail}`);
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Whether a GET is answered with 2xx. */
export async function answers(url: string): Promise<boolean> {
  return (await fetch(url)).ok;
}
