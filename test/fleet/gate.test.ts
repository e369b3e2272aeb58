/** The gate between challenger and champion. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideGate } from "../../fleet/gate.js";
import { type GatePolicy, gateSchema } from "../../fleet/gate.schema.js";
import type { Evaluation } from "../../fleet/metrics.js";

interface Errors {
  readonly challenger: number;
  readonly champion?: number;
  readonly baseline?: number;
  /** Of the improvement over the champion. */
  readonly interval?: readonly [low: number, high: number];
  /** By how much the error grew in each segment's worst value. */
  readonly drops?: readonly (number | null)[];
  readonly testRows?: number;
}

/** The same error by every metric. */
function anEvaluation(errors: Errors): Evaluation {
  const { challenger, champion, baseline = 100, interval, drops = [], testRows = 10 } = errors;
  const figures = (error: number) => ({ rmse: error, mae: error, stdevError: error });
  return {
    challenger: figures(challenger),
    champion: champion === undefined ? null : figures(champion),
    baseline: figures(baseline),
    improvement: interval === undefined ? null : { low: interval[0], high: interval[1] },
    segmentDrops: drops,
    objective: { metric: "validation:rmse", value: challenger },
    rows: { train: 60, validation: 30, test: testRows },
    predictions: [],
  };
}

const aPolicy = (changes: Partial<GatePolicy> = {}): GatePolicy => ({
  ...gateSchema.parse({}),
  ...changes,
});

test.each<[string, Errors, Partial<GatePolicy>, string]>([
  ["a first model goes to a person", { challenger: 9 }, {}, "ask"],
  [
    "a first model far below predict-the-mean is approved by a policy that says so",
    { challenger: 60 },
    { autoApprove: { betterThanBaseline: 0.3 } },
    "approve",
  ],
  [
    "a first model not that far below goes to a person",
    { challenger: 71 },
    { autoApprove: { betterThanBaseline: 0.3 } },
    "ask",
  ],
  [
    "one that gains too little leaves the champion",
    { challenger: 9.9, champion: 10 },
    { better: 0.02 },
    "keep-champion",
  ],
  ["one that gains just enough passes", { challenger: 7.5, champion: 10 }, { better: 0.25 }, "ask"],
  [
    "one as good as the champion passes a policy that asks nothing",
    { challenger: 10, champion: 10 },
    {},
    "ask",
  ],
  ["one that is worse does not", { challenger: 10.1, champion: 10 }, {}, "keep-champion"],
  [
    "one that is a little worse passes a tolerant policy",
    { challenger: 10.1, champion: 10 },
    { better: -0.02 },
    "ask",
  ],
  [
    "beating the champion is not enough for approval when both are worse than the mean",
    { challenger: 120, champion: 150 },
    { autoApprove: { betterThanBaseline: 0 } },
    "ask",
  ],
  ["nothing beats a champion without error", { challenger: 1, champion: 0 }, {}, "keep-champion"],
  ["one without error equals a champion without error", { challenger: 0, champion: 0 }, {}, "ask"],
  [
    "a target that never changes is predicted by the mean: a person looks",
    { challenger: 0, baseline: 0 },
    { autoApprove: { betterThanBaseline: 0.3 } },
    "ask",
  ],
])("%s", (_title, errors, policy, decision) => {
  expect(decideGate(anEvaluation(errors), aPolicy(policy)).decision).toBe(decision);
});

test("the policy's metric decides, not the other", () => {
  const evaluation: Evaluation = {
    ...anEvaluation({ challenger: 10, champion: 10 }),
    challenger: { rmse: 12, mae: 5, stdevError: 1 },
  };
  expect(decideGate(evaluation, aPolicy({ metric: "rmse" })).decision).toBe("keep-champion");
  expect(decideGate(evaluation, aPolicy({ metric: "mae" })).decision).toBe("ask");
});

