/** Models that deviate from their cohort, and samples to look at first. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { outlierJudge, robustScale, type Judged } from "../../fleet/outliers.js";
import { stratifiedSample } from "../../fleet/sample.js";

const model = (error: number, changes: Partial<Judged> = {}): Judged => ({
  metric: "rmse",
  error,
  championError: error * 1.05,
  baselineError: 40,
  ...changes,
});

/** Errors from 15 to 24. */
const cohort = Array.from({ length: 40 }, (_none, index) => model(15 + (index % 10)));

describe("an outlier", () => {
  const judge = outlierJudge(cohort);

  test("is far above the others, and is told with figures", () => {
    expect(judge(model(400))).toMatch(
      /^rmse 400, the cohort's median is 19\.\d+ \(robust z 1\d\.\d\)/,
    );
  });

  test("is far too good as well", () => {
    expect(judge(model(0))).toContain("rmse 0");
  });

  test("can lie within the errors and yet beyond the changes", () => {
    const mixed = cohort.map((one, index) =>
      model(one.error ?? 0, { championError: (one.error ?? 0) * (1 + index / 400) }),
    );
    const because = outlierJudge(mixed)(model(19, { championError: 60 }));
    expect(because).toContain("31.7 % of the champion's error");
    expect(because).not.toContain("rmse 19,");
  });

  test("is none that is like the others, or has no figures", () => {
    expect(judge(model(18))).toBeNull();
    expect(judge(model(NaN))).toBeNull();
    expect(
      judge({ metric: "rmse", error: null, championError: null, baselineError: null }),
    ).toBeNull();
  });

  test("is nobody in a cohort that is too small, or all alike", () => {
    expect(outlierJudge(cohort.slice(0, 7))(model(400))).toBeNull();
    const alike = Array.from({ length: 20 }, () => model(10));
    expect(outlierJudge(alike)(model(10))).toBeNull();
  });

  test("is seen though more than half are equal", () => {
    const most = [...Array.from({ length: 20 }, () => 1), 1.1, 0.9];
    expect(robustScale(most)?.score(3)).toBeGreaterThan(3.5);
  });
});

test("one value, however wild, moves the scale of many by little", () => {
  fc.assert(
    fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), (wild) => {
      const values = Array.from({ length: 99 }, (_none, index) => index / 10);
      const scale = robustScale([...values, wild]);
      expect(scale?.median).toBeGreaterThan(4.7);
      expect(scale?.median).toBeLessThan(5.1);
    }),
  );
});

describe("a sample", () => {
  const hundred = Array.from({ length: 100 }, (_none, index) => (index * 37) % 100);
  const sample = (size: number) => stratifiedSample(hundred, size, (one) => one);

  test("is spread over the range, with both ends", () => {
    expect(sample(5)).toEqual([0, 25, 50, 74, 99]);
    expect(sample(1)).toEqual([50]);
  });

  test("is all when there are no more, and the same every time", () => {
    expect(sample(100)).toHaveLength(100);
    expect(stratifiedSample([3, 1], 20, (one) => one)).toEqual([3, 1]);
    expect(sample(20)).toEqual(sample(20));
  });

  test("ends with those that have no figure", () => {
    const some = [null, 2, null, 1, 3];
    expect(stratifiedSample(some, 2, (one) => one)).toEqual([1, null]);
  });
});
