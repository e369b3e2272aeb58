/** The figures between a training script's output and the gate. */
import { describe, expect, test } from "vitest";
import { MetricsError } from "../../fleet/errors.js";
import { LIMITS } from "../../fleet/limits.js";
import { type FinalMetric, METRIC_DEFINITIONS, readEvaluation } from "../../fleet/metrics.js";

const FIGURES: Readonly<Record<string, number>> = {
  "validation:rmse": 11,
  "test:rmse": 12,
  "test:mae": 8,
  "test:stdev_error": 12.5,
  "baseline:rmse": 40,
  "baseline:mae": 30,
  "train:rows": 600,
  "validation:rows": 300,
  "test:rows": 100,
  "verification:1": -3.25,
  "verification:2": 4e-7,
  "verification:3": 17,
};

const CHAMPION = { "champion:rmse": 13, "champion:mae": 9, "champion:stdev_error": 13.5 };

const asAnswered = (figures: Readonly<Record<string, number>>): FinalMetric[] =>
  Object.entries(figures).map(([MetricName, Value]) => ({ MetricName, Value }));

/** What the service does with a log: the last match of each definition counts. */
function capture(log: string): FinalMetric[] {
  return METRIC_DEFINITIONS.flatMap(({ Name, Regex }) => {
    const last = [...log.matchAll(new RegExp(Regex, "g"))].at(-1)?.[1];
    return last === undefined ? [] : [{ MetricName: Name, Value: Number(last) }];
  });
}

test("a first model's figures are read, without a champion's", () => {
  expect(readEvaluation(asAnswered(FIGURES))).toEqual({
    challenger: { rmse: 12, mae: 8, stdevError: 12.5 },
    champion: null,
    baseline: { rmse: 40, mae: 30 },
    improvement: null,
    segmentDrops: [null, null, null],
    objective: { metric: "validation:rmse", value: 11 },
    rows: { train: 600, validation: 300, test: 100 },
    predictions: [-3.25, 4e-7, 17],
  });
});

test("a champion's figures are read when the job had one", () => {
  expect(readEvaluation(asAnswered({ ...FIGURES, ...CHAMPION })).champion).toEqual({
    rmse: 13,
    mae: 9,
    stdevError: 13.5,
  });
});

test("a search's own objective is read in place of the usual one", () => {
  expect(readEvaluation(asAnswered(FIGURES), "test:mae").objective).toEqual({
    metric: "test:mae",
    value: 8,
  });
  expect(() => readEvaluation(asAnswered(FIGURES), "validation:mae")).toThrow("validation:mae");
});

test("how sure the improvement is, and the segments by position, are read beside a champion", () => {
  const compared = { "improvement:low": -0.01, "improvement:high": 0.08, "segment:2:drop": 0.25 };
  const { improvement, segmentDrops } = readEvaluation(
    asAnswered({ ...FIGURES, ...CHAMPION, ...compared }),
  );
  expect(improvement).toEqual({ low: -0.01, high: 0.08 });
  expect(segmentDrops).toEqual([null, 0.25, null]);
  expect(readEvaluation(asAnswered({ ...FIGURES, ...compared }))).toMatchObject({
    improvement: null,
    segmentDrops: [null, null, null],
  });
});

test("what the script prints is what is read", () => {
  const log = Object.entries({ ...FIGURES, ...CHAMPION })
    .map(([name, value]) => `${name}=${value};`)
    .join("\n");
  expect(readEvaluation(capture(log))).toEqual(
    readEvaluation(asAnswered({ ...FIGURES, ...CHAMPION })),
  );
});

test("fewer test rows than are verified give fewer predictions", () => {
  const { "verification:2": _second, "verification:3": _third, ...two } = FIGURES;
  expect(readEvaluation(asAnswered(two)).predictions).toEqual([-3.25]);
});

describe("refused, with the metric named", () => {
  test.each(Object.keys(FIGURES).filter((name) => !name.startsWith("verification")))(
    "%s is missing",
    (name) => {
      const answered = asAnswered(FIGURES).filter((metric) => metric.MetricName !== name);
      expect(() => readEvaluation(answered)).toThrow(`without the metric ${name}`);
      expect(() => readEvaluation(answered)).toThrow(MetricsError);
    },
  );

  test.each([NaN, Infinity, -Infinity])("%s is no figure", (value) => {
    expect(() => readEvaluation(asAnswered({ ...FIGURES, "test:mae": value }))).toThrow(
      `test:mae=${value}`,
    );
  });

  test("half an interval", () => {
    const half = { ...FIGURES, ...CHAMPION, "improvement:low": 0.1 };
    expect(() => readEvaluation(asAnswered(half))).toThrow("improvement:high");
  });

  test("half a champion", () => {
    const { "champion:mae": _mae, ...half } = CHAMPION;
    expect(() => readEvaluation(asAnswered({ ...FIGURES, ...half }))).toThrow("champion:mae");
  });
});

test("the definitions are what SageMaker takes", () => {
  expect(METRIC_DEFINITIONS.length).toBeLessThanOrEqual(LIMITS.tuningMetrics);
  for (const { Name, Regex } of METRIC_DEFINITIONS) {
    expect(Name.length).toBeLessThanOrEqual(255);
    expect(Regex.length).toBeLessThanOrEqual(500);
  }
});
