/** How many customers a cycle may lose, and what it costs. */
import { describe, expect, test } from "vitest";
import { ASSUMED_SECONDS_PER_JOB, estimateCost } from "../../fleet/cost.js";
import { failureBudgetExceeded } from "../../fleet/failure-budget.js";

describe("the failure budget", () => {
  test.each([
    ["nothing failed", { customers: 100, skipped: 0, failed: 0 }, 0, true],
    ["all were skipped", { customers: 100, skipped: 100, failed: 0 }, 0, true],
    ["just within", { customers: 100, skipped: 0, failed: 5 }, 0.05, true],
    ["just past", { customers: 100, skipped: 0, failed: 6 }, 0.05, false],
    ["none may fail", { customers: 100, skipped: 0, failed: 1 }, 0, false],
    ["all may fail", { customers: 3, skipped: 0, failed: 3 }, 1, true],
    ["skipped ones do not count", { customers: 1000, skipped: 997, failed: 3 }, 0.05, false],
  ])("%s", (_title, counts, budget, within) => {
    expect(failureBudgetExceeded(counts, budget) === null).toBe(within);
  });

  test("tells the figures when it is exceeded", () => {
    expect(failureBudgetExceeded({ customers: 105, skipped: 1, failed: 13 }, 0.05)).toBe(
      "13 of 104 customers failed (12.5 %), failureBudget allows 5 %",
    );
  });
});

describe("the cost estimate", () => {
  const cycle = {
    trainingJobs: 100,
    trainingInstanceType: "ml.m5.large",
  };

  test("is jobs by the time they took before", () => {
    expect(estimateCost({ ...cycle, secondsPerJob: 360 })).toEqual({
      trainingUsd: 1.15,
      secondsPerJob: 360,
    });
  });

  test("assumes a short job when none ran before", () => {
    expect(estimateCost(cycle).secondsPerJob).toBe(ASSUMED_SECONDS_PER_JOB);
  });

  test("does not guess a price it does not know", () => {
    expect(estimateCost({ ...cycle, trainingInstanceType: "ml.new.large" })).toMatchObject({
      trainingUsd: null,
    });
  });
});
