/** A command that deletes: shows all that goes, has it agreed to, and tells when it is done. */
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";
import { count } from "./words.js";

export interface DeletionFlags {
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

export interface Deletion<Found extends object> {
  /** Whose it is, as it is called. */
  readonly of: string;
  readonly found: Found;
  /** Why there is nothing to delete, as a sentence; null when there is something. */
  readonly nothing: string | null;
  /** Below the title, for people. */
  readonly lines: readonly string[];
  /** The last word, and the field of the JSON document that says whether it came to that. */
  readonly done: "collected" | "destroyed";
  /** False: somebody was asked, and does not want it. Throws ClientError when it is not to be done at all. */
  readonly agree: () => Promise<boolean>;
  /** Returns what went. */
  readonly remove: () => Promise<Found>;
}

/** With --json, stdout has one document: what was found, or what went. */
export async function carryOutDeletion<Found extends object>(
  shell: Shell,
  flags: DeletionFlags,
  { of, found, nothing, lines, done, agree, remove }: Deletion<Found>,
): Promise<void> {
  const { progressColors } = shell;
  const [dryRun, json] = [flags.dryRun === true, flags.json === true];
  if (!json && nothing === null) {
    const title = `${shell.colors.bold(of)}  ${shell.colors.red("all of this goes")}`;
    printLines(shell, [title, "", ...lines]);
  }
  if (json && (dryRun || nothing !== null)) printJson(shell, { ...found, dryRun, [done]: false });
  if (nothing !== null) return say(shell, nothing);
  if (dryRun) return say(shell, progressColors.dim("nothing was changed"));
  if (!(await agree())) return say(shell, "nothing was changed");
  say(shell, progressColors.dim("deleting it; it goes on if you leave"));
  const gone = await remove();
  if (json) printJson(shell, { ...gone, dryRun, [done]: true });
  say(shell, `${progressColors.green(done)}  ${of}`);
}

export interface Named {
  readonly count: number;
  /** The first of them. */
  readonly names: readonly string[];
}

const SHOWN = 5;

/** A field for each kind of which there are any: how many, and the first of their names. */
export const namedFields = (
  kinds: readonly (readonly [kind: string, Named])[],
): (readonly [name: string, value: string])[] =>
  kinds.flatMap(([kind, named]) => (named.count > 0 ? [[kind, namesLine(named)] as const] : []));

function namesLine({ count: number, names }: Named): string {
  const shown = names.slice(0, SHOWN).map(safe).join(", ");
  const more = number - Math.min(SHOWN, names.length);
  return more > 0 ? `${count(number)}: ${shown} and ${count(more)} more` : `${number}: ${shown}`;
}
