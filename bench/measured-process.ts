/** Runs one contender as a process of its own and measures it from outside: time, CPU and peak memory. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { BenchPython } from "./python-environment.js";

const usageSchema = z.object({
  wallSeconds: z.number(),
  cpuSeconds: z.number(),
  peakRssBytes: z.number(),
});
export type Usage = z.infer<typeof usageSchema>;

export interface Contender {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

export interface Measured {
  readonly usage: Usage;
  readonly stdout: string;
}

/** `workFolder` takes the measurement; the contender's stderr is shown only when it fails. */
export async function runMeasured(
  { python, workFolder }: { python: BenchPython; workFolder: string },
  contender: Contender,
): Promise<Measured> {
  const output = join(workFolder, "usage.json");
  const script = join(import.meta.dirname, "measure.py");
  const stdout = await collect(
    python.executable,
    [script, output, contender.command, ...contender.args],
    { ...process.env, ...contender.env },
    contender.stdin ?? "",
  );
  const usage = usageSchema.parse(JSON.parse(await readFile(output, "utf8")));
  return { usage, stdout };
}

function collect(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  stdin: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${args.join(" ")} ended with code ${code}:\n${stderr}${stdout}`));
    });
    child.stdin.end(stdin);
  });
}

/** The last line that a contender printed, as JSON: what it found out about itself. */
export function lastJsonLine(stdout: string): unknown {
  const line = stdout.trimEnd().split("\n").at(-1) ?? "";
  return JSON.parse(line);
}
