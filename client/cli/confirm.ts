/** Asks on the terminal before something is changed; where nobody can be asked, refuses. */
import { createInterface } from "node:readline/promises";
import { UsageError } from "../errors.js";
import type { Shell } from "./shell.js";

/** `instead` is what to type where there is no terminal. */
export async function confirm(shell: Shell, question: string, instead: string): Promise<boolean> {
  if (shell.stdin.isTTY !== true)
    throw new UsageError("nothing was changed: there is no terminal to ask", instead);
  // The question goes to stderr: stdout is for data.
  const reader = createInterface({ input: shell.stdin, output: process.stderr });
  try {
    const answer = await reader.question(`${question} [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}
