/** Statistics of samples that are kept as summaries. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { byPeriod, statisticOf } from "../../local/sagemaker/cloudwatch-statistics.js";
import {
  createSummary,
  merge,
  percentile,
  summaryOf,
} from "../../local/sagemaker/metric-summary.js";

function summarize(values: readonly number[]) {
  const samples = createSummary();
  for (const value of values) samples.add(value);
  return samples.summary();
}

const samples = fc.array(fc.double({ min: 0, max: 3_600_000_000, noNaN: true }), { minLength: 1 });

describe("a summary", () => {
  test("knows percentiles within 1 % of the exact ones, whatever the samples", () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 0, max: 100 }), (values, percent) => {
        const exact =
          [...values].sort((a, b) => a - b)[
            Math.max(1, Math.ceil((percent / 100) * values.length)) - 1
          ] ?? 0;
        const found = percentile(summarize(values), percent);
        expect(Math.abs(found - exact)).toBeLessThanOrEqual(exact * 0.0101 + 2e-6);
      }),
    );
  });

  test("of two parts is that of the whole", () => {
    fc.assert(
      fc.property(samples, samples, (one, other) => {
        const whole = summarize([...one, ...other]);
        const merged = merge(summarize(one), summarize(other));
        expect(merged).toMatchObject({ count: whole.count, histogram: whole.histogram });
        expect([merged.minimum, merged.maximum]).toEqual([whole.minimum, whole.maximum]);
      }),
    );
  });

  test("stays small however many samples there are", () => {
    const values = Array.from({ length: 100_000 }, (_, index) => 1.0003 ** index);
    expect(Object.keys(summarize(values).histogram).length).toBeLessThan(1_600);
  });
});

describe("periods", () => {
  const minute = (at: number, value: number) => ({
    ...{ minute: at, unit: "Microseconds" },
    ...summaryOf(value),
  });

  test("begin at multiples of their length and leave out what has no sample", () => {
    const periods = byPeriod([minute(0, 1), minute(60, 3), minute(240, 5), minute(600, 7)], 300);
    expect(periods).toMatchObject([
      { begin: 0, count: 3, sum: 9, minimum: 1, maximum: 5 },
      { begin: 600, count: 1, sum: 7 },
    ]);
  });

  test.each([
    ["SampleCount", 4],
    ["Sum", 10],
    ["Average", 2.5],
    ["Minimum", 1],
    ["Maximum", 4],
    ["p0", 1],
    ["p100", 4],
  ])("%s", (name, value) => {
    expect(statisticOf(name)?.(summarize([1, 2, 3, 4]))).toBeCloseTo(value);
  });

  test.each(["tm99", "p101", "p", "IQM", "sum", "constructor"])("there is no %s", (name) => {
    expect(statisticOf(name)).toBeUndefined();
  });
});
