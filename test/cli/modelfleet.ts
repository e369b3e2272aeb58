/** Runs the command as a user does: a process of its own, with nothing of the test's environment but PATH. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { watchedProcess } from "../watched-process.js";

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
}

export async function modelfleet(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(process.execPath, [resolve("bin/modelfleet.js"), ...words], {
    cwd: options.directory ?? process.cwd(),
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      ...watchedProcess(),
      ...options.environment,
    },
  });
  child.stdin.end(options.input ?? "");
  const ended = new Promise<number | null>((done) => child.once("close", done));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, stdout, stderr };
}

/** Of a command with --json: its one document. */
export async function modelfleetJson(
  words: readonly string[],
  options: RunOptions = {},
): Promise<Record<string, unknown>> {
  const ran = await modelfleet([...words, "--json"], options);
  if (ran.stdout === "") throw new Error(`no document; stderr: ${ran.stderr}`);
  const document: unknown = JSON.parse(ran.stdout);
  if (typeof document === "object" && document !== null) return { ...document };
  throw new Error(`not a document: ${ran.stdout}`);
}
