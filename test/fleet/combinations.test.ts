/** Which ways of training, tuning and serving go together, and the sentence for those that do not. */
import { describe, expect, test } from "vitest";
import { categorical, continuous } from "../../fleet/ranges.js";
import { fleetDeclarationSchema, fleetSpecSchema } from "../../fleet/spec.schema.js";
import { aFleetSpec } from "../workflows/builders.js";

const sourceHash = "0".repeat(64);
const training = (kind: string) => ({
  ...{ kind, source: "model", sourceHash },
  ...(kind === "pipeline" && { preprocessor: { source: "preprocessor", sourceHash } }),
});

const issuesOf = (changes: object) => {
  const { error } = fleetSpecSchema.safeParse({ ...aFleetSpec(), ...changes });
  return (error?.issues ?? []).map(({ path, message }) => [path.join("."), message]);
};

test.each([
  ["script", "multi-model"],
  ["script", "serverless"],
  ["script", "dedicated"],
  ["sharded", "multi-model"],
  ["pipeline", "pipeline"],
])("%s goes with %s", (trained, served) => {
  expect(issuesOf({ training: training(trained), endpoint: { kind: served } })).toEqual([]);
});

test.each([
  ["pipeline", "serverless", "SageMaker has no inference pipelines on serverless endpoints"],
  ["pipeline", "multi-model", "makes models that need its preprocessor before them"],
  ["script", "pipeline", "pipelineEndpoint(…) needs a preprocessor"],
  ["sharded", "serverless", "makes thousands of models"],
  ["sharded", "dedicated", "makes thousands of models"],
])("%s does not go with %s", (trained, served, sentence) => {
  const issues = issuesOf({ training: training(trained), endpoint: { kind: served } });
  expect(issues).toEqual([["endpoint", expect.stringContaining(sentence)]]);
});

test("a pipeline has no segments to judge by", () => {
  const changes = { training: training("pipeline"), endpoint: { kind: "pipeline" } };
  const gate = { segments: [{ column: "hour", maximumDrop: 0.1 }] };
  expect(issuesOf({ ...changes, gate })).toEqual([
    ["gate.segments", expect.stringContaining("see prepared rows")],
  ]);
});

const declared = (changes: Readonly<Record<string, unknown>>) =>
  fleetDeclarationSchema.safeParse({
    name: "energy",
    source: {
      kind: "postgres",
      connection: "WAREHOUSE_URL",
      query: "select * from t where at >= :floor and at < :ceiling",
      customer: "customer",
      target: "target",
      window: { months: 1 },
      split: { validation: 0.1, test: 0.1 },
    },
    training: { kind: "sharded", source: "training", framework: "scikit-learn" },
    endpoint: { kind: "multi-model" },
    stages: [{ name: "sandbox", account: "111111111111" }],
    ...changes,
  });

const problemsOf = (changes: Readonly<Record<string, unknown>>): string[] =>
  (declared(changes).error?.issues ?? []).map(
    ({ path, message }) => `${path.join(".")}: ${message}`,
  );

const tuning = (more: object) => ({
  tuning: { ranges: { scale: continuous(0.1, 1) }, maxJobs: 4, ...more },
});

describe("a sharded fleet", () => {
  test("is taken with the usual endpoint, with a search, and on spot instances", () => {
    expect(problemsOf({})).toEqual([]);
    expect(problemsOf(tuning({ strategy: "Random", warmStart: { parents: 2 } }))).toEqual([]);
    const spot = { maxWaitSeconds: 7200 };
    expect(problemsOf({ training: { kind: "sharded", source: "t", spot } })).toEqual([]);
  });

  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    [
      "an endpoint for each of thousands",
      { endpoint: { kind: "dedicated" } },
      "endpoint: training by sharded(…)",
    ],
    ["stable names", { endpoint: { kind: "multi-model", naming: "stable" } }, "endpoint.naming:"],
    [
      "a wait that is shorter than the run",
      { training: { kind: "sharded", source: "t", spot: { maxWaitSeconds: 60 } } },
      "training.spot.maxWaitSeconds: must be at least training.maxRuntimeSeconds (1800)",
    ],
    ["trials side by side", tuning({ parallel: 2 }), "tuning.parallel: a sharded fleet"],
    ["early stopping", tuning({ earlyStopping: true }), "tuning.earlyStopping: a sharded fleet"],
    [
      "a grid",
      tuning({ ranges: { mode: categorical("a", "b") }, maxJobs: 2, strategy: "Grid" }),
      'tuning.strategy: a sharded fleet searches inside of its one job, by "Bayesian" or "Random"',
    ],
    [
      "siblings",
      tuning({ warmStart: { parents: 1, siblings: ["other"] } }),
      "tuning.warmStart.siblings: a sharded fleet",
    ],
  ])("refuses %s", (_what, changes, problem) => {
    expect(problemsOf(changes).join("\n")).toContain(problem);
  });
});