describe("the reasons are words and figures", () => {
  test("of a challenger that stays behind", () => {
    expect(
      decideGate(anEvaluation({ challenger: 9.9, champion: 10 }), aPolicy({ better: 0.02 })),
    ).toEqual({
      decision: "keep-champion",
      because: "rmse 9.9 is 1 % below the champion's 10 (policy asks 2 %)",
      reasons: ["rmse 9.9 is 1 % below the champion's 10 (policy asks 2 %)"],
    });
  });

  test("of one that the policy approves", () => {
    const policy = aPolicy({ metric: "mae", autoApprove: { betterThanBaseline: 0.3 } });
    expect(decideGate(anEvaluation({ challenger: 12.345678, baseline: 20 }), policy).because).toBe(
      "first model, mae 12.35; 38.3 % below predict-the-mean's 20 (policy asks 30 %)",
    );
  });

  test("of one that a person decides", () => {
    expect(decideGate(anEvaluation({ challenger: 8 }), aPolicy()).because).toBe(
      "first model, rmse 8; the policy leaves the decision to a person",
    );
  });
});

describe("an improvement judged with its uncertainty", () => {
  const nonInferior = { kind: "non-inferior", margin: 0.01, confidence: 0.95 } as const;
  const superior = { kind: "superior", margin: 0, confidence: 0.95 } as const;

  test.each<[string, Errors["interval"], GatePolicy["judgement"], number, string]>([
    ["surely not worse by more than the margin", [-0.009, 0.03], nonInferior, 1, "ask"],
    ["just not worse", [-0.01, 0.03], nonInferior, 1, "ask"],
    ["better as measured, and perhaps worse", [-0.02, 0.05], nonInferior, 1, "keep-champion"],
    ["surely worse", [-0.09, -0.02], nonInferior, 1, "keep-champion"],
    ["surely better", [0.001, 0.05], superior, 1, "ask"],
    ["perhaps no better at all", [0, 0.05], superior, 1, "keep-champion"],
    [
      "better, but not by the margin",
      [0.01, 0.05],
      { ...superior, margin: 0.02 },
      1,
      "keep-champion",
    ],
    ["perhaps worse, on too few rows to show more", [-0.02, 0.05], nonInferior, 11, "ask"],
    ["surely worse, on few rows", [-0.09, -0.02], nonInferior, 11, "keep-champion"],
    ["surely no better, on few rows", [-0.09, 0], superior, 11, "keep-champion"],
    ["of unknown sureness", undefined, nonInferior, 1, "ask"],
  ])("%s", (_title, interval, judgement, minimumTestRows, decision) => {
    const evaluation = anEvaluation({
      challenger: 9.8,
      champion: 10,
      ...(interval === undefined ? {} : { interval }),
    });
    const decided = decideGate(evaluation, aPolicy({ judgement, minimumTestRows }));
    expect(decided.decision).toBe(decision);
  });

  test("is told with the interval and what the policy asks", () => {
    const evaluation = anEvaluation({ challenger: 9.8, champion: 10, interval: [-0.02, 0.055] });
    expect(decideGate(evaluation, aPolicy({ judgement: nonInferior })).because).toBe(
      "rmse 9.8 is 2 % below the champion's 10, between 2 % above and 5.5 % below with 95 % confidence " +
        "(policy asks not worse by more than 1 %: not shown)",
    );
  });

  test("does not keep a first model out", () => {
    const { decision } = decideGate(
      anEvaluation({ challenger: 8 }),
      aPolicy({ judgement: superior }),
    );
    expect(decision).toBe("ask");
  });
});

