/** Small real processes for tests, ended with the test that started them. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { findProcess } from "../../local/stack/process-table.js";
import type { ProcessRecord } from "../../local/stack/process-records.js";

type Script = ChildProcess & { readonly pid: number; readonly firstLine: string };

/** Runs the script in a process group of its own, and waits until it prints a line. */
export async function runScript(script: string): Promise<Script> {
  const child = spawn(process.execPath, ["-e", script], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const printed: unknown[] = await once(child.stdout, "data");
  if (child.pid === undefined) throw new Error("the script did not start");
  return Object.assign(child, { pid: child.pid, firstLine: String(printed[0]).trim() });
}

export function recordOf(pid: number, changes: Partial<ProcessRecord> = {}): ProcessRecord {
  return {
    name: "script",
    pid,
    startedAt: findProcess(pid)?.startedAt ?? "none",
    since: new Date().toISOString(),
    state: "running",
    command: process.execPath,
    version: null,
    port: null,
    log: "/dev/null",
    ...changes,
  };
}

export const SLEEPS = "console.log('up'); setInterval(() => {}, 1000);";
export const IGNORES_SIGTERM = `process.on('SIGTERM', () => {}); ${SLEEPS}`;
/** Prints the pid of a child that shares its process group and outlives it. */
export const HAS_CHILD = `
  const child = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(IGNORES_SIGTERM)}]);
  child.stdout.once('data', () => console.log(child.pid));
  setInterval(() => {}, 1000);`;
