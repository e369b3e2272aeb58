/** RESULTS.md: a section per benchmark, replaced by each full run, never written by hand. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const path = join(import.meta.dirname, "RESULTS.md");
const preamble = `# Results

Written by \`npm run bench -- NAME\`; each run replaces its own section. How it is measured, and what each
benchmark can lose, is in [README.md](README.md).
`;

export function keepInResults(name: string, section: string): void {
  const before = existsSync(path) ? readFileSync(path, "utf8") : preamble;
  writeFileSync(path, replaceSection(before, name, section));
}

/** Puts `section` where the section `name` stands, or at the end. */
export function replaceSection(text: string, name: string, section: string): string {
  const begin = `<!-- begin ${name} -->`;
  const end = `<!-- end ${name} -->`;
  const block = `${begin}\n\n${section.trim()}\n\n${end}`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to === -1) return `${text.trimEnd()}\n\n${block}\n`;
  return text.slice(0, from) + block + text.slice(to + end.length);
}
