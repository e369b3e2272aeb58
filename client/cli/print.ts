/** Prints data: one JSON document, or text for people. */
import Table from "cli-table3";
import type { Shell } from "./shell.js";

export function printJson(shell: Shell, document: unknown): void {
  shell.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}

export function printLines(shell: Shell, lines: readonly string[]): void {
  shell.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

/** A progress line, to stderr. */
export function say(shell: Shell, line: string): void {
  shell.stderr.write(`${line}\n`);
}

export interface Column {
  readonly title: string;
  readonly align?: "right";
}

const BORDERS = [
  ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left"],
  ...["bottom-right", "left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
];

/** Rows in aligned columns without borders, indented by two. */
export function tableLines(
  shell: Shell,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const table = new Table({
    head: columns.map(({ title }) => shell.colors.dim(title)),
    colAligns: columns.map(({ align }) => align ?? "left"),
    chars: { ...Object.fromEntries(BORDERS.map((name) => [name, ""])), middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => `  ${line.trimEnd()}`);
}

/** Names and values below each other, the values aligned. */
export function fieldLines(
  shell: Shell,
  fields: readonly (readonly [name: string, value: string])[],
): string[] {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `  ${shell.colors.dim(name.padEnd(width))}  ${value}`);
}

/** The same text without what a terminal would obey: a customer's id is anything. */
export function safe(text: string): string {
  // Control characters and the marks that turn the writing direction.
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
