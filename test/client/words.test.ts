/** Figures as people read them. */
import { expect, test } from "vitest";
import { changeInterval, money } from "../../client/cli/words.js";
import { estimateCost } from "../../fleet/cost.js";

test.each([
  [{ low: 0.02, high: 0.081 }, "−8.1 to −2.0 %"],
  [{ low: -0.03, high: 0.05 }, "−5.0 to +3.0 %"],
  [{ low: -0.2, high: -0.1 }, "+10.0 to +20.0 %"],
  [{ low: null, high: null }, "–"],
])("an improvement of %j is a change of %s", (ends, text) => {
  expect(changeInterval(ends)).toBe(text);
});

test.each([
  [0, "about $0.00"],
  [0.0003, "less than $0.01"],
  [0.01, "about $0.01"],
  [1.154, "about $1.15"],
])("$%d is %s", (dollars, text) => {
  expect(money(dollars)).toBe(text);
});

test("the cost of a few short jobs is not none", () => {
  const { trainingUsd } = estimateCost({
    trainingJobs: 3,
    trainingInstanceType: "ml.m5.large",
    secondsPerJob: 7,
  });
  expect(money(trainingUsd ?? 0)).toBe("less than $0.01");
});
