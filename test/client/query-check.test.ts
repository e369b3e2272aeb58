/** What a fleet declares against the columns that its query has. */
import { describe, expect, test } from "vitest";
import { checkColumns } from "../../client/query-check.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";

const source: FleetSpec["source"] = {
  kind: "postgres",
  connection: "WAREHOUSE_URL",
  query: "select …",
  customer: "dest",
  target: "arr_delay",
  window: { months: 6, pushbackDays: 0 },
  split: { by: "hash", validation: 0.3, test: 0.1 },
  minimumRows: 50,
};

const columns = (given: Readonly<Record<string, string>>) =>
  Object.entries(given).map(([name, type]) => ({
    name,
    type,
    category: { smallint: "N", "timestamp with time zone": "D" }[type] ?? "S",
  }));

const flights = columns({ dest: "text", arr_delay: "smallint", distance: "smallint" });

describe("a query's columns", () => {
  test("that fit leave nothing to say", () => {
    expect(checkColumns(source, flights)).toEqual([]);
  });

  test.each([
    ["a customer column it lacks", { customer: "dst" }, "source.customer", 'did you mean "dest"?'],
    [
      "a target column it lacks",
      { target: "ar_delay" },
      "source.target",
      'did you mean "arr_delay"?',
    ],
  ])("are compared with %s", (_what, changes, field, hint) => {
    expect(checkColumns({ ...source, ...changes }, flights)).toMatchObject([{ field, hint }]);
  });

  test("must have those that a look for drift is to leave out; the target is looked at too", () => {
    expect(checkColumns(source, flights, [], ["arr_delay", "distanse"])).toMatchObject([
      { field: "drift.ignore.1", value: '"distanse"', hint: 'did you mean "distance"?' },
    ]);
  });

  test("must have a number to predict", () => {
    const text = columns({
      dest: "text",
      arr_delay: "character varying(10)",
      distance: "smallint",
    });
    expect(checkColumns(source, text)).toMatchObject([
      { field: "source.target", hint: "cast it in the query: arr_delay::double precision" },
    ]);
  });

  test("must have something to predict from", () => {
    const bare = columns({ dest: "text", arr_delay: "smallint" });
    expect(checkColumns(source, bare)).toMatchObject([
      { problem: "has no column to predict from" },
    ]);
  });

  test("must be of types that a model can use", () => {
    const times = [...flights, ...columns({ left_at: "timestamp with time zone" })];
    expect(checkColumns(source, times)).toMatchObject([
      {
        value: '"left_at"',
        problem: "is of type timestamp with time zone, which no model can use as it is",
        hint: "leave it out, or select it as extract(epoch from left_at) as left_at",
      },
    ]);
  });

  test("may hold the time that rows are split by, which is no feature", () => {
    const times = [...flights, ...columns({ left_at: "timestamp with time zone" })];
    const split = { by: "time", column: "left_at", validation: 0.3, test: 0.1 } as const;
    expect(checkColumns({ ...source, split }, times)).toEqual([]);
  });

  test("must have names of their own", () => {
    const twice = [...flights, { name: "distance", type: "integer", category: "N" }];
    expect(checkColumns(source, twice)).toMatchObject([
      { value: '"distance"', problem: "is the name of two columns" },
    ]);
  });

  test("must have what the gate looks at, as a feature", () => {
    const segment = (column: string) => [{ column, maximumDrop: 0.1 }];
    expect(checkColumns(source, flights, segment("distance"))).toEqual([]);
    expect(checkColumns(source, flights, segment("distanc"))).toMatchObject([
      {
        field: "gate.segments.0.column",
        value: '"distanc"',
        problem: "is not a feature of the query",
        hint: 'did you mean "distance"?',
      },
    ]);
    expect(checkColumns(source, flights, segment("dest"))).toMatchObject([
      { field: "gate.segments.0.column", hint: "its features: distance" },
    ]);
  });

  test("of a split by time must hold its column", () => {
    const byTime = {
      ...source,
      split: { by: "time", column: "tme", validation: 0.3, test: 0.1 },
    } as const;
    expect(checkColumns(byTime, flights)).toMatchObject([{ field: "source.split.column" }]);
  });
});
