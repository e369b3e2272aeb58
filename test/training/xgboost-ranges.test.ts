/** The training script takes whatever a search over xgboostRanges may hand it. */
import { join } from "node:path";
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { xgboostRanges } from "../../fleet/ranges.js";
import { layOutJob, regressionSource } from "../hosting/job.js";
import { runToEnd, sharedHost, temporaryFolder } from "../hosting/python.js";
import { channels } from "./dataset.js";

const host = sharedHost();
const folder = temporaryFolder();

async function train(hyperparameters: Record<string, string>) {
  const baseDir = layOutJob(folder, {
    channels: channels(),
    // As the platform's tuner adds it to every job of a search.
    hyperparameters: { ...hyperparameters, _tuning_objective_metric: "validation:rmse" },
    code: regressionSource,
  });
  const { code, lines } = await runToEnd((onLine) => host().train({ baseDir, env: {}, onLine }));
  return { code, lines, files: readdirSync(join(baseDir, "model")) };
}

/** The same end of every range. */
const corner = (end: "min" | "max"): Record<string, string> =>
  Object.fromEntries(
    Object.entries(xgboostRanges).map(([name, range]) => [
      name,
      String(range.type === "categorical" ? range.values[0] : range[end]),
    ]),
  );

test.each([
  ["the lowest values, where the depth 0 means no limit", { ...corner("min"), num_round: "50" }],
  ["the highest values, 4000 rounds of which early stopping leaves few", corner("max")],
  ["values in full precision", { ...corner("min"), eta: "0.31415926535897931", num_round: "9" }],
])("%s", async (_which, hyperparameters) => {
  const { code, lines, files } = await train(hyperparameters);
  expect(code, lines.join("\n")).toBe(0);
  expect(lines.some((line) => /^validation:rmse=[0-9.]+;$/.test(line))).toBe(true);
  expect(files).toContain("xgboost-model.json");
});
