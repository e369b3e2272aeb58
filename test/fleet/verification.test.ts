import { describe, expect, test } from "vitest";
import { differenceOf, missingPredictions, readPredictions } from "../../fleet/verification.js";

describe("differenceOf", () => {
  test.each([
    ["equal answers", [12.5, -3], [12.5, -3]],
    ["what 32 bits make of them", [12.345678901], [Math.fround(12.345678901)]],
    ["a little less than a ten-thousandth", [1000], [1000.09]],
    ["noise of a prediction near zero", [15, 1e-7], [15, 3e-7]],
    ["zeros", [0, 0], [0, 0]],
  ])("finds none in %s", (_what, offline, served) => {
    expect(differenceOf({ offline, served })).toBeNull();
  });

  test.each([
    ["another value", [3, 15.1], [3, 12.3], "served 12.3 where training predicted 15.1 (row 2)"],
    [
      "more than a ten-thousandth",
      [1],
      [1.0002],
      "served 1.0002 where training predicted 1 (row 1)",
    ],
    ["no number", [1], [NaN], "served NaN where training predicted 1 (row 1)"],
    ["anything but zero", [0], [0.1], "served 0.1 where training predicted 0 (row 1)"],
    ["too few answers", [1, 2, 3], [1, 2], "served 2 predictions for 3 rows"],
    ["too many answers", [1], [1, 1], "served 2 predictions for 1 rows"],
  ])("tells %s", (_what, offline, served, difference) => {
    expect(differenceOf({ offline, served })).toBe(difference);
  });
});

test.each([
  ["1.5\n-2e3\n", [1.5, -2000]],
  ["1.5,2", [1.5, 2]],
  ["1\r\n2\r\n", [1, 2]],
  ["", []],
  ["nan", [NaN]],
  ["<html>", [NaN]],
])("readPredictions reads %j", (csv, predictions) => {
  expect(readPredictions(csv)).toEqual(predictions);
});

test.each([
  [3, 3, null],
  [1, 1, null],
  [3, 0, "no verification:1"],
  [0, 0, "no verification:1"],
  [3, 1, "1 figure verification:N for 3 verification rows"],
  [1, 3, "3 figures verification:N for 1 verification row"],
])("of %i rows and %i predictions it says %j", (rows, predictions, said) => {
  expect(missingPredictions(rows, predictions)).toBe(said);
});
