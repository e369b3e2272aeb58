/** `npm run demo`, twice: the second time there are champions to beat. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { stackStatus } from "../../local/stack/status.js";
import { startTestStack, type TestStack } from "../stack.js";
import { run } from "./run-program.js";

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 18630 });
});

afterAll(() => stack.close());

const demo = (...args: string[]) =>
  run("dist/examples/flights/demo.js", { directory: stack.folder, args });

test("the demo ends by itself with predictions, and the next one does the next month", async () => {
  const first = await demo();
  expect(first.code, first.stderr).toBe(0);
  expect(first.stdout).toMatch(/trained/i);
  expect(first.stdout).toMatch(/predict-the-mean|baseline/i);
  expect(first.stdout).toMatch(/cold/i);
  expect(first.stdout).toMatch(/tuned +91 searches of 273 training jobs in all, all from nothing/);
  expect(first.stdout).toContain(`http://127.0.0.1:${stack.basePort + 4}/`);
  const { processes } = await stackStatus({ baseDir: stack.folder });
  expect(processes.map(({ state }) => state)).toEqual(processes.map(() => "running"));

  const second = await demo("--ephemeral");
  expect(second.code, second.stderr).toBe(0);
  expect(`${second.stdout}${second.stderr}`).toContain("2013-08-01");
  expect(second.stdout).toMatch(/tuned .*, 90 of them from what the searches before had found/);
  expect(second.stdout).toMatch(/denied +version 2 of [A-Z]{3}; version 1 serves again after/);
  expect(second.stdout).toMatch(/(\d+) of \1 held-out predictions are to the last digit/);
  const after = await stackStatus({ baseDir: stack.folder });
  expect(after.processes.filter(({ state }) => state === "running")).toEqual([]);
});
