/** Runs a command to its end: its output line by line to a listener, and whole in the result. */
import { spawn, type StdioOptions } from "node:child_process";
import { createInterface } from "node:readline";

export interface CommandResult {
  /** Null when it could not be started or was ended by a signal. */
  readonly code: number | null;
  readonly lines: readonly string[];
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly cwd?: string;
  /** An open file or folder of ours that it gets as descriptor 3. */
  readonly descriptor?: number | undefined;
  readonly timeoutSeconds?: number;
  readonly onLine?: (line: string) => void;
}

/** Never rejects: a command that cannot be started or is ended by a signal has code null and the reason as its last line. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const lines: string[] = [];
  const stdio: StdioOptions = ["ignore", "pipe", "pipe", options.descriptor ?? "ignore"];
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env === undefined ? process.env : { ...options.env },
    stdio,
    ...(options.timeoutSeconds !== undefined && { timeout: options.timeoutSeconds * 1000 }),
    ...options.user,
  });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      options.onLine?.(line);
    });
  }
  const code = await new Promise<number | null>((resolve) => {
    child.once("error", (error) => {
      lines.push(error.message);
      resolve(null);
    });
    child.once("close", (code: number | null, signal: NodeJS.Signals | null) => {
      if (signal !== null) lines.push(endedBy(signal, child.killed, options.timeoutSeconds));
      resolve(code);
    });
  });
  return { code, lines };
}

function endedBy(signal: NodeJS.Signals, byUs: boolean, timeoutSeconds?: number): string {
  return byUs ? `had not ended after ${timeoutSeconds} s` : `was ended by ${signal}`;
}
