/** Finds the name a person probably meant. */
import { distance } from "fastest-levenshtein";

/** The nearest of `names`, unless even that one is a different word. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  let best: { name: string; edits: number } | undefined;
  for (const name of names) {
    const edits = distance(word.toLowerCase(), name.toLowerCase());
    if (best === undefined || edits < best.edits) best = { name, edits };
  }
  if (best === undefined) return undefined;
  // Up to half of the word may differ; a three-letter code allows one letter, or two when it starts alike.
  return best.edits <= Math.max(1, Math.floor(Math.max(word.length, best.name.length) / 2))
    ? best.name
    : undefined;
}