describe("what else a policy may ask", () => {
  const approving = { autoApprove: { betterThanBaseline: 0 } } as const;
  const better = { challenger: 9, champion: 10 };

  test.each<[string, Errors, Partial<GatePolicy>, string, string]>([
    [
      "an error within the bounds",
      better,
      { bounds: { rmse: { max: 9 }, mae: { max: 40 } } },
      "approve",
      "mae 9 is within the policy's maximum of 40",
    ],
    [
      "an error above a bound, though it beats the champion",
      better,
      { bounds: { mae: { max: 8.9 } } },
      "keep-champion",
      "mae 9 is above the policy's maximum of 8.9",
    ],
    [
      "a spread above a bound",
      better,
      { bounds: { stdev_error: { max: 8 } } },
      "keep-champion",
      "stdev_error 9 is above the policy's maximum of 8",
    ],
    [
      "enough test rows",
      { ...better, testRows: 50 },
      { minimumTestRows: 50 },
      "approve",
      "50 test rows (policy asks 50)",
    ],
    [
      "too few test rows: a person looks",
      { ...better, testRows: 1 },
      { minimumTestRows: 50 },
      "ask",
      "1 test row (policy asks 50)",
    ],
    [
      "no worse than predict-the-mean",
      { ...better, baseline: 8 },
      { noWorseThanBaseline: true },
      "keep-champion",
      "rmse 9 is 12.5 % above predict-the-mean's 8 (policy asks no worse)",
    ],
    [
      "the same of a first model, without a champion to keep",
      { challenger: 9, baseline: 8 },
      { noWorseThanBaseline: true },
      "keep-champion",
      "first model, rmse 9",
    ],
    [
      "segments that hold",
      { ...better, drops: [0.05, -0.1] },
      {
        segments: [
          { column: "carrier", maximumDrop: 0.1 },
          { column: "hour", maximumDrop: 0 },
        ],
      },
      "approve",
      "in the worst carrier, rmse is 5 % above the champion's (policy allows 10 % above)",
    ],
    [
      "a segment that fares worse, though all in all it is better",
      { ...better, drops: [0.05, 0.3] },
      {
        segments: [
          { column: "carrier", maximumDrop: 0.1 },
          { column: "hour", maximumDrop: 0.1 },
        ],
      },
      "keep-champion",
      "in the worst hour, rmse is 30 % above the champion's (policy allows 10 % above)",
    ],
    [
      "a segment without enough rows: a person looks",
      { ...better, drops: [null] },
      { segments: [{ column: "carrier", maximumDrop: 0.1 }] },
      "ask",
      "by carrier nothing can be said: the training script printed no segment:1:drop, " +
        "for want of test rows or because it does not compute it",
    ],
    [
      "segments of a first model, which has nothing to be worse than",
      { challenger: 9 },
      { segments: [{ column: "carrier", maximumDrop: 0.1 }] },
      "approve",
      "first model, rmse 9",
    ],
    [
      "a person for first models",
      { challenger: 9 },
      { firstModel: "ask" },
      "ask",
      "first model, rmse 9: the policy leaves first models to a person",
    ],
    ["a person for first models only", better, { firstModel: "ask" }, "approve", ""],
  ])("%s", (_title, errors, policy, decision, reason) => {
    const decided = decideGate(anEvaluation(errors), aPolicy({ ...approving, ...policy }));
    expect(decided.decision).toBe(decision);
    expect(decided.because).toBe(decided.reasons.join("; "));
    if (reason !== "") expect(decided.reasons).toContain(reason);
  });

  test("a rejection tells all that speaks against the model, and no more", () => {
    const policy = aPolicy({
      ...approving,
      bounds: { rmse: { max: 8 }, mae: { max: 40 } },
      minimumTestRows: 50,
      segments: [{ column: "carrier", maximumDrop: 0.1 }],
    });
    expect(decideGate(anEvaluation({ ...better, drops: [0.2] }), policy).reasons).toEqual([
      "rmse 9 is 10 % below the champion's 10 (policy asks 0 %)",
      "in the worst carrier, rmse is 20 % above the champion's (policy allows 10 % above)",
      "rmse 9 is above the policy's maximum of 8",
    ]);
  });
});

