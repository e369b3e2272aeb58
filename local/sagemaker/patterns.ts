/** Compiles the Java regular expressions of the service models to JavaScript ones. */

/** The six patterns that JavaScript cannot compile as they stand, and what they mean. */
const rewritten: Readonly<Record<string, string>> = {
  // The stray quantifier at the end repeats what `max` already says.
  "([\\p{L}\\p{Z}\\p{N}_.:\\/=+\\-@]*)${1,128}": "([\\p{L}\\p{Z}\\p{N}_.:\\/=+\\-@]*)",
  "([\\p{L}\\p{Z}\\p{N}_.:\\/=+\\-@]*)${1,256}": "([\\p{L}\\p{Z}\\p{N}_.:\\/=+\\-@]*)",
  "\\A\\S[\\p{Print}]*\\z": "\\S[ -~]*",
};

const compiled = new Map<string, RegExp | undefined>();

/** The whole value must match, as AWS's servers ask, although most patterns leave `^…$` out. */
export function matchesPattern(pattern: string, value: string): boolean {
  return compile(pattern)?.test(value) ?? true;
}

/** Undefined for a pattern that no JavaScript engine can read: lengths and enums still hold then. */
export function compile(pattern: string): RegExp | undefined {
  if (!compiled.has(pattern)) compiled.set(pattern, tryCompile(pattern));
  return compiled.get(pattern);
}

function tryCompile(pattern: string): RegExp | undefined {
  const readable = (rewritten[pattern] ?? pattern).replaceAll("\\p{Alnum}", "a-zA-Z0-9");
  // `u` first: it knows \p{L}. Some patterns escape what `u` forbids to escape; they do without it.
  for (const flags of ["u", ""]) {
    try {
      return new RegExp(`^(?:${readable})$`, flags);
    } catch {
      continue;
    }
  }
  return undefined;
}
