import { describe, expect, test } from "vitest";
import { readCustomerLine } from "../../fleet/customer-result.schema.js";

const metrics = {
  "validation:rmse": 10.5,
  "test:rmse": 10,
  "test:mae": 8,
  "test:stdev_error": 9,
  "baseline:rmse": 20,
  "baseline:mae": 16,
  "train:rows": 60,
  "validation:rows": 30,
  "test:rows": 10,
  "verification:1": 1.5,
};

const line = (told: object): string => JSON.stringify({ customer: "site-1", metrics, ...told });

describe("a customer's line", () => {
  test("holds the figures that a job for one customer prints", () => {
    expect(readCustomerLine(line({}))).toMatchObject({
      kind: "fitted",
      customerKey: "site-1",
      evaluation: {
        challenger: { rmse: 10, mae: 8, stdevError: 9 },
        champion: null,
        objective: { metric: "validation:rmse", value: 10.5 },
        rows: { train: 60, validation: 30, test: 10 },
        predictions: [1.5],
      },
      trials: [],
    });
  });

  test("brings the trials of its search, and may tell more than is asked", () => {
    const trials = [
      { hyperparameters: { depth: "3" }, value: 10.5, seconds: 1 },
      { hyperparameters: { depth: "9" }, value: null, failure: "no memory" },
    ];
    expect(readCustomerLine(line({ trials, seconds: 2 }))).toMatchObject({
      kind: "fitted",
      trials: [
        { hyperparameters: { depth: "3" }, value: 10.5 },
        { hyperparameters: { depth: "9" }, value: null, failure: "no memory" },
      ],
    });
  });

  test.each([
    [{ metrics: undefined, failure: "two rows only" }, "two rows only"],
    [{ failure: "two rows only" }, "two rows only"],
    [{ metrics: undefined }, "the training script gave no reason"],
    [{ metrics: { ...metrics, "test:rmse": undefined } }, /without the metric test:rmse/],
  ])("tells why there is no model: %o", (told, reason) => {
    expect(readCustomerLine(line(told))).toEqual({
      kind: "failed",
      seconds: null,
      customerKey: "site-1",
      reason: expect.stringMatching(reason) as string,
    });
  });

  test.each([
    ['{"customer":"site-1","metrics":{"test:rmse":NaN}}', "site-1", /no JSON object/],
    ['{"customer":"site-1","metrics":{"test:rmse":"10"}}', "site-1", /metrics.test:rmse/],
    ['{"customer":"site-1","trials":[{"value":1}]}', "site-1", /trials.0.hyperparameters/],
    ["[1,2]", null, /no JSON object/],
    ["", null, /no JSON object/],
    ['{"customer":7}', null, /customer/],
  ])("that cannot be read says so: %s", (text, customerKey, reason) => {
    expect(readCustomerLine(text)).toEqual({
      kind: "unreadable",
      customerKey,
      reason: expect.stringMatching(reason) as string,
    });
  });
});
