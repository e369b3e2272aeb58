import { expect, test } from "vitest";
import { parseStat, parseTime } from "../../bench/cpu-time.js";
import { renderReport } from "../../bench/report.js";
import { replaceSection } from "../../bench/results-file.js";
import { percentile, withSpread } from "../../bench/statistics.js";

test("a benchmark's section goes to the end when there is none", () => {
  const text = replaceSection("# Results\n", "export", "new");
  expect(text).toBe("# Results\n\n<!-- begin export -->\n\nnew\n\n<!-- end export -->\n");
});

test("a benchmark that runs again replaces its own section and no other", () => {
  const first = replaceSection(replaceSection("# Results\n", "cycle", "old"), "export", "kept");
  const second = replaceSection(first, "cycle", "new");
  expect(second).toBe(first.replace("old", "new"));
});

test("percentiles lie between the two nearest ranks", () => {
  expect(percentile([4, 1, 3, 2], 50)).toBe(2.5);
  expect(percentile([1, 2, 3], 100)).toBe(3);
  expect(percentile([], 50)).toBeNaN();
});

test("a spread is told only where there is one", () => {
  expect(withSpread([3, 1, 2], 1)).toBe("2.0 (1.0–3.0)");
  expect(withSpread([2, 2], 0)).toBe("2");
});

test("a report shows its command, the machine, its tables and its notes", () => {
  const report = renderReport(
    {
      name: "export",
      title: "rows",
      command: "npm run bench -- export",
      tables: [{ title: "10 rows", headers: ["", "seconds"], rows: [["psql", "0.10"]] }],
      notes: ["All run the same query."],
    },
    ["2 cores"],
  );
  expect(report).toContain("## export: rows\n\n`npm run bench -- export`\n\n- 2 cores\n");
  expect(report).toContain("| psql |    0.10 |");
  expect(report).toContain("- All run the same query.");
});

test("CPU times are read as Linux and macOS write them", () => {
  const times = "10 20 3 4 20 0 1 0 100";
  const stat = `42 (a (b) c) S 7 42 42 0 -1 4194304 100 0 0 0 ${times}`;
  expect(parseStat(stat)).toEqual({ pid: 42, parent: 7, seconds: 0.37 });
  expect(parseTime("00:01:02")).toBe(62);
  expect(parseTime("1-02:00:03")).toBe(93_603);
  expect(parseTime("0:01.50")).toBe(1.5);
});
