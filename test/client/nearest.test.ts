/** Suggestions help only when they are right. */
import { expect, test } from "vitest";
import { nearest } from "../../client/nearest.js";

test.each([
  ["XNB", ["ATL", "XNA", "ORD"], "XNA"],
  ["xna", ["ATL", "XNA"], "XNA"],
  ["flight-delay", ["churn", "flight-delays"], "flight-delays"],
  ["weather", ["churn", "flight-delays"], undefined],
  ["anything", [], undefined],
])("nearest to %s among %j is %s", (word, names, expected) => {
  expect(nearest(word, names)).toBe(expected);
});