const share = (max = 1) => fc.double({ min: -1, max, noNaN: true });
const errors = fc.double({ min: 0, max: 1e9, noNaN: true });
const evaluations = fc
  .record({
    challenger: errors,
    champion: fc.option(errors, { nil: undefined }),
    baseline: errors,
    ends: fc.option(fc.tuple(share(), share()), { nil: undefined }),
    drops: fc.array(fc.option(share(1e6)), { maxLength: 3 }),
    testRows: fc.integer({ min: 1, max: 100 }),
  })
  .map(({ champion, ends, ...rest }) =>
    anEvaluation({
      ...rest,
      ...(champion === undefined ? {} : { champion }),
      ...(ends === undefined ? {} : { interval: [Math.min(...ends), Math.max(...ends)] }),
    }),
  );

const maximum = fc.option(fc.record({ max: errors }), { nil: undefined });
const judgement = fc.oneof(
  fc.constant("threshold" as const),
  fc.record({
    kind: fc.constantFrom("non-inferior" as const, "superior" as const),
    margin: fc.double({ min: 0, max: 0.5, noNaN: true }),
    confidence: fc.constantFrom(0.8, 0.95),
  }),
);
const policies: fc.Arbitrary<GatePolicy> = fc.record({
  metric: fc.constantFrom("rmse" as const, "mae" as const),
  better: share(),
  judgement,
  minimumTestRows: fc.integer({ min: 1, max: 100 }),
  bounds: fc.record({ rmse: maximum, mae: maximum, stdev_error: maximum }),
  noWorseThanBaseline: fc.boolean(),
  segments: fc.array(
    fc.record({
      column: fc.constantFrom("carrier", "hour"),
      maximumDrop: fc.double({ min: 0, max: 2, noNaN: true }),
    }),
    { maxLength: 3 },
  ),
  firstModel: fc.constantFrom("ask" as const, "approve-as-policy" as const),
  autoApprove: fc.oneof(
    fc.constant(false as const),
    fc.record({ betterThanBaseline: fc.double({ min: -10, max: 0.99, noNaN: true }) }),
  ),
});

const rank = { "keep-champion": 0, ask: 1, approve: 2 };

test("nothing is approved without a policy that approves", () => {
  fc.assert(
    fc.property(evaluations, policies, (evaluation, policy) => {
      const { decision } = decideGate(evaluation, { ...policy, autoApprove: false });
      expect(decision).not.toBe("approve");
    }),
  );
});

test("no first model is approved by a policy that leaves them to a person", () => {
  fc.assert(
    fc.property(evaluations, policies, (evaluation, policy) => {
      const first = { ...evaluation, champion: null };
      const { decision } = decideGate(first, { ...policy, firstModel: "ask" });
      expect(decision).not.toBe("approve");
    }),
  );
});

test("a better challenger never gets a worse decision", () => {
  const more = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(evaluations, policies, more, more, (evaluation, policy, factor, gained) => {
      const { rmse, mae, stdevError } = evaluation.challenger;
      const { improvement } = evaluation;
      const better: Evaluation = {
        ...evaluation,
        challenger: { rmse: rmse * factor, mae: mae * factor, stdevError: stdevError * factor },
        improvement: improvement && {
          low: improvement.low + gained,
          high: improvement.high + gained,
        },
        segmentDrops: evaluation.segmentDrops.map((drop) => drop && drop - gained),
      };
      expect(rank[decideGate(better, policy).decision]).toBeGreaterThanOrEqual(
        rank[decideGate(evaluation, policy).decision],
      );
    }),
  );
});

test("bounds, segments, baseline and first models only ever make a policy stricter", () => {
  fc.assert(
    fc.property(evaluations, policies, (evaluation, policy) => {
      const { bounds, segments, noWorseThanBaseline, firstModel, ...asBefore } = policy;
      const lenient = { ...gateSchema.parse({}), ...asBefore };
      expect(rank[decideGate(evaluation, policy).decision]).toBeLessThanOrEqual(
        rank[decideGate(evaluation, lenient).decision],
      );
    }),
  );
});

test("the reasons never hold a figure that is none", () => {
  fc.assert(
    fc.property(evaluations, policies, (evaluation, policy) => {
      expect(decideGate(evaluation, policy).because).not.toMatch(/NaN|undefined|null|Infinity/);
    }),
  );
});
