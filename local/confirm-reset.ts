/** Asks before a stack's data is removed; where nobody can be asked, refuses. */
import { createInterface } from "node:readline/promises";
import type { LocalShell } from "./shell.js";
import { stackFolder, type StackPlace } from "./stack/place.js";
import { StackError } from "./stack/stack-error.js";
import { requireStackFile } from "./stack/stack-file.js";

export async function confirmReset(shell: LocalShell, place: StackPlace): Promise<boolean> {
  const folder = stackFolder(place);
  requireStackFile(folder);
  if (shell.stdin.isTTY !== true) {
    throw new StackError(
      "ConfirmationNeeded",
      `reset removes the databases, objects, workflows and models in ${folder.root}, and there is no terminal to ask`,
      `modelfleet local reset${folder.flags} --yes`,
    );
  }
  const reader = createInterface({ input: shell.stdin, output: process.stderr });
  try {
    const answer = await reader.question(
      `Remove the databases, objects, workflows and models in ${folder.root}? [y/N] `,
    );
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}
