/** The pipeline, from raw rows to raw rows: fitted, transformed, trained and served by real parts. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { example } from "../../examples/pipeline/example.js";
import { startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";
import { runExample } from "./example.js";

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19348 });
  worker = await startWorkerProcess(stack);
});
afterAll(async () => {
  await worker.stop();
  await stack.close();
});

const small = { locations: 3, houses: 120 };

test("raw rows are answered by the location's model behind the preprocessor", async () => {
  const { shown } = await runExample(stack, example, { at: "2026-01-01", settings: small });
  expect(shown.match(/\$[\d,]+, took \d+ ms, then \d+ ms/g)).toHaveLength(3);
  expect(shown).toMatch(/NewYork_NY +\d{4},\d+,\d,.*,[yn],[yn]/);
});
