/** Which customers have drifted, which of them are retrained, and what a fleet file may say about it. */
import { describe, expect, test } from "vitest";
import {
  compareColumns,
  compareError,
  decideRetraining,
  figureWords,
  newestWindow,
  rowsOf,
  watchedColumns,
  type ColumnCounts,
  type DriftedCustomer,
} from "../../fleet/drift.js";
import { driftSchema } from "../../fleet/drift.schema.js";
import {
  kolmogorovSmirnov,
  meanError,
  populationStability,
  type Cell,
} from "../../fleet/drift-statistics.js";
import { daily, monthly, weekly } from "../../fleet/schedule.js";

/** Ten equal bins of the reference; the shares given of the new window. */
const bins = (newest: readonly number[], reference = newest.map(() => 100)): Cell[] =>
  newest.map((count, code) => ({ code, newest: count, reference: reference[code] ?? 0 }));

const even = Array.from({ length: 10 }, () => 100);
const moved = [10, 30, 60, 80, 100, 100, 120, 140, 160, 200];

describe("how far apart two windows are", () => {
  test("the same shares are no distance, whatever the numbers of rows", () => {
    expect(populationStability(bins(even), 0.001).value).toBe(0);
    expect(populationStability(bins(even.map((n) => n * 7)), 0.001).value).toBeLessThan(1e-5);
    expect(kolmogorovSmirnov(bins(even), 0.001).value).toBe(0);
  });

  test("PSI is the sum over the bins, as by hand", () => {
    const cells = [
      { code: 0, reference: 50_000, newest: 30_000 },
      { code: 1, reference: 50_000, newest: 70_000 },
    ];
    // (0.3 - 0.5) ln(0.3/0.5) + (0.7 - 0.5) ln(0.7/0.5)
    expect(populationStability(cells, 0.001).value).toBeCloseTo(0.16946, 4);
  });

  test("a bin that one window leaves empty counts without being infinite, and one empty in both is none", () => {
    const emptied = bins([0, 200, ...even.slice(2)]);
    const { value } = populationStability(emptied, 0.001);
    expect(value).toBeGreaterThan(0.1);
    expect(Number.isFinite(value)).toBe(true);
    const padded = [...emptied, { code: 99, reference: 0, newest: 0 }];
    expect(populationStability(padded, 0.001)).toEqual(populationStability(emptied, 0.001));
  });

  test("NULLs are a bin of PSI, and no number to KS", () => {
    const nulls = [...bins(even), { code: -1, reference: 0, newest: 500 }];
    expect(populationStability(nulls, 0.001).value).toBeGreaterThan(0.5);
    expect(kolmogorovSmirnov(nulls, 0.001).value).toBe(0);
  });

  test("KS is the largest difference of the cumulative shares, in the cells' order", () => {
    const { value, byChance } = kolmogorovSmirnov([...bins(moved)].reverse(), 0.05);
    expect(value).toBeCloseTo(0.22, 6);
    // The usual table: 1.358 for 5 %, over the root of nm/(n+m).
    expect(byChance).toBeCloseTo(1.358 / Math.sqrt(500), 3);
  });

  test("what chance brings falls with the rows, and PSI's is chi-squared", () => {
    // 95 % of chi-squared with nine degrees of freedom: 16.919.
    const { byChance } = populationStability(bins(even), 0.05);
    expect(byChance).toBeCloseTo((2 / 1000) * 16.919, 3);
  });

  test("without rows in a window nothing is known", () => {
    const gone = bins(even.map(() => 0));
    expect(populationStability(gone, 0.001)).toEqual({ value: 0, byChance: 0 });
    expect(kolmogorovSmirnov(gone, 0.001)).toEqual({ value: 0, byChance: 0 });
  });

  test("the error of predictions, with how low luck may have made it seem high", () => {
    const rows = [1, -1, 3, -3].map((off) => ({ target: 10, prediction: 10 + off }));
    expect(meanError("mae", rows).value).toBe(2);
    expect(meanError("rmse", rows).value).toBeCloseTo(Math.sqrt(5));
    expect(meanError("rmse", rows).low).toBeLessThan(Math.sqrt(5));
    expect(meanError("rmse", [{ target: 1, prediction: NaN }])).toEqual({
      value: Infinity,
      low: 0,
    });
  });
});

describe("which figures exceed", () => {
  const column = (name: string, cells: Cell[]): ColumnCounts => ({
    column: name,
    kind: "number",
    cells,
  });

  test("those above the threshold, worst first, in words", () => {
    const figures = compareColumns([column("calm", bins(even)), column("moved", bins(moved))], {
      psi: 0.1,
      ks: 0.2,
    });
    expect(figures.map((one) => [one.column, one.measure, one.exceeds])).toEqual([
      ["moved", "psi", true],
      ["moved", "ks", true],
      ["calm", "psi", false],
      ["calm", "ks", false],
    ]);
    expect(figures[0] && figureWords(figures[0])).toMatch(
      /^PSI of moved 0\.\d+, at most 0\.1 is tolerated$/,
    );
  });

  test("none of so few rows that chance would bring as much", () => {
    const few = moved.map((n) => n / 20);
    const [worst] = compareColumns(
      [
        column(
          "moved",
          bins(
            few,
            even.map((n) => n / 20),
          ),
        ),
      ],
      {
        psi: 0.1,
      },
    );
    expect(worst).toMatchObject({ exceeds: false });
    expect(worst && worst.value > worst.threshold).toBe(true);
  });

  test("a category is not measured by KS", () => {
    const category: ColumnCounts = { column: "colour", kind: "category", cells: bins(moved) };
    expect(compareColumns([category], { psi: 0.1, ks: 0.1 })).toHaveLength(1);
  });

  test("an error that is worse by the ratio, and surely worse than at registration", () => {
    const judge = (value: number, low: number) =>
      compareError("rmse", { now: { value, low }, atRegistration: 10 }, 1.25).exceeds;
    expect(judge(13, 11)).toBe(true);
    expect(judge(13, 9)).toBe(false);
    expect(judge(12, 11)).toBe(false);
    expect(judge(Infinity, 0)).toBe(false);
  });

  test("rows are counted in any one column", () => {
    expect(rowsOf([column("a", bins(even))], 200)).toEqual({
      reference: 1000,
      newest: 1000,
      tooFew: null,
    });
    expect(rowsOf([column("a", bins([5, 5]))], 50).tooFew).toBe(
      "10 rows in the new window, drift.minimumRows asks 50",
    );
  });
});

