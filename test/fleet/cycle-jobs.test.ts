/** What a cycle runs besides training, and what a serverless endpoint costs. */
import { expect, test } from "vitest";
import { cycleJobs, serverlessCost } from "../../fleet/cycle-jobs.js";
import { fleetSpecSchema } from "../../fleet/spec.schema.js";

const sourceHash = "a".repeat(64);
const usdPerHour = (instanceType: string) => ({ "ml.m5.large": 0.12 })[instanceType];

function spec(changes: Readonly<Record<string, unknown>>) {
  return fleetSpecSchema.parse({
    name: "churn",
    source: {
      ...{ kind: "postgres", connection: "WAREHOUSE_URL", query: "select :floor, :ceiling" },
      ...{ customer: "customer", target: "y", window: { months: 3 } },
      split: { validation: 0.3, test: 0.1 },
    },
    training: { kind: "script", source: ".", sourceHash },
    endpoint: { kind: "multi-model" },
    stages: [{ name: "sandbox", account: "111111111111" }],
    ...changes,
  });
}

const pipeline = {
  training: {
    ...{ kind: "pipeline", source: ".", sourceHash },
    preprocessor: {
      ...{ source: ".", sourceHash, instanceType: "ml.m5.large" },
      transform: { instanceType: "ml.new.large", instances: 2 },
    },
  },
  endpoint: { kind: "pipeline" },
};

test("a fleet that trains on its rows as they are has none", () => {
  expect(cycleJobs({ spec: spec({}), customers: 7, usdPerHour })).toEqual([]);
});

test("a preparation is one processing job, of all its instances", () => {
  const preparation = { kind: "processing", source: ".", sourceHash, instances: 3 };
  expect(cycleJobs({ spec: spec({ preparation }), customers: 7, usdPerHour })).toEqual([
    {
      ...{ kind: "processing", jobs: 1, instanceType: "ml.m5.large", instances: 3 },
      ...{ instanceHours: 0.1, usd: 0.01 },
    },
  ]);
});

test("a pipeline fits its preprocessor and transforms three sets of rows; no price is guessed", () => {
  expect(cycleJobs({ spec: spec(pipeline), customers: 7, usdPerHour })).toEqual([
    {
      ...{ kind: "preprocessor", jobs: 1, instanceType: "ml.m5.large", instances: 1 },
      ...{ instanceHours: 0.03, usd: 0.004 },
    },
    {
      ...{ kind: "transform", jobs: 3, instanceType: "ml.new.large", instances: 2 },
      ...{ instanceHours: 0.2, usd: null },
    },
  ]);
});

test("a pipeline without customers to train runs neither", () => {
  expect(cycleJobs({ spec: spec(pipeline), customers: 0, usdPerHour })).toEqual([]);
});

test("a serverless endpoint is billed by its memory and the seconds it computes", () => {
  expect(serverlessCost({ memorySizeInMb: 6144 })).toEqual({
    usdPerSecond: 0.00012,
    usdPerThousandCalls: 0.012,
  });
});
