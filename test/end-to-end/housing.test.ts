/** The housing example, small, as `npm run example` runs it; then all of it is taken down again. */
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createColors } from "picocolors";
import type { Shell } from "../../client/cli/shell.js";
import { openConnections } from "../../client/connections.js";
import { example } from "../../examples/housing/example.js";
import { load } from "../../examples/housing/load.js";
import { workflowIds } from "../../workflows/messages.js";
import { modelfleetJson } from "../cli/modelfleet.js";
import { cli, startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19312 });
  worker = await startWorkerProcess(stack);
});
afterAll(async () => {
  await worker.stop();
  await stack.close();
});

const settings = { cities: 2, houses: 300 };
const json = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });
const file = resolve("examples/housing/fleet.ts");

const runCycle = async (at: string): Promise<void> => {
  const { code, stderr } = await cli(stack, "run", file, "--at", at);
  expect(stderr + String(code)).toMatch(/0$/);
};

/** What the example prints after that cycle. */
async function shown(cycle: string): Promise<string> {
  const lines: string[] = [];
  const stream = { write: (text: string) => lines.push(text) };
  const colors = createColors(false);
  const shell: Shell = {
    ...{ stdin: process.stdin, stdout: stream, stderr: stream, directory: stack.folder },
    ...{ colors, progressColors: colors, exit: () => undefined },
    environment: () => stack.environment,
  };
  // The SDK's clients take their credentials from the process.
  Object.assign(process.env, stack.environment);
  const run = {
    ...{ fleet: "housing", cycle, found: false },
    workflowId: workflowIds.retrainFleet("housing", cycle),
  };
  const connections = openConnections(stack.environment);
  await example.show({ shell, connections, run: run as never, settings, ephemeral: false });
  await connections.close();
  return lines.join("");
}

test("two cities in two months: listed, invoked cold and warm, side by side, and taken down", async () => {
  const url = String(stack.environment.WAREHOUSE_URL);
  expect(await load(url, settings)).toBe("600 sales in 2 cities loaded into the warehouse");
  expect(await load(url, settings)).toBe("600 sales in 2 cities are in the warehouse");
  await runCycle("2020-01-01");
  const first = await shown("2020-01-01");
  expect(first).toMatch(/could serve before: 0 models/);
  expect(first).toMatch(/while it served: 2 models/);
  expect(first).toMatch(/NewYork_NY +\d+\.\d ms +1469 ms +\d+\.\d ms +23 ms/);

  await runCycle("2020-02-01");
  const second = await shown("2020-02-01");
  expect(second).toMatch(/could serve before: 2 models/);
  const { models } = await json("models", "housing", "--stage");
  const served = models as { customer: string; version: number; isPointedTo: boolean }[];
  expect(served.filter(({ isPointedTo }) => isPointedTo)).toHaveLength(2);
  expect(served.length).toBeGreaterThan(2);
  expect(second).toMatch(/v000001\.tar\.gz {2}\$[\d,]+\n.*v000002\.tar\.gz {2}\$[\d,]+/);

  const { endpoints } = await json("endpoint", "housing", "--since", "30m");
  expect(endpoints).toMatchObject([
    { endpointName: "housing-sandbox", kind: "multi-model", status: "InService", customers: 2 },
  ]);
  const policy = JSON.parse(
    (await cli(stack, "iam", "customer-policy", "housing", "NewYork_NY")).stdout,
  ) as {
    Statement: { Condition: unknown }[];
  };
  expect(policy.Statement[0]?.Condition).toEqual({
    StringLike: {
      "sagemaker:TargetModel": [expect.stringMatching(/^newyork-ny-[0-9a-f]{12}\/\*$/)],
    },
  });

  const { endpoints: there, ledgerRows } = await json("destroy", "housing", "--dry-run");
  expect(there).toEqual({ count: 1, names: ["housing-sandbox"] });
  expect(ledgerRows).toMatchObject({ cycles: 2, customers: 4 });
  const refused = await cli(stack, "destroy", "housing");
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("--yes");

  expect(await json("destroy", "housing", "--yes")).toMatchObject({ destroyed: true });
  const left = await json("destroy", "housing", "--yes");
  expect(left).toMatchObject({ destroyed: false, endpoints: { count: 0 }, objects: { count: 0 } });
  expect(left).toMatchObject({ ledgerRows: {}, modelPackageGroups: { count: 0 } });
  // Nothing is in the way of starting again.
  await runCycle("2020-03-01");
  const anew = (await json("models", "housing", "--stage")).models as { version: number }[];
  expect(anew.map(({ version }) => version)).toEqual([1, 1]);
});
