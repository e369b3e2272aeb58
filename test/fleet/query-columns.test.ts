/** What a query's columns are to a model. */
import { expect, test } from "vitest";
import { columnKind, featuresOf, usableSelection } from "../../fleet/query-columns.js";

const column = (type: string, category: string, name = "x") => ({ name, type, category });

test.each([
  [column("integer", "N"), "number"],
  [column("numeric(10,2)", "N"), "number"],
  [column("money", "N"), undefined],
  [column("oid", "N"), undefined],
  [column("regclass", "N"), undefined],
  [column("boolean", "B"), "boolean"],
  [column("text", "S"), "category"],
  [column("mood", "E"), "category"],
  [column("timestamp with time zone", "D"), undefined],
  [column("jsonb", "U"), undefined],
])("%j is %s", (given, kind) => {
  expect(columnKind(given)).toBe(kind);
});

test.each([
  [column("date", "D", "left_on"), "extract(epoch from left_on) as left_on"],
  [column("interval", "T", "Took"), 'extract(epoch from "Took") as "Took"'],
  [column("jsonb", "U", 'a "b"'), '"a ""b"""::text as "a ""b"""'],
])("%j can be used as %s", (given, selection) => {
  expect(usableSelection(given)).toBe(selection);
});

test("every column without another role is a feature", () => {
  const columns = ["dest", "arr_delay", "at", "hour"].map((name) => ({ name }));
  const roles = { customer: "dest", target: "arr_delay", split: { column: "at" } };
  expect(featuresOf(columns, roles)).toEqual([{ name: "hour" }]);
  expect(featuresOf(columns, { ...roles, split: {} })).toEqual([{ name: "at" }, { name: "hour" }]);
});
