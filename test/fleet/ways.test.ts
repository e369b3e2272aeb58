import { expect, test } from "vitest";
import { compareWays, coresOf } from "../../fleet/cost.js";

test.each([
  ["ml.m5.large", 2],
  ["ml.m5.xlarge", 4],
  ["ml.c5.18xlarge", 72],
  ["ml.p4d.metal", 2],
])("%s has %i cores", (type, cores) => {
  expect(coresOf(type)).toBe(cores);
});

test("start-up is what a job for each customer costs, and one packed job does not", () => {
  const { packed, each } = compareWays({
    customers: 1000,
    fits: 8000,
    instanceType: "ml.m5.xlarge",
    instances: 2,
    atATime: 50,
    secondsPerFit: 0.5,
  });
  // 8,000 fits of 0.5 s on 4 cores are 1,000 s, and two instances start for 120 s each.
  expect(packed).toEqual({
    way: "packed",
    trainingJobs: 1,
    tuningJobs: 0,
    instanceHours: 0.34,
    startUpHours: 0.07,
    wallHours: 0.17,
    usd: 0.08,
  });
  // 8,000 starts of 120 s.
  expect(each).toMatchObject({ trainingJobs: 8000, tuningJobs: 1000, startUpHours: 266.67 });
  expect(each.usd).toBeCloseTo(61.59, 1);
});

test("without a search each customer has a training job, and no price is made up", () => {
  const { packed, each } = compareWays({
    customers: 10,
    fits: 10,
    instanceType: "ml.made-up.large",
    instances: 1,
    atATime: 5,
  });
  expect(each).toMatchObject({ trainingJobs: 10, tuningJobs: 0, usd: null });
  expect(packed).toMatchObject({ trainingJobs: 1, usd: null });
});
