/** How many training jobs a customer's search gets. */
import { describe, expect, test } from "vitest";
import { chooseSearchSize, type SearchSizeInput } from "../../fleet/search-size.js";
import { tuningSchema } from "../../fleet/tuning.schema.js";
import { continuous } from "../../fleet/ranges.js";

const tuning = (budget?: { holds: number; drifts: number }) =>
  tuningSchema.parse({ ranges: { eta: continuous(0.1, 0.5) }, maxJobs: 20, budget });

const size = (changes: Partial<SearchSizeInput>) =>
  chooseSearchSize({
    tuning: tuning({ holds: 4, drifts: 16 }),
    gate: { metric: "rmse", better: 0.02 },
    testing: false,
    hasChampion: true,
    last: { challenger: { rmse: 10 }, champion: { rmse: 10 } },
    ...changes,
  });

test("without a budget it is the spec's maximum, whatever has happened", () => {
  expect(size({ tuning: tuning(), last: null })).toEqual({ maxJobs: 20, because: null });
});

test("a testing run has one training job, whatever the budget says", () => {
  expect(size({ testing: true })).toMatchObject({ maxJobs: 1 });
  expect(size({ testing: true, tuning: tuning() })).toMatchObject({ maxJobs: 1 });
});

describe("with a budget it is small where the champion still holds", () => {
  test.each([
    ["the last challenger was no better", 10, 10],
    ["the last challenger was worse", 12, 10],
    ["the last challenger gained less than the gate asks", 9.9, 10],
    ["the champion makes no error", 0, 0],
  ])("%s", (_when, challenger, champion) => {
    expect(
      size({ last: { challenger: { rmse: challenger }, champion: { rmse: champion } } }),
    ).toEqual({ maxJobs: 4, because: "the champion still holds: small search" });
  });
});

describe("and large where", () => {
  test("the last challenger gained what the gate asks: the rows have moved away", () => {
    expect(size({ last: { challenger: { rmse: 9.7 }, champion: { rmse: 10 } } })).toEqual({
      maxJobs: 16,
      because: "the last challenger's rmse was 3 % below the champion's: large search",
    });
  });

  test("the customer is new", () => {
    expect(size({ hasChampion: false, last: null })).toEqual({
      maxJobs: 16,
      because: "no champion yet: large search",
    });
  });

  test("the champion has not met newer rows than its own", () => {
    const last = { challenger: { rmse: 10 }, champion: null };
    expect(size({ last })).toMatchObject({ maxJobs: 16 });
    expect(size({ last: null })).toMatchObject({ maxJobs: 16 });
  });
});
