/** `npm run example`: what there is, what is told of a wrong name or setting, and one of them from its data to its end. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  for (const name of ["accounts", "drift", "energy", "ensemble", "flights", "housing", "pipeline"])
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

/** As on AWS: from another folder, with the settings of parts that somebody else has started. */
async function exampleElsewhere(...args: string[]) {
  const directory = await mkdtemp(join(tmpdir(), "modelfleet-elsewhere-"));
  try {
    const file = join(directory, "aws.env");
    const lines = Object.entries(stack.environment).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(file, lines.join(""));
    const environment = { MODELFLEET_ENV_FILE: file };
    const ran = await run("dist/examples/run.js", { directory, args, environment });
    return { ...ran, left: await readdir(directory) };
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("elsewhere it stops at what is missing, before it loads anything", async () => {
  const { code, stderr } = await exampleElsewhere("housing");
  expect(stderr).toContain("error: worker: no worker has asked for work of late");
  expect(stderr).toContain("try: modelfleet worker; npx modelfleet doctor checks every part");
  expect(code).toBe(1);
  const ephemeral = await exampleElsewhere("housing", "--ephemeral");
  expect(ephemeral.stderr).toContain("--ephemeral stops the local stack");
  expect(ephemeral.code).toBe(2);
});

test("housing runs, again for its next month, and for another elsewhere; --ephemeral stops the stack", async () => {
  const small = ["--set", "cities=2", "--set", "houses=200"];
  const first = await example("housing", ...small);
  expect(first.stderr).toContain("Cycle 2020-01-01");
  expect(first.code, first.stderr).toBe(0);
  const second = await exampleElsewhere("housing", ...small);
  expect(second.stderr).toContain("are there: account 111111111111 in us-east-1");
  expect(second.stderr).toContain("400 sales in 2 cities are in the warehouse");
  expect(second.stderr).toContain("Cycle 2020-02-01");
  expect(second.code, second.stderr).toBe(0);
  expect(second.left).toEqual(["aws.env"]);
  const third = await example("housing", ...small, "--ephemeral");
  expect(third.stderr).toContain("Cycle 2020-03-01");
  expect(third.stderr).toContain("the stack is down again");
  expect(third.code, third.stderr).toBe(0);
});
