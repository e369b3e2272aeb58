/** Limits that depend on each other. */
import { expect, test } from "vitest";
import { LIMITS } from "../../fleet/limits.js";

/** Temporal warns when a history has this many events. */
const HISTORY_WARNING = 10_240;

test("a full shard's history stays far below Temporal's warning", () => {
  const progress = LIMITS.customersPerShard / LIMITS.progressStep;
  expect(LIMITS.customersPerShard * 9 + progress * 5).toBeLessThan(HISTORY_WARNING / 4);
});

test("so does the history of the largest cycle", () => {
  const shards = LIMITS.customersPerFleet / LIMITS.customersPerShard;
  expect(shards * 9 + LIMITS.progressSignals * 4).toBeLessThan(HISTORY_WARNING);
});

test("a fleet's name leaves room for a stage and a hash in every AWS name", () => {
  const stage = 16;
  const hash = 12;
  expect(LIMITS.fleetNameLength + stage + hash + 2).toBeLessThanOrEqual(LIMITS.jobNameLength);
});
