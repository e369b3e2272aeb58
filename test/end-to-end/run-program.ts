/** Runs one of the built programs to its end, as `npm run` would. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import type { Ran } from "../cli/modelfleet.js";
import { watchedProcess } from "../watched-process.js";

export async function run(
  program: string,
  options: {
    readonly directory: string;
    readonly args?: readonly string[];
    readonly environment?: Readonly<Record<string, string>>;
  },
): Promise<Ran> {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [resolve(program), ...(options.args ?? [])], {
    cwd: options.directory,
    env: { PATH, HOME, NO_COLOR: "1", ...watchedProcess(), ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((done) => child.once("close", done));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, stdout, stderr };
}
