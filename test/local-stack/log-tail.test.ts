import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lastLines } from "../../local/stack/log-tail.js";
import { temporaryFolder } from "./temporary-folder.js";

function aLog(text: string): string {
  const file = join(temporaryFolder(), "part.log");
  writeFileSync(file, text);
  return file;
}

test.each([
  ["", 3, []],
  ["one\n", 3, ["one"]],
  ["one\ntwo\nthree\nfour\n", 2, ["three", "four"]],
  ["one\nno line break", 2, ["one", "no line break"]],
  ["one\n\n", 2, ["one", ""]],
  ["one\ntwo\n", 0, []],
])("of %j the last %d lines are %j", (text, count, lines) => {
  expect(lastLines(aLog(text), count)).toEqual(lines);
});

test("lines longer than what is read at a time come whole", () => {
  const long = "é".repeat(200_000);
  expect(lastLines(aLog(`first\n${long}\nlast\n`), 2)).toEqual([long, "last"]);
});

test("what stands before the offset belongs to an earlier start and is not told", () => {
  expect(lastLines(aLog("old\nnew\n"), 5, "old\n".length)).toEqual(["new"]);
});

test("a log that does not exist has no lines", () => {
  expect(lastLines("/nowhere/part.log", 5)).toEqual([]);
});
