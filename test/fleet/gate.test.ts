/** The gate between challenger and champion. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideGate } from "../../fleet/gate.js";
import type { Evaluation } from "../../fleet/metrics.js";
import type { GatePolicy } from "../../fleet/spec.schema.js";

interface Errors {
  readonly challenger: number;
  readonly champion?: number;
  readonly baseline?: number;
}

/** The same error by every metric. */
function anEvaluation({ challenger, champion, baseline = 100 }: Errors): Evaluation {
  const figures = (error: number) => ({ rmse: error, mae: error, stdevError: error });
  return {
    challenger: figures(challenger),
    champion: champion === undefined ? null : figures(champion),
    baseline: figures(baseline),
    validationRmse: challenger,
    rows: { train: 60, validation: 30, test: 10 },
    predictions: [],
  };
}

const aPolicy = (changes: Partial<GatePolicy> = {}): GatePolicy => ({
  metric: "rmse",
  better: 0,
  autoApprove: false,
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

const errors = fc.double({ min: 0, max: 1e9, noNaN: true });
const evaluations = fc
  .record({ challenger: errors, champion: fc.option(errors, { nil: undefined }), baseline: errors })
  .map(({ champion, ...rest }) =>
    anEvaluation({ ...rest, ...(champion === undefined ? {} : { champion }) }),
  );
const policies = fc.record({
  metric: fc.constantFrom("rmse" as const, "mae" as const),
  better: fc.double({ min: -1, max: 1, noNaN: true }),
  autoApprove: fc.oneof(
    fc.constant(false as const),
    fc.record({ betterThanBaseline: fc.double({ min: -10, max: 0.99, noNaN: true }) }),
  ),
});

test("nothing is approved without a policy that approves", () => {
  fc.assert(
    fc.property(evaluations, policies, (evaluation, policy) => {
      const { decision } = decideGate(evaluation, { ...policy, autoApprove: false });
      expect(decision).not.toBe("approve");
    }),
  );
});

test("a smaller error never gets a worse decision", () => {
  const rank = { "keep-champion": 0, ask: 1, approve: 2 };
  fc.assert(
    fc.property(
      evaluations,
      policies,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (evaluation, policy, factor) => {
        const [{ rmse, mae }] = [evaluation.challenger];
        const better: Evaluation = {
          ...evaluation,
          challenger: { rmse: rmse * factor, mae: mae * factor, stdevError: 0 },
        };
        expect(rank[decideGate(better, policy).decision]).toBeGreaterThanOrEqual(
          rank[decideGate(evaluation, policy).decision],
        );
      },
    ),
  );
});

test("the reasons never hold a figure that is none", () => {
  fc.assert(
    fc.property(evaluations, policies, (evaluation, policy) => {
      expect(decideGate(evaluation, policy).because).not.toMatch(/NaN|undefined|Infinity/);
    }),
  );
});
