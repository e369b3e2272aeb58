/** For which changes of its fleet file a model is trained again although its data are the same. */
import { describe, expect, test } from "vitest";
import { approvalSchema } from "../../fleet/approval.schema.js";
import { modelHash } from "../../fleet/model-hash.js";
import { scheduleSchema } from "../../fleet/schedule.schema.js";
import { multiModelEndpointSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { tuningSchema } from "../../fleet/tuning.schema.js";
import { monthly, xgboostRanges } from "../../index.js";
import { aFleetSpec } from "../workflows/builders.js";

const spec = aFleetSpec({ name: "churn" });
const { source, training, gate } = spec;

describe("no model changes with", () => {
  test.each<[string, Partial<FleetSpec> & Record<string, unknown>]>([
    [
      "when the fleet is retrained",
      { schedule: scheduleSchema.parse(monthly({ day: 1, at: "03:00" })) },
    ],
    [
      "who decides, and how long that may take",
      { approval: approvalSchema.parse({ expireAfter: "2d" }) },
    ],
    ["what a model must reach", { gate: { ...gate, better: 0.5 } }],
    ["how many are made at a time", { concurrency: 7 }],
    ["how many may fail", { failureBudget: 0.5 }],
    [
      "the window, whose rows the data's hash tells",
      { source: { ...source, window: { months: 3, pushbackDays: 9 } } },
    ],
    ["the name of the warehouse's secret", { source: { ...source, connection: "OTHER_URL" } }],
    ["how few rows are too few", { source: { ...source, minimumRows: 3 } }],
    ["the machine of the training", { training: { ...training, instanceType: "ml.m5.4xlarge" } }],
    ["how long the training may take", { training: { ...training, maxRuntimeSeconds: 60 } }],
    ["where the code's folder lies", { training: { ...training, source: "elsewhere" } }],
    [
      "the machines of the endpoint",
      { endpoint: multiModelEndpointSchema.parse({ kind: "multi-model", instances: 9 }) },
    ],
  ])("%s", (_what, changes) => {
    expect(modelHash({ ...spec, ...changes })).toBe(modelHash(spec));
  });
});

describe("another model may come of", () => {
  test.each<[string, Partial<FleetSpec> & Record<string, unknown>]>([
    ["other code", { training: { ...training, sourceHash: "1".repeat(64) } }],
    ["another hyperparameter", { training: { ...training, hyperparameters: { eta: "0.3" } } }],
    ["another script", { training: { ...training, entryPoint: "tune.py" } }],
    ["another image", { training: { ...training, image: "xgboost:2" } }],
    ["another query", { source: { ...source, query: "select 1 where :floor < :ceiling" } }],
    ["another split", { source: { ...source, split: { ...source.split, test: 0.2 } } }],
    ["another stage to serve in", { stages: [{ name: "prod", account: "333333333333" }] }],
    [
      "a search for hyperparameters",
      { tuning: tuningSchema.parse({ ranges: xgboostRanges, maxJobs: 8 }) },
    ],
    ["a key that this rule does not know", { ensemble: { members: 8 } }],
  ])("%s", (_what, changes) => {
    expect(modelHash({ ...spec, ...changes })).not.toBe(modelHash(spec));
  });
});
