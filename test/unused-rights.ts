/** What the policies of `modelfleet iam` allow, and no call of a whole test run has needed. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { POLICIES } from "./callers.js";

/** Where each test file adds the rights that it has used: a caller and an action a line. Unset outside a run. */
export const rightsFile = process.env.MODELFLEET_TEST_RIGHTS;

/** Before the first test file; they inherit it. */
export function watchRights(): void {
  process.env.MODELFLEET_TEST_RIGHTS = join(tmpdir(), `modelfleet-rights-${process.pid}.txt`);
  writeFileSync(process.env.MODELFLEET_TEST_RIGHTS, "");
}

/** After the last, once: a line each, sorted. */
export function unusedRights(): string[] {
  const file = process.env.MODELFLEET_TEST_RIGHTS ?? "";
  const used = new Set(readFileSync(file, "utf8").split("\n"));
  rmSync(file);
  const rights = Object.entries(POLICIES).flatMap(([caller, { Statement }]) =>
    Statement.flatMap(({ Action }) => Action).map((action) => `${caller}\t${action}`),
  );
  return [...new Set(rights)].filter((right) => !used.has(right)).sort();
}
