/** IAM's wildcards: `*` for any characters, none included, `?` for exactly one. */

/** In time proportional to the lengths multiplied, whatever the pattern: no regular expression that could run away. */
export function matchesWildcards(pattern: string, text: string): boolean {
  let [at, from] = [0, 0];
  /** Where the last `*` stands, and up to where in the text it has been taken to reach. */
  let star: { readonly at: number; reach: number } | undefined;
  while (from < text.length) {
    const wanted = pattern[at];
    if (wanted === "*") {
      star = { at, reach: from };
      at += 1;
    } else if (wanted !== undefined && (wanted === "?" || wanted === text[from])) {
      at += 1;
      from += 1;
    } else if (star !== undefined) {
      star.reach += 1;
      at = star.at + 1;
      from = star.reach;
    } else return false;
  }
  while (pattern[at] === "*") at += 1;
  return at === pattern.length;
}
