/** The ensemble, from scikit-learn's data to a serverless endpoint: everything real, and small as it is. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { example } from "../../examples/ensemble/example.js";
import { startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";
import { runExample } from "./example.js";

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19324 });
  worker = await startWorkerProcess(stack);
});
afterAll(async () => {
  await worker.stop();
  await stack.close();
});

test("is tuned by one search, and answers for both models at once", async () => {
  const { shown } = await runExample(stack, example, { at: "2026-01-01" });
  const trials = shown.match(/eta 0\.\d+ {2}max_depth [34] {2}RMSE of the blend \d+/g) ?? [];
  expect(trials).toHaveLength(4);
  expect(shown).toMatch(/\d+\.\d {2}for \d/);
  const [, cold = NaN, warm = NaN] =
    /cold +(\d+) ms: .*\n +warm +(\d+\.\d) ms/.exec(shown)?.map(Number) ?? [];
  expect(cold).toBeGreaterThan(warm);
});
