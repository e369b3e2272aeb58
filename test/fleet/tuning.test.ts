/** What the `tuning` part of a fleet file may say, and what is refused with the field named. */
import { describe, expect, test } from "vitest";
import {
  categorical,
  continuous,
  defineFleet,
  integer,
  multiModelEndpoint,
  postgres,
  script,
  xgboostRanges,
} from "../../index.js";
import { LIMITS } from "../../fleet/limits.js";
import { METRIC_DEFINITIONS } from "../../fleet/metrics.js";
import { combinations, type ParameterRanges } from "../../fleet/ranges.js";
import type { FleetFile } from "../../fleet/define.js";
import { fleetDeclarationSchema } from "../../fleet/spec.schema.js";

type Tuning = NonNullable<FleetFile["tuning"]>;

const aTuning = (changes: Partial<Tuning> = {}): Tuning => ({
  ranges: xgboostRanges,
  objective: "validation:rmse",
  maxJobs: 8,
  parallel: 2,
  ...changes,
});

const aFleet = (
  changes: Partial<Tuning> = {},
  training: Parameters<typeof script>[1] = {},
): FleetFile =>
  defineFleet({
    name: "flight-delays",
    source: postgres({
      connection: "WAREHOUSE_URL",
      query: "./flights.sql",
      customer: "dest",
      target: "arr_delay",
      window: { months: 12 },
      split: { validation: 0.3, test: 0.1 },
    }),
    training: script("../training", training),
    tuning: aTuning(changes),
    endpoint: multiModelEndpoint(),
    stages: [{ name: "sandbox", account: "111111111111" }],
  });

