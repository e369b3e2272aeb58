/** Which customers a cycle trains. */
import { describe, expect, test } from "vitest";
import { planCustomer, type PlanCustomerInput } from "../../fleet/plan.js";

const aDataset = (changes: Partial<PlanCustomerInput> = {}): PlanCustomerInput => ({
  rows: { train: 60, validation: 30, test: 10 },
  invalidRows: 0,
  dataHash: "data",
  modelHash: "model",
  minimumRows: 50,
  force: false,
  ...changes,
});

const champion = { version: 4, dataHash: "data", modelHash: "model" };
const none = { train: 0, validation: 0, test: 0 };

test("a customer with enough rows is trained", () => {
  expect(planCustomer(aDataset())).toEqual({ action: "train" });
});

describe("skipped, with the reason", () => {
  test.each<[string, Partial<PlanCustomerInput>, string]>([
    ["no rows", { rows: none, dataHash: null }, "no rows in the window"],
    ["one row", { rows: { ...none, train: 1 } }, "1 row, source.minimumRows asks 50"],
    [
      "too few rows, even with those that cannot be used",
      { rows: { train: 6, validation: 3, test: 1 }, invalidRows: 30 },
      "40 rows, source.minimumRows asks 50",
    ],
    [
      "no row to test with",
      { rows: { train: 60, validation: 30, test: 0 } },
      "none of 90 rows fell to the test split",
    ],
    [
      "nothing new",
      { champion },
      "unchanged: data, code and spec are those of version 4, which serves",
    ],
  ])("%s", (_title, changes, because) => {
    expect(planCustomer(aDataset(changes))).toEqual({ action: "skip", because });
  });
});

describe("trained although a champion serves", () => {
  test.each<[string, Partial<PlanCustomerInput>]>([
    ["new data", { champion: { ...champion, dataHash: "older" } }],
    ["new code, or a new query", { champion: { ...champion, modelHash: "older" } }],
    ["a spec that can no longer be read", { champion: { ...champion, modelHash: null } }],
    ["forced", { champion, force: true }],
    [
      "nothing known of the champion's data",
      { champion: { ...champion, dataHash: null }, dataHash: null },
    ],
  ])("%s", (_title, changes) => {
    expect(planCustomer(aDataset(changes))).toEqual({ action: "train" });
  });
});

test("rows without a usable target fail the customer, and name the mend", () => {
  const plan = planCustomer(aDataset({ invalidRows: 3 }));
  expect(plan).toEqual({
    action: "fail",
    because:
      "the target of 3 of 103 rows is NULL, NaN or infinite: leave such rows out in source.query",
  });
});

test("force trains neither scarce nor wrong data", () => {
  expect(planCustomer(aDataset({ force: true, rows: none })).action).toBe("skip");
  expect(planCustomer(aDataset({ force: true, invalidRows: 1 })).action).toBe("fail");
});
