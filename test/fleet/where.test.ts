/** Conditions on the command line: what they select, and how they say that they cannot be read. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseWhere, WhereError, type Figure, type FigureKind } from "../../fleet/where.js";

const FIELDS = new Map<string, FigureKind>([
  ["improvement", "number"],
  ["rmse", "number"],
  ["champion_rmse", "number"],
  ["customer", "text"],
]);
const row = { improvement: 0.03, rmse: 39, champion_rmse: 40.2, customer: "Sainte-Foy" };
const matches = (text: string, of: Readonly<Record<string, Figure>> = row): boolean =>
  parseWhere(text, FIELDS)(of);

describe("selects", () => {
  test.each([
    ["improvement >= 0.02", true],
    ["improvement >= 2%", true],
    ["improvement>=.03 and rmse<40", true],
    ["improvement > 3e-2", false],
    ["improvement >= 0.02 and rmse > 40", false],
    ["rmse > 40 or improvement = 0.03", true],
    ["rmse < champion_rmse", true],
    ["40 > rmse", true],
    ["not rmse > 40", true],
    ["NOT (rmse > 40 OR improvement > 1)", true],
    ["rmse > 40 or rmse < 40 and improvement < 0", false],
    ["(rmse > 40 or rmse < 40) and improvement > 0", true],
    ["customer = 'Sainte-Foy'", true],
    ['customer != "Sainte-Foy"', false],
    ["rmse != -39", true],
    ["  rmse == 39  ", true],
  ])("%s", (text, expected) => {
    expect(matches(text)).toBe(expected);
  });

  test("neither a condition nor its opposite holds for a figure that is missing", () => {
    const first = { ...row, improvement: null };
    expect(matches("improvement >= 0", first)).toBe(false);
    expect(matches("not improvement >= 0", first)).toBe(false);
    expect(matches("improvement >= 0 or rmse < 40", first)).toBe(true);
    expect(matches("not (improvement >= 0 and rmse > 40)", first)).toBe(true);
    expect(matches("improvement >= 0", { rmse: 1 })).toBe(false);
  });
});

describe("refuses, with what it found and what it wants", () => {
  test.each([
    ["", "its end, a field"],
    ["rmse", "its end, one of = != <"],
    ["rmse 40", "40, one of = != <"],
    ["rmse < ", "its end, a field"],
    ["rmse < 40 and", "its end, a field"],
    ["rmse < 40 improvement > 0", "improvement, and, or, or the end"],
    ["(rmse < 40", "a closing parenthesis"],
    ["rmse < 40)", "and, or, or the end"],
    ["rmse < 40; drop table releases", ";, and, or, or the end"],
    ["rmse < customer", "a number is compared with text"],
    ["customer = 5", "a number is compared with text"],
    ["constructor = 1", 'no model has a figure "constructor"'],
    ["process.exit() = 1", 'no model has a figure "process"'],
    [`rmse < ${"9".repeat(1000)}`, "longer than 1000 characters"],
  ])("%j", (text, said) => {
    expect(() => matches(text)).toThrow(WhereError);
    expect(() => matches(text)).toThrow(said);
  });

  test("names the field that nobody has, so that the nearest can be offered", () => {
    const read = () => matches("rsme < 40");
    expect(read).toThrow(expect.objectContaining({ field: "rsme" }) as Error);
  });
});

test("any text is either read or refused with a WhereError", () => {
  const part = fc.constantFrom(
    ...[
      "rmse",
      "improvement",
      "and",
      "or",
      "not",
      "(",
      ")",
      "<",
      ">=",
      "=",
      "40",
      "2%",
      "'a'",
      "?",
    ],
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      try {
        expect(typeof matches(parts.join(" "))).toBe("boolean");
      } catch (error) {
        expect(error).toBeInstanceOf(WhereError);
      }
    }),
  );
});
