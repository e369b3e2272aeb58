/** docs/retrain.md, line by line: every command does what the page says it does. */
import { symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelfleet } from "../cli/modelfleet.js";
import { shownCommands, words } from "../docs/fenced.js";
import { startTestStack, type TestStack } from "../stack.js";

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 17512 });
  // The stack's folder plays the checkout.
  for (const folder of ["examples", "training", "docs"])
    await symlink(resolve(folder), join(stack.folder, folder));
});
afterAll(() => stack.close());

/** What the page says a command tells. */
const TOLD: readonly (readonly [RegExp, RegExp])[] = [
  [/--dry-run$/, /would be created|2 cycles/],
  [/schedule show/, /at 03:00 on day 1 of every month \(UTC\)/],
  [/schedule pause/, /is paused: no cycle starts until/],
  [/schedule resume/, /goes on as scheduled/],
  [/schedule trigger/, /has been started/],
  [/backfill .*--yes/, /2013-07-01t0300 .*\n.*2013-08-01t0300/],
];

test("what the page says to type works, in that order", async () => {
  for (const { command, line } of shownCommands("docs/retrain.md")) {
    const [npx, name, ...rest] = words(command);
    expect([npx, name], `the page shows "${command}"`).toEqual(["npx", "modelfleet"]);
    const { code, stdout, stderr } = await modelfleet(rest, { directory: stack.folder });
    const said = `${stdout}${stderr}`;
    const where = `docs/retrain.md:${line} ${command}\n${said}`;
    expect(code, where).toBe(0);
    for (const [shown, told] of TOLD) if (shown.test(command)) expect(said, where).toMatch(told);
  }
});
