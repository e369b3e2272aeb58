/** How a search's progress is counted, on trials small enough to count by hand. */
import { describe, expect, test } from "vitest";
import { bestSoFar, jobsToReach, relativeCurve } from "../../bench/warm-start/curves.js";

describe("the best so far", () => {
  test("never gets worse, and a job without a value changes nothing", () => {
    expect(bestSoFar([9, 10, null, 7, 8])).toEqual([9, 9, 9, 7, 7]);
  });

  test("is infinite until the first value", () => {
    expect(bestSoFar([null, 5])).toEqual([Infinity, 5]);
  });
});

describe("the jobs to reach a goal", () => {
  test.each([
    [10, 1],
    [9, 2],
    [8.5, 4],
    [7, 4],
  ])("of %d are %d", (goal, jobs) => {
    expect(jobsToReach([10, 9, 9.5, 7], goal)).toBe(jobs);
  });

  test("are unknown when it was not reached", () => {
    expect(jobsToReach([10, null, 9], 8)).toBeNull();
    expect(jobsToReach([], 8)).toBeNull();
  });
});

test("a curve is relative to its goal, and keeps the last value of a search that ended early", () => {
  expect(relativeCurve([20, 10, 5], 10, 5)).toEqual([2, 1, 0.5, 0.5, 0.5]);
});
