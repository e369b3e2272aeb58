/** The interval of the improvement, beside scipy's and beside what is known. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { regressionSource } from "../hosting/job.js";
import { pythonPath } from "../hosting/python.js";

type Ends = [low: number, high: number];

interface Checked {
  readonly scipy: Readonly<Record<"rmse" | "mae", { ours: Ends; theirs: Ends }>>;
  readonly coverage: number;
  readonly grouped: { readonly groups: Ends; readonly rows: Ends };
  readonly edges: Readonly<Record<string, unknown>>;
  readonly large: { readonly seconds: number; readonly peakMegabytes: number };
}

let checked: Checked;

beforeAll(() => {
  const script = fileURLToPath(new URL("check_bootstrap.py", import.meta.url));
  const folder = join(regressionSource, "model_evaluation");
  const output = execFileSync(pythonPath(), [script, folder], { encoding: "utf8" });
  checked = JSON.parse(output) as Checked;
});

const width = ([low, high]: Ends): number => high - low;

test.each(["rmse", "mae"] as const)("of %s is scipy's, but for chance", (metric) => {
  const { ours, theirs } = checked.scipy[metric];
  const tolerance = width(theirs) / 50;
  expect(Math.abs(ours[0] - theirs[0])).toBeLessThan(tolerance);
  expect(Math.abs(ours[1] - theirs[1])).toBeLessThan(tolerance);
});

test("of 90 % holds the true improvement about nine times in ten", () => {
  // 400 repetitions: their share of 90 % has a standard deviation of 1.5 %.
  expect(checked.coverage).toBeGreaterThan(0.86);
  expect(checked.coverage).toBeLessThan(0.94);
});

test("is the same whether many rows are drawn singly or by groups", () => {
  const { groups, rows } = checked.grouped;
  expect(Math.abs(width(groups) / width(rows) - 1)).toBeLessThan(0.1);
  expect(Math.abs(groups[0] - rows[0])).toBeLessThan(width(rows) / 10);
});

test("is what can be told without drawing, where it can, and none where it cannot", () => {
  expect(checked.edges).toEqual({
    half: [0.5, 0.5],
    same: [0, 0],
    fewRows: null,
    perfectChampion: [-1e6, -1e6],
    bothPerfect: [0, 0],
    again: true,
  });
});

test("of a million rows takes bounded memory", () => {
  // The two models' losses of a million rows are 16 MB, and as much again in another order.
  expect(checked.large.peakMegabytes).toBeLessThan(100);
});
