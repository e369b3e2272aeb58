/** Which earlier searches a search starts from, and the reason for each. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LIMITS } from "../../fleet/limits.js";
import { categorical, continuous, integer, xgboostRanges } from "../../fleet/ranges.js";
import {
  asTransferLearning,
  describeWarmStart,
  findWarmStartParents,
  fromNothing,
  type WantedSearch,
  type WarmStartCandidate,
} from "../../fleet/warm-start.js";

const aSearch = {
  fleet: "flight-delays",
  customerKey: "xna",
  account: "111111111111",
  region: "us-east-1",
  objective: { metric: "validation:rmse", direction: "minimize" },
  ranges: xgboostRanges,
  staticHyperparameters: { seed: "1", sagemaker_program: "train.py" },
  dataHash: "data-1",
  codeHash: "code-1",
  image: "xgboost:1",
  maxJobs: 8,
} as const;

const wanted = (changes: Partial<WantedSearch> = {}): WantedSearch => ({
  ...aSearch,
  strategy: "Bayesian",
  warmStart: { parents: 1, siblings: [] },
  ...changes,
});

const candidate = (changes: Partial<WarmStartCandidate> = {}): WarmStartCandidate => ({
  ...aSearch,
  tuningJobName: "june",
  createdAt: "2013-06-01T00:00:00.000Z",
  status: "Completed",
  testing: false,
  bestValue: 12.3456,
  ...changes,
});

const may = candidate({ tuningJobName: "may", createdAt: "2013-05-01T00:00:00.000Z" });
const june = candidate();
const july = candidate({ tuningJobName: "july", createdAt: "2013-07-01T00:00:00.000Z" });

describe("the newest eligible search", () => {
  test("is the parent, and the choice says why", () => {
    expect(findWarmStartParents([may, july, june], wanted())).toEqual({
      parents: ["july"],
      type: "IdenticalDataAndAlgorithm",
      because: "data and algorithm are those of its parents",
      reasons: [
        {
          tuningJobName: "july",
          taken: true,
          because: "the customer's own, best validation:rmse 12.35 in 8 jobs",
        },
        { tuningJobName: "june", taken: false, because: "a nearer one was taken" },
        { tuningJobName: "may", taken: false, because: "a nearer one was taken" },
      ],
    });
  });

  test("is followed by older ones, as many as the fleet asks", () => {
    const two = wanted({ warmStart: { parents: 2, siblings: [] } });
    expect(findWarmStartParents([may, june, july], two).parents).toEqual(["july", "june"]);
  });
});

describe("nothing to start from", () => {
  test.each<[string, Partial<WantedSearch>, string]>([
    ["when there is no earlier search", {}, "no earlier search to start from"],
    ["when the fleet wants none", { warmStart: false }, "the fleet asks for no warm start"],
    ["for a grid", { strategy: "Grid" }, "a grid tries every combination"],
  ])("%s", (_when, changes, because) => {
    const choice = findWarmStartParents([], wanted(changes));
    expect(choice).toMatchObject({ parents: [], type: null });
    expect(choice.because).toContain(because);
  });
});

describe("passed over is a search", () => {
  const { max_delta_step: _gone, ...fewer } = xgboostRanges;
  const swap = { ...xgboostRanges, max_depth: categorical("3", "5") };
  test.each<[string, Partial<WarmStartCandidate>, string]>([
    ["that runs", { status: null }, "it has not ended"],
    ["that failed", { status: "Failed" }, "it ended as Failed"],
    ["that was stopped", { status: "Stopped" }, "it ended as Stopped"],
    ["that was a test", { testing: true }, "a testing run"],
    ["with a single training job", { maxJobs: 1 }, "a testing run"],
    ["that found nothing", { bestValue: null }, "none of its training jobs reached the objective"],
    ["of another region", { region: "eu-west-1" }, "it ran in 111111111111/eu-west-1"],
    ["of another account", { account: "222222222222" }, "it ran in 222222222222/us-east-1"],
    ["that SageMaker has forgotten", { forgotten: true }, "SageMaker does not know it any more"],
    [
      "for another metric",
      { objective: { metric: "test:mae", direction: "minimize" } },
      "its objective was to minimize test:mae",
    ],
    [
      "in the other direction",
      { objective: { metric: "validation:rmse", direction: "maximize" } },
      "its objective was to maximize validation:rmse",
    ],
    ["with fewer hyperparameters", { ranges: fewer }, "it lacks hyperparameters: max_delta_step"],
    [
      "with more hyperparameters",
      { ranges: { ...xgboostRanges, nthread: integer(1, 2) } },
      "it had hyperparameters that are gone: nthread",
    ],
    [
      "with a hyperparameter of another type",
      { ranges: swap },
      "max_depth was categorical and is integer",
    ],
    [
      "over ranges that do not meet",
      { ranges: { ...xgboostRanges, eta: continuous(0.6, 0.9) } },
      "its range of eta (0.6 to 0.9) does not meet 0.1 to 0.5",
    ],
    [
      "of another fleet",
      { fleet: "churn" },
      "it belongs to xna of churn, which is no declared sibling",
    ],
    [
      "of another customer",
      { customerKey: "ord" },
      "it belongs to ord of flight-delays, which is no declared sibling",
    ],
  ])("%s", (_which, changes, because) => {
    const choice = findWarmStartParents([candidate(changes)], wanted());
    expect(choice).toMatchObject({ parents: [], type: null });
    expect(choice.because).toBe("no earlier search is eligible");
    expect(choice.reasons[0]?.because).toContain(because);
  });

  test("since too many values were changed: SageMaker takes ten", () => {
    const names = Array.from({ length: 11 }, (_none, index) => `p${index}`);
    const statics = (value: string) => Object.fromEntries(names.map((name) => [name, value]));
    const one = candidate({ staticHyperparameters: statics("1") });
    const other = wanted({ staticHyperparameters: statics("2") });
    expect(findWarmStartParents([one], other).reasons[0]?.because).toContain("11 hyperparameters");
  });

  test("since a categorical that is fixed now counts once for each of its values", () => {
    const values = Array.from({ length: 11 }, (_none, index) => `v${index}`);
    const one = candidate({ ranges: { ...xgboostRanges, kind: categorical(...values) } });
    const fixed = { ...aSearch.staticHyperparameters, kind: "v1" };
    const choice = findWarmStartParents([one], wanted({ staticHyperparameters: fixed }));
    expect(choice.reasons[0]?.because).toContain("11 hyperparameters");
  });

  test("with whose training jobs the search would grow too large", () => {
    const choice = findWarmStartParents([candidate({ maxJobs: 750 })], wanted());
    expect(choice.reasons[0]?.because).toContain("the search would count 758, SageMaker takes 750");
  });
});

describe("a search learns from its parents", () => {
  test.each<[string, Partial<WarmStartCandidate>, string]>([
    ["other data", { dataHash: "data-0" }, "changed since its parents: data"],
    ["data that nobody knows", { dataHash: null }, "changed since its parents: data"],
    ["other code", { codeHash: "code-0" }, "changed since its parents: code"],
    ["another image", { image: "xgboost:0" }, "changed since its parents: image"],
    [
      "another program",
      { staticHyperparameters: { seed: "1", sagemaker_program: "other.py" } },
      "changed since its parents: code",
    ],
  ])("by transfer when they had %s", (_what, changes, because) => {
    expect(findWarmStartParents([candidate(changes)], wanted())).toMatchObject({
      type: "TransferLearning",
      because,
    });
  });

  test("by transfer as soon as one of them differs", () => {
    const two = wanted({ warmStart: { parents: 2, siblings: [] } });
    const older = { ...may, dataHash: "data-0" };
    expect(findWarmStartParents([june, older], two)).toMatchObject({
      parents: ["june", "may"],
      type: "TransferLearning",
    });
  });

  test("although a hyperparameter was fixed then and is searched now", () => {
    const { gamma: _searched, ...ranges } = xgboostRanges;
    const before = candidate({
      ranges,
      staticHyperparameters: { ...aSearch.staticHyperparameters, gamma: "0" },
    });
    expect(findWarmStartParents([before], wanted()).parents).toEqual(["june"]);
  });
});

describe("a declared sibling", () => {
  const sibling = candidate({ tuningJobName: "theirs", fleet: "departures", dataHash: "other" });
  const asks = wanted({ warmStart: { parents: 2, siblings: ["departures"] } });

  test("stands in for a customer without a search of its own", () => {
    expect(findWarmStartParents([sibling, { ...june, status: "Failed" }], asks)).toMatchObject({
      parents: ["theirs"],
      type: "TransferLearning",
    });
  });

  test("is not needed beside the customer's own", () => {
    const choice = findWarmStartParents([sibling, june], asks);
    expect(choice.parents).toEqual(["june"]);
    expect(choice.reasons.at(-1)?.because).toContain("not needed");
  });

  test("lends the same customer's search before another's, however new", () => {
    const others = candidate({
      tuningJobName: "new",
      customerKey: "ord",
      fleet: "departures",
      createdAt: july.createdAt,
    });
    const one = wanted({ warmStart: { parents: 1, siblings: ["departures"] } });
    expect(findWarmStartParents([others, sibling], one).parents).toEqual(["theirs"]);
  });

  test("may be the fleet itself: then other customers lend a new one theirs", () => {
    const others = candidate({ tuningJobName: "ords", customerKey: "ord" });
    const own = wanted({ warmStart: { parents: 1, siblings: ["flight-delays"] } });
    expect(findWarmStartParents([others], own).parents).toEqual(["ords"]);
  });
});

describe("what SageMaker refuses", () => {
  const choice = findWarmStartParents([june], wanted());

  test("as identical is tried as transfer learning, with the same parents", () => {
    expect(asTransferLearning(choice, "refused")).toMatchObject({
      parents: ["june"],
      type: "TransferLearning",
      because: "refused",
    });
  });

  test("altogether starts from nothing, and the parents are told as passed over", () => {
    const cold = fromNothing(choice, "refused");
    expect(cold).toMatchObject({ parents: [], type: null, because: "refused" });
    expect(cold.reasons).toMatchObject([{ tuningJobName: "june", taken: false }]);
  });
});

test("a choice reads as a list", () => {
  expect(describeWarmStart(findWarmStartParents([june, may], wanted()))).toBe(
    "Warm start (IdenticalDataAndAlgorithm): data and algorithm are those of its parents\n" +
      "- `june` taken: the customer's own, best validation:rmse 12.35 in 8 jobs\n" +
      "- `may` passed over: a nearer one was taken",
  );
  expect(describeWarmStart(findWarmStartParents([], wanted()))).toBe(
    "Starts from nothing: no earlier search to start from",
  );
});

describe("whatever the ledger holds", () => {
  const { gamma: _fixed, ...withoutGamma } = xgboostRanges;
  const candidates = fc
    .array(
      fc.record({
        fleet: fc.constantFrom("flight-delays", "departures", "churn"),
        customerKey: fc.constantFrom("xna", "ord"),
        region: fc.constantFrom("us-east-1", "us-east-1", "eu-west-1"),
        createdAt: fc.constantFrom("2013-05-01", "2013-06-01", "2013-07-01"),
        status: fc.constantFrom("Completed", "Completed", "Completed", "Failed", null),
        testing: fc.boolean(),
        bestValue: fc.constantFrom(1, 2, null),
        maxJobs: fc.constantFrom(1, 8, 400),
        dataHash: fc.constantFrom("data-1", "data-2", null),
        codeHash: fc.constantFrom("code-1", "code-2"),
        image: fc.constantFrom("xgboost:1", "xgboost:2"),
        ranges: fc.constantFrom(xgboostRanges, withoutGamma),
        forgotten: fc.boolean(),
        objective: fc.constantFrom(aSearch.objective, {
          metric: "test:mae",
          direction: "minimize" as const,
        }),
      }),
      { maxLength: 20 },
    )
    .map((all) => all.map((one, index) => candidate({ ...one, tuningJobName: `t-${index}` })));
  const searches = fc
    .record({
      parents: fc.integer({ min: 1, max: LIMITS.warmStartParents }),
      siblings: fc.subarray(["departures", "flight-delays"]),
    })
    .map((warmStart) => wanted({ warmStart }));
  const parentsOf = (all: readonly WarmStartCandidate[], names: readonly string[]) =>
    names.map((name) => {
      const parent = all.find((one) => one.tuningJobName === name);
      if (parent === undefined) throw new Error(`${name} is no candidate`);
      return parent;
    });
  const isOwn = (one: WarmStartCandidate) =>
    one.customerKey === "xna" && one.fleet === "flight-delays";

  test("every parent is eligible, and there are no more than asked for", () => {
    fc.assert(
      fc.property(candidates, searches, (all, search) => {
        const choice = findWarmStartParents(all, search);
        const parents = parentsOf(all, choice.parents);
        const { warmStart } = search;
        expect(parents.length).toBeLessThanOrEqual(warmStart === false ? 0 : warmStart.parents);
        for (const parent of parents) {
          expect(parent).toMatchObject({
            status: "Completed",
            testing: false,
            region: "us-east-1",
            objective: search.objective,
            ranges: xgboostRanges,
            forgotten: false,
          });
          expect(parent.maxJobs).toBeGreaterThan(1);
          expect(parent.bestValue).not.toBeNull();
          if (!isOwn(parent)) expect(warmStart && warmStart.siblings).toContain(parent.fleet);
        }
        const jobs = parents.reduce((sum, parent) => sum + parent.maxJobs, search.maxJobs);
        if (parents.length > 0) expect(jobs).toBeLessThanOrEqual(LIMITS.tuningTrainingJobs);
      }),
    );
  });

  test("identical means the same data, code and image as every parent", () => {
    fc.assert(
      fc.property(candidates, searches, (all, search) => {
        const { parents, type } = findWarmStartParents(all, search);
        const same = parentsOf(all, parents).every(
          (parent) =>
            parent.dataHash === search.dataHash &&
            parent.codeHash === search.codeHash &&
            parent.image === search.image,
        );
        const expected = same ? "IdenticalDataAndAlgorithm" : "TransferLearning";
        expect(type).toBe(parents.length === 0 ? null : expected);
      }),
    );
  });

  test("own searches come newest first, and siblings only without any", () => {
    fc.assert(
      fc.property(candidates, searches, (all, search) => {
        const parents = parentsOf(all, findWarmStartParents(all, search).parents);
        expect([0, parents.length]).toContain(parents.filter(isOwn).length);
        const times = parents
          .filter((one) => one.customerKey === "xna")
          .map((one) => one.createdAt);
        expect(times).toEqual([...times].sort().reverse());
      }),
    );
  });

  test("every candidate has one reason, and the order in which they come changes nothing", () => {
    fc.assert(
      fc.property(candidates, searches, fc.nat(), (all, search, turn) => {
        const choice = findWarmStartParents(all, search);
        expect(choice.reasons.map((reason) => reason.tuningJobName).sort()).toEqual(
          all.map((one) => one.tuningJobName).sort(),
        );
        expect(choice.reasons.filter((reason) => reason.taken).map((r) => r.tuningJobName)).toEqual(
          choice.parents,
        );
        const at = turn % (all.length + 1);
        const shuffled = [...all.slice(at), ...all.slice(0, at).reverse()];
        expect(findWarmStartParents(shuffled, search)).toEqual(choice);
      }),
    );
  });
});
