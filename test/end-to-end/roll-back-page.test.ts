/** "Roll a model back", line by line, with what the page says that is printed. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelfleet } from "../cli/modelfleet.js";
import { shownCommands, words } from "../docs/fenced.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type RunningWorker,
} from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const PAGE = "docs/approve.md";
const HEADING = "## Roll a model back";

let stack: TestStack;
let worker: RunningWorker | undefined;

/** The page's fleet in small: the same names, two versions, the newer of which serves. */
beforeAll(async () => {
  stack = await startTestStack({ basePort: 18830 });
  worker = await startWorkerProcess(stack);
  const customers = ["XNA"];
  const fleet = await makeSmallFleet(stack, { name: "flight-delays", customers, better: -1 });
  for (const at of ["2024-02-01", "2024-03-01"]) {
    const ran = await cli(stack, "run", fleet.file, "--at", at);
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
  }
});

afterAll(async () => {
  await worker?.kill();
  await stack.close();
});

test("what the page says to type works, and prints what it says", async () => {
  const text = readFileSync(PAGE, "utf8");
  const begins = text.slice(0, text.indexOf(HEADING)).split("\n").length;
  const commands = shownCommands(PAGE).filter(({ line }) => line > begins);
  expect(commands.length).toBeGreaterThanOrEqual(3);
  for (const { command, line } of commands) {
    const [npx, name, ...rest] = words(command);
    expect([npx, name], `the page shows "${command}"`).toEqual(["npx", "modelfleet"]);
    const { code, stdout, stderr } = await modelfleet(rest, { directory: stack.folder });
    expect(code, `${PAGE}:${line} ${command}\n${stdout}\n${stderr}`).toBe(0);
    if (rest[0] === "rollback")
      for (const said of (stderr + stdout).trim().split("\n")) expect(text).toContain(said);
    else expect(stdout).toContain("withdrawn");
  }
});
