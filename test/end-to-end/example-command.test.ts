/** `npm run example`: what there is, what is told of a wrong name or setting, and one of them from its data to its end. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestStack, type TestStack } from "../stack.js";
import { run } from "./run-program.js";

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19504 });
});

afterAll(() => stack.close());

const example = (...args: string[]) =>
  run("dist/examples/run.js", { directory: stack.folder, args });

test("without a name it lists them, with their settings", async () => {
  const { code, stdout } = await example();
  expect(code).toBe(0);
  for (const name of ["energy", "ensemble", "flights", "housing", "pipeline"])
    expect(stdout).toMatch(new RegExp(`^ +${name} +\\S`, "m"));
  expect(stdout).toContain("--set customers=1000");
});

test.each([
  [["huosing"], 2, "there is no example huosing", "did you mean housing?"],
  [
    ["housing", "--set", "towns=4"],
    2,
    "the example housing has no setting towns",
    "it has cities, houses",
  ],
  [["housing", "--set", "cities=many"], 2, "a name and a whole number", "such as customers=50"],
])("%j is refused", async (args, status, problem, hint) => {
  const { code, stderr } = await example(...args);
  expect(stderr).toContain(problem);
  expect(stderr).toContain(hint);
  expect(code).toBe(status);
});

test("housing runs, and again for its next month; --ephemeral stops the stack", async () => {
  const small = ["--set", "cities=2", "--set", "houses=200"];
  const first = await example("housing", ...small);
  expect(first.stderr).toContain("Cycle 2020-01-01");
  expect(first.code, first.stderr).toBe(0);
  const second = await example("housing", ...small, "--ephemeral");
  expect(second.stderr).toContain("Cycle 2020-02-01");
  expect(second.stderr).toContain("the stack is down again");
  expect(second.code, second.stderr).toBe(0);
});
