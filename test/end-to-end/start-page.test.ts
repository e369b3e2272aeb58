/** docs/start.md, line by line, as a new user would: from warehouse rows to a prediction, on real data. */
import { symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelfleet, type Ran } from "../cli/modelfleet.js";
import { shownCommands, words } from "../docs/fenced.js";
import { startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { run } from "./run-program.js";
import { startTestStack, type TestStack } from "../stack.js";

let stack: TestStack;
let worker: RunningWorker | undefined;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 18530 });
  // The stack's folder plays the checkout.
  for (const folder of ["examples", "training", "docs"])
    await symlink(resolve(folder), join(stack.folder, folder));
});

afterAll(async () => {
  await worker?.kill();
  await stack.close();
});

/** Another way to say a line of the page, where a test must: without npm's set-up, and without a second terminal. */
async function follow(command: string): Promise<Ran> {
  const done: Ran = { code: 0, stdout: "", stderr: "" };
  if (command === "npm run setup") return done;
  if (command === "npm run load-flights")
    return run("dist/examples/flights/load-flights.js", { directory: stack.folder });
  if (command === "npx modelfleet worker") {
    worker = await startWorkerProcess(stack);
    return done;
  }
  const [npx, name, ...rest] = words(command);
  expect([npx, name], `the page shows "${command}"`).toEqual(["npx", "modelfleet"]);
  return modelfleet(rest, { directory: stack.folder });
}

test("what the page says to type works, in that order", async () => {
  for (const { command, line } of shownCommands("docs/start.md")) {
    const { code, stdout, stderr } = await follow(command);
    const where = `docs/start.md:${line} ${command}\n${stdout}\n${stderr}`;
    expect(code, where).toBe(0);
    if (command.includes(" invoke ")) expect(Number(stdout.trim()), where).toBeGreaterThan(-60);
    if (command.includes(" run ") && command.includes("2013-07-01"))
      expect(stdout, where).toMatch(/105 customers · 160,590 rows: .*serving/);
    if (command.includes(" models ")) expect(stdout, where).toContain("EGE");
    if (command.includes(" run ") && command.includes("2013-08-01"))
      expect(stdout, where).toMatch(/champion kept|serving/);
  }
});