/** `field: message` of everything that is wrong. */
function issuesOf(declaration: object): string[] {
  const { error } = fleetDeclarationSchema.safeParse(declaration);
  return error?.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`) ?? [];
}

test("without tuning a fleet is what it was", () => {
  const { tuning, ...fleet } = aFleet();
  expect(tuning).toBeDefined();
  expect(fleetDeclarationSchema.parse(fleet)).not.toHaveProperty("tuning");
});

test("a short tuning is filled up: Bayesian, from the customer's last search", () => {
  const tuning = { ranges: { eta: continuous(0.1, 0.5) }, maxJobs: 4 };
  expect(fleetDeclarationSchema.parse({ ...aFleet(), tuning }).tuning).toEqual({
    ranges: { eta: { type: "continuous", min: 0.1, max: 0.5, scaling: "Auto" } },
    objective: "validation:rmse",
    direction: "minimize",
    strategy: "Bayesian",
    maxJobs: 4,
    parallel: 1,
    earlyStopping: false,
    warmStart: { parents: 1, siblings: [] },
  });
});

test("XGBoost's ranges are eleven, and all of them are accepted", () => {
  expect(Object.keys(xgboostRanges)).toHaveLength(11);
  expect(issuesOf(aFleet())).toEqual([]);
});

test("the metrics that a training job may be tuned for fit into a tuning job", () => {
  expect(METRIC_DEFINITIONS.length).toBeLessThanOrEqual(LIMITS.tuningMetricDefinitions);
});

describe("a range is refused", () => {
  const many = Object.fromEntries(
    Array.from({ length: 31 }, (_none, index) => [`p${index}`, integer(0, 9)]),
  );
  test.each<[string, ParameterRanges, string]>([
    ["whose ends are swapped", { eta: continuous(0.5, 0.1) }, "eta: min 0.5 must be below max 0.1"],
    ["that is empty", { max_depth: integer(3, 3) }, "max_depth: min 3 must be below max 3"],
    ["of integers with broken ends", { max_depth: integer(0.5, 3) }, "max_depth: an integer range"],
    [
      "scaled by logarithm from zero",
      { gamma: continuous(0, 5, "Logarithmic") },
      "gamma: Logarithmic scaling needs a min above 0, not 0",
    ],
    [
      "scaled by reverse logarithm up to one",
      { subsample: continuous(0.5, 1, "ReverseLogarithmic") },
      "subsample: ReverseLogarithmic scaling needs 0 ≤ min and max < 1",
    ],
    [
      "of integers scaled by reverse logarithm",
      { max_bin: integer(2, 9, "ReverseLogarithmic") },
      "max_bin: ReverseLogarithmic scaling is for continuous ranges only",
    ],
    ["without values", { booster: categorical() }, "booster: needs at least one value"],
    ["with a value twice", { booster: categorical("a", "a") }, "booster: names a value twice"],
    [
      "with more values than SageMaker takes",
      { booster: categorical(...Array.from({ length: 31 }, (_none, index) => `v${index}`)) },
      "booster: has 31 values, SageMaker takes at most 30",
    ],
    ["of SageMaker's own", { sagemaker_program: categorical("a") }, "keeps for itself"],
    [
      "beyond what XGBoost takes",
      { eta: continuous(0.5, 1.5) },
      "XGBoost takes eta from 0 up to 1, not 1.5",
    ],
    [
      "below what XGBoost takes",
      { num_round: integer(0, 10) },
      "XGBoost takes num_round from 1, not 0",
    ],
    [
      "at an end that XGBoost leaves out",
      { subsample: continuous(0, 1) },
      "takes subsample above 0 up to 1, not 0",
    ],
    [
      "with a value that is none to XGBoost",
      { gamma: categorical("0", "much") },
      "takes gamma from 0, not NaN",
    ],
    [
      "of broken numbers where XGBoost counts",
      { max_depth: continuous(0, 9.5) },
      "write integer(0, 9)",
    ],
    ["if there are too many", many, "tuning.ranges: 31 ranges, SageMaker searches at most 30"],
    ["if there is none", {}, "tuning.ranges: declare at least one range"],
  ])("%s", (_which, ranges, issue) => {
    expect(issuesOf(aFleet({ ranges, maxJobs: 1, parallel: 1 })).join("\n")).toContain(issue);
  });

  test("once, not by every check", () => {
    expect(issuesOf(aFleet({ ranges: { eta: continuous(0.5, 0.1) } }))).toHaveLength(1);
  });

  test("without its kind, with how to write one", () => {
    const ranges = { eta: [0.1, 0.5] } as unknown as ParameterRanges;
    expect(issuesOf(aFleet({ ranges }))).toEqual([
      expect.stringContaining("tuning.ranges.eta: a range is integer(0, 10)"),
    ]);
  });
});

test("another algorithm may give XGBoost's names another meaning", () => {
  const image = "111111111111.dkr.ecr.us-east-1.amazonaws.com/my-forest:1";
  const ranges = { alpha: continuous(-1, 1) };
  expect(issuesOf(aFleet({ ranges }, { image }))).toEqual([]);
  expect(issuesOf(aFleet({ ranges }))).toHaveLength(1);
});

describe("refused, with the field named", () => {
  const grid = { eta: categorical("0.1", "0.2"), max_depth: categorical("3", "5", "7") };
  test.each<[string, Partial<Tuning>, string]>([
    [
      "an objective that no metric definition captures",
      { objective: "validation:auc" },
      "tuning.objective: no metric definition captures it; a search can look at validation:rmse",
    ],
    [
      "an objective of the rows that judge the winner",
      { objective: "test:rmse" },
      "tuning.objective: a search looks at the validation rows only, by validation:rmse: the test rows judge what it finds",
    ],
    [
      "more jobs at a time than in all",
      { parallel: 9 },
      "tuning.parallel: must be at most maxJobs (8)",
    ],
    [
      "more parents than SageMaker takes",
      { warmStart: { parents: 6 } },
      "tuning.warmStart.parents: SageMaker takes 1 to 5 parents",
    ],
    [
      "no parent",
      { warmStart: { parents: 0 } },
      "tuning.warmStart.parents: SageMaker takes 1 to 5 parents",
    ],
    ["more jobs than SageMaker takes", { maxJobs: 751 }, "tuning.maxJobs: at most 750"],
    [
      "more jobs than there are combinations",
      { ranges: { max_depth: integer(1, 3) } },
      "tuning.maxJobs: the ranges hold 3 combinations in all: write maxJobs: 3",
    ],
    [
      "a grid with continuous ranges",
      { strategy: "Grid" },
      "tuning.strategy: Grid takes categorical ranges only: write eta, max_depth,",
    ],
    [
      "a grid of another size",
      { strategy: "Grid", ranges: grid },
      "tuning.maxJobs: the ranges hold 6 combinations in all: write maxJobs: 6",
    ],
    [
      "early stopping beside Hyperband's own",
      { strategy: "Hyperband", earlyStopping: true, hyperband: { minResource: 1, maxResource: 9 } },
      "tuning.earlyStopping: Hyperband stops jobs by itself",
    ],
    [
      "Hyperband without its resource",
      { strategy: "Hyperband" },
      "tuning.hyperband: Hyperband needs",
    ],
    [
      "a resource without Hyperband",
      { hyperband: { minResource: 1, maxResource: 9 } },
      'tuning.hyperband: is for strategy "Hyperband" only',
    ],
    [
      "a small search that is not smaller",
      { budget: { holds: 6, drifts: 6 } },
      "tuning.budget.holds: must be below drifts (6)",
    ],
    [
      "a large search beyond the maximum",
      { budget: { holds: 2, drifts: 20 } },
      "tuning.budget.drifts: must be at most maxJobs (8)",
    ],
  ])("%s", (_what, changes, issue) => {
    expect(issuesOf(aFleet(changes)).join("\n")).toContain(issue);
  });

  test("a hyperparameter that is fixed and searched", () => {
    expect(issuesOf(aFleet({}, { hyperparameters: { eta: "0.1" } }))).toEqual([
      "tuning.ranges.eta: is fixed in training.hyperparameters too: name it in one of the two",
    ]);
  });

  test("more hyperparameters in all than a job may have", () => {
    const hyperparameters = Object.fromEntries(
      Array.from({ length: 87 }, (_none, index) => [`fixed-${index}`, "1"]),
    );
    expect(issuesOf(aFleet({}, { hyperparameters }))).toEqual([
      "tuning.ranges: with training.hyperparameters these are 98, of which SageMaker takes 97",
    ]);
  });
});

test("combinations are counted where they can be", () => {
  expect(combinations({ a: categorical("x", "y"), b: integer(0, 4) })).toBe(10);
  expect(combinations({ a: categorical("x", "y"), b: continuous(0, 4) })).toBe(Infinity);
});
