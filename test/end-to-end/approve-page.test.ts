/** "Approve, deny, roll back" up to its last part, line by line, on a fleet of that name. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { customerKey } from "../../fleet/names.js";
import { modelfleet, modelfleetJson } from "../cli/modelfleet.js";
import { shownCommands, words } from "../docs/fenced.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type RunningWorker,
} from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const PAGE = "docs/approve.md";
const NEXT_PART = "## Roll a model back"; // Has a test of its own.
const COHORTS = { from: "## A whole cohort", to: "## When nobody decides" }; // Likewise: cohort.test.ts.
const CUSTOMERS = ["XNA", "ATL", "ORD", "IAD", "JFK", "BOS"];
const PATIENTLY = { timeout: 120_000, interval: 200 };

let stack: TestStack;
let worker: RunningWorker | undefined;

/** Version 3 of everybody waits, as the page has it; the two before have served. */
beforeAll(async () => {
  stack = await startTestStack({ basePort: 19030 });
  worker = await startWorkerProcess(stack);
  const fleet = await makeSmallFleet(stack, {
    name: "flight-delays",
    customers: CUSTOMERS,
    better: -1,
    autoApprove: "false",
  });
  for (const [index, at] of ["2024-02-01", "2024-03-01", "2024-04-01"].entries()) {
    const ran = await cli(stack, "run", fleet.file, "--at", at);
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    if (index === 2) break;
    await cli(stack, "approve", "flight-delays", "--all-pending", "--yes");
    await until(index + 1, "serving", CUSTOMERS);
  }
});

afterAll(async () => {
  await worker?.kill();
  await stack.close();
});

interface Model {
  readonly customer: string;
  readonly version: number;
  readonly state: string;
}

async function until(version: number, state: string, customers: readonly string[]): Promise<void> {
  const directory = stack.folder;
  await vi.waitFor(async () => {
    const { models } = await modelfleetJson(["models", "flight-delays", "--all"], { directory });
    const found = (models as Model[])
      .filter((model) => model.version === version && model.state === state)
      .map(({ customer }) => customer);
    expect(found).toEqual(expect.arrayContaining([...customers]));
  }, PATIENTLY);
}

/** The page's two signals to the same version exclude each other: here each goes to another that still waits. */
async function signal(rest: readonly string[], customer: string): Promise<void> {
  const command = process.env.MODELFLEET_TEST_TEMPORAL ?? "temporal";
  const named = rest.map((word) => word.replace(customerKey("XNA"), customerKey(customer)));
  expect(named).not.toEqual(rest);
  await promisify(execFile)(command, named, { env: { ...process.env, ...stack.environment } });
}

test("what the page says to type works", async () => {
  const text = readFileSync(PAGE, "utf8");
  const lineOf = (title: string): number => text.slice(0, text.indexOf(title)).split("\n").length;
  const commands = shownCommands(PAGE).filter(
    ({ line }) =>
      line < lineOf(NEXT_PART) && (line < lineOf(COHORTS.from) || line > lineOf(COHORTS.to)),
  );
  expect(commands.length).toBeGreaterThanOrEqual(11);
  for (const { command, line } of commands) {
    const where = `${PAGE}:${line} ${command}`;
    const [program, name, ...rest] = words(command);
    if (program === "temporal") {
      const approves = rest.includes("approve");
      await signal([name ?? "", ...rest], approves ? "IAD" : "JFK");
      await until(3, approves ? "serving" : "denied", [approves ? "IAD" : "JFK"]);
      continue;
    }
    expect([program, name], where).toEqual(["npx", "modelfleet"]);
    const { code, stdout, stderr } = await modelfleet(rest, { directory: stack.folder });
    expect(code, `${where}\n${stdout}\n${stderr}`).toBe(0);
    if (command.includes("approve flight-delays XNA ATL"))
      await until(3, "serving", ["XNA", "ATL"]);
    if (command.includes("--version 3")) await until(3, "withdrawn", ["XNA"]);
  }
  await until(2, "serving", ["XNA", "ORD", "JFK"]);
  await until(3, "serving", ["ATL", "IAD", "BOS"]);
  await until(3, "denied", ["ORD", "JFK"]);
});
