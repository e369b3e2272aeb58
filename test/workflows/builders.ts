/** Inputs of workflows that show only what matters to a test. */
import { gateSchema } from "../../fleet/gate.schema.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Pace, ReleaseModelInput, RetrainModelInput } from "../../workflows/messages.js";

let fleets = 0;

/** Own ids in every test: they share a server. */
export const aFleetName = (): string => `fleet-${++fleets}`;

/** Short where workflows act after a wait; long where a wait must not end by itself. */
export const testPace: Pace = {
  guardSeconds: 300,
  headStartSeconds: 300,
  collectSeconds: 0.05,
  roundSeconds: 0.01,
  idleSeconds: 300,
  graceSeconds: 0.01,
};

export function aFleetSpec(changes: Partial<FleetSpec> = {}): FleetSpec {
  return {
    specVersion: 1,
    name: aFleetName(),
    source: {
      kind: "postgres",
      connection: "WAREHOUSE_URL",
      query: "select * from t where at >= :floor and at < :ceiling",
      customer: "customer",
      target: "target",
      window: { months: 6, pushbackDays: 0 },
      split: { by: "hash", validation: 0.3, test: 0.1 },
      minimumRows: 50,
    },
    training: {
      kind: "script",
      source: "training",
      framework: "xgboost",
      entryPoint: "train.py",
      inferenceEntryPoint: "inference.py",
      instanceType: "ml.m5.large",
      volumeSizeInGb: 10,
      maxRuntimeSeconds: 1800,
      hyperparameters: {},
      sourceHash: "0".repeat(64),
    },
    gate: gateSchema.parse({}),
    endpoint: {
      kind: "multi-model",
      instanceType: "ml.m5.xlarge",
      instances: 1,
      naming: "versioned",
    },
    stages: [{ name: "sandbox", account: "111111111111" }],
    concurrency: 50,
    failureBudget: 0.05,
    ...changes,
  };
}

export const aModelInput = (changes: Partial<RetrainModelInput> = {}): RetrainModelInput => ({
  fleet: aFleetName(),
  stage: "sandbox",
  cycle: "2013-07-01",
  customerKey: "xna",
  tune: false,
  pace: testPace,
  ...changes,
});

export const aReleaseInput = (changes: Partial<ReleaseModelInput> = {}): ReleaseModelInput => ({
  ...aModelInput(),
  version: 7,
  evaluation: "rmse 9 is 10 % below the champion's 10",
  ...changes,
});
