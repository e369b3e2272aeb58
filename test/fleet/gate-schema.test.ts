/** What a fleet file may say about its gate. */
import { describe, expect, test } from "vitest";
import { comparisonRequest } from "../../fleet/comparison.js";
import { gateSchema } from "../../fleet/gate.schema.js";

test("without a word the challenger has to be as good, and a person decides", () => {
  expect(gateSchema.parse({})).toEqual({
    metric: "rmse",
    better: 0,
    judgement: "threshold",
    minimumTestRows: 1,
    bounds: {},
    noWorseThanBaseline: false,
    segments: [],
    firstModel: "approve-as-policy",
    autoApprove: false,
  });
});

test("a judgement's confidence is 95 % unless another is asked", () => {
  const { judgement } = gateSchema.parse({ judgement: { kind: "non-inferior", margin: 0.01 } });
  expect(judgement).toEqual({ kind: "non-inferior", margin: 0.01, confidence: 0.95 });
});

describe("refused, with the field and what would be right", () => {
  test.each<[string, object, string]>([
    [
      "a metric that nobody measures",
      { metric: "rsme" },
      "metric: Invalid option: expected one of",
    ],
    ["a bound of such a metric", { bounds: { r2: { max: 1 } } }, 'bounds: Unrecognized key: "r2"'],
    [
      "a bound below which no error is",
      { bounds: { mae: { max: -1 } } },
      "bounds.mae.max: Too small",
    ],
    ["a word for a judgement", { judgement: "superior" }, 'judgement: "threshold" (the measured'],
    [
      "a margin of everything",
      { judgement: { kind: "superior", margin: 1 } },
      "judgement.margin: Too big: expected number to be <1",
    ],
    [
      "certainty",
      { judgement: { kind: "superior", margin: 0, confidence: 1 } },
      "judgement.confidence: Too big: expected number to be <=0.999",
    ],
    [
      "a threshold beside a judgement that does not use it",
      { better: 0.02, judgement: { kind: "superior", margin: 0 } },
      'better: is for judgement: "threshold"',
    ],
    [
      "a column twice",
      {
        segments: [
          { column: "hour", maximumDrop: 0 },
          { column: "hour", maximumDrop: 1 },
        ],
      },
      "segments: names one column twice",
    ],
    [
      "more segments than there are metrics for",
      { segments: ["a", "b", "c", "d"].map((column) => ({ column, maximumDrop: 0.1 })) },
      "segments: at most 3 segments",
    ],
    ["half a row", { minimumTestRows: 0.5 }, "minimumTestRows: Invalid input"],
  ])("%s", (_what, gate, issue) => {
    const { error } = gateSchema.safeParse(gate);
    const told = error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];
    expect(told.join("\n")).toContain(issue);
  });
});

test("the training script is told what the policy compares", () => {
  expect(comparisonRequest(gateSchema.parse({ metric: "mae" }))).toEqual({
    metric: "mae",
    confidence: 0.95,
    segments: [],
  });
  const policy = gateSchema.parse({
    judgement: { kind: "superior", margin: 0, confidence: 0.9 },
    segments: [{ column: "carrier", maximumDrop: 0.1 }],
  });
  expect(comparisonRequest(policy)).toEqual({
    metric: "rmse",
    confidence: 0.9,
    segments: ["carrier"],
  });
});
