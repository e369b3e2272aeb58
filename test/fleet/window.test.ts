/** The window of a cycle. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { SpecError } from "../../fleet/errors.js";
import { cycleWindow } from "../../fleet/window.js";

const times = fc
  .date({ min: new Date("1970-01-01"), max: new Date("2999-12-31"), noInvalidDate: true })
  .map((date) => date.toISOString());
const lengths = fc.record({
  months: fc.integer({ min: 1, max: 240 }),
  pushbackDays: fc.integer({ min: 0, max: 400 }),
});

test.each([
  ["2013-07-01", 6, 0, "2013-01-01", "2013-07-01"],
  ["2013-07-01", 12, 30, "2012-06-01", "2013-06-01"],
  ["2013-03-31", 1, 0, "2013-02-28", "2013-03-31"], // February is shorter.
  ["2012-03-31", 1, 0, "2012-02-29", "2012-03-31"],
  ["2012-02-29", 12, 0, "2011-02-28", "2012-02-29"],
])(
  "for %s, %i months and %i days of pushback it is [%s, %s)",
  (at, months, pushbackDays, floor, ceiling) => {
    expect(cycleWindow({ months, pushbackDays }, at)).toEqual({
      floor: `${floor}T00:00:00.000Z`,
      ceiling: `${ceiling}T00:00:00.000Z`,
    });
  },
);

test("a cycle that is started some seconds late has the same window", () => {
  const length = { months: 6, pushbackDays: 0 };
  expect(cycleWindow(length, "2013-07-01T03:00:42.5Z")).toEqual(
    cycleWindow(length, "2013-07-01T03:00:00Z"),
  );
});

test("the floor lies before the ceiling, and the ceiling not after the cycle's time", () => {
  fc.assert(
    fc.property(lengths, times, (length, at) => {
      const { floor, ceiling } = cycleWindow(length, at);
      expect(floor < ceiling).toBe(true);
      expect(ceiling <= at).toBe(true);
    }),
  );
});

test("a later cycle never has an earlier window", () => {
  fc.assert(
    fc.property(lengths, times, times, (length, one, other) => {
      const [earlier, later] = one <= other ? [one, other] : [other, one];
      const [first, second] = [cycleWindow(length, earlier), cycleWindow(length, later)];
      expect(first.floor <= second.floor).toBe(true);
      expect(first.ceiling <= second.ceiling).toBe(true);
    }),
  );
});

test("a window that would begin before the year 1 is refused", () => {
  expect(() => cycleWindow({ months: 1200, pushbackDays: 0 }, "0050-01-01")).toThrow(SpecError);
});