describe("who is retrained", () => {
  const policy = { coolDown: "30d", maxRetrainings: 2 };
  const at = "2013-07-01T00:00:00.000Z";
  const free = { retrainedAt: null, waitingVersion: null, inCycle: null };
  const decide = (customer: Partial<DriftedCustomer>, taken = 0) =>
    decideRetraining({ ...free, ...customer }, policy, { at, taken });

  test("who has drifted, up to the limit", () => {
    expect(decide({}, 1)).toEqual({ action: "retrain" });
    expect(decide({}, 2)).toEqual({
      action: "left",
      because: "drift.maxRetrainings is 2, and others are worse",
    });
  });

  test("nobody who cools down, waits for a decision, or is in a cycle", () => {
    expect(decide({ retrainedAt: "2013-06-15T00:00:00.000Z" })).toEqual({
      action: "left",
      because: "retrained for drift at 2013-06-15, cools down until 2013-07-15",
    });
    expect(decide({ retrainedAt: "2013-06-01T00:00:00.000Z" })).toEqual({ action: "retrain" });
    expect(decide({ waitingVersion: 3 })).toMatchObject({ action: "left" });
    expect(decide({ inCycle: "2013-07-01" })).toMatchObject({ action: "left" });
  });
});

test("the new window begins where the champion's ended, or at the newest days", () => {
  const champion = { floor: "2013-01-01T00:00:00.000Z", ceiling: "2013-06-01T00:00:00.000Z" };
  const ceiling = "2013-07-01T00:00:00.000Z";
  expect(newestWindow(champion, { ceiling, days: undefined })?.floor).toBe(champion.ceiling);
  expect(newestWindow(champion, { ceiling, days: 7 })?.floor).toBe("2013-06-24T00:00:00.000Z");
  expect(newestWindow(champion, { ceiling, days: 90 })?.floor).toBe(champion.ceiling);
  expect(newestWindow(champion, { ceiling: champion.ceiling, days: 7 })).toBeNull();
});

describe("a fleet file", () => {
  const schedule = weekly({ day: "MON", at: "05:00" });
  const refused = (drift: object): string | undefined => {
    const parsed = driftSchema.safeParse({ schedule, ...drift });
    return parsed.success ? undefined : parsed.error.issues[0]?.message;
  };

  test("says little: the rest is what credit scoring does", () => {
    expect(driftSchema.parse({ schedule: daily({ at: "05:30" }) })).toMatchObject({
      psi: 0.25,
      coolDown: "30d",
      maxRetrainings: 20,
      minimumRows: 200,
      schedule: { kind: "calendar", hour: "05", minute: "30" },
    });
  });

  test.each<[object, RegExp]>([
    [{ psi: 0 }, /must be above 0: 0\.1 is a moderate shift/],
    [{ psi: -1 }, /must be above 0/],
    [{ psi: 11 }, /at most 10: .*nothing would ever exceed it/],
    [{ ks: 0 }, /must be above 0/],
    [{ ks: 1 }, /must be below 1/],
    [{ error: { ratio: 1 } }, /must be above 1/],
    [{ error: { ratio: 1.2, sample: 5 } }, /at least 30/],
    [{ coolDown: "2h" }, /from 1d to 365d/],
    [{ coolDown: "6d" }, /is 6d, and the schedule looks every 7d at the most often/],
    [{ schedule: monthly({ day: 1, at: "05:00" }), coolDown: "27d" }, /looks every 28d/],
    [{ coolDown: "soon" }, /a whole number with its unit/],
    [{ minimumRows: 3 }, /at least 50/],
    [{ treshold: 1 }, /[Uu]nrecognized key/],
    [{ schedule: daily({ at: "noon" }) }, /./],
  ])("%j is refused with a sentence", (drift, message) => {
    expect(refused(drift)).toMatch(message);
  });

  test.each([
    [schedule, "7d"],
    [daily({ at: "05:00" }), "1d"],
    [monthly({ day: 1, at: "05:00" }), "30d"],
    [weekly({ day: "MON-FRI", at: "05:00", timezone: "Europe/Berlin" }), "2d"],
  ])("a cool-down that lasts until the next look will do", (often, coolDown) => {
    expect(refused({ schedule: often, coolDown })).toBeUndefined();
  });

  test("a column to ignore must be there, and one must be left", () => {
    const columns = [{ name: "a" }, { name: "b" }];
    expect(watchedColumns(columns, ["a"])).toEqual([{ name: "b" }]);
    expect(() => watchedColumns(columns, ["c"])).toThrow(
      'drift.ignore names "c", which is no column of source.query (it has a, b)',
    );
    expect(() => watchedColumns(columns, ["a", "b"])).toThrow("leaves no column");
  });
});
