/** Asks on the terminal before something is changed; where nobody can be asked, refuses. */
import { createInterface } from "node:readline/promises";
import { UsageError } from "../errors.js";
import type { Shell } from "./shell.js";

/** `instead` is what to type where there is no terminal. */
export async function confirm(shell: Shell, question: string, instead: string): Promise<boolean> {
  const answer = await ask(shell, `${question} [y/N] `, instead);
  return /^y(es)?$/i.test(answer.trim());
}

/** For what cannot be taken back: a name is not typed by mistake. */
export async function confirmByName(shell: Shell, name: string, instead: string): Promise<boolean> {
  const answer = await ask(shell, `Type ${name} to destroy it: `, instead);
  return answer.trim() === name;
}

async function ask(shell: Shell, question: string, instead: string): Promise<string> {
  if (shell.stdin.isTTY !== true)
    throw new UsageError("nothing was changed: there is no terminal to ask", instead);
  // The question goes to stderr: stdout is for data.
  const reader = createInterface({ input: shell.stdin, output: process.stderr });
  try {
    return await reader.question(question);
  } finally {
    reader.close();
  }
}
