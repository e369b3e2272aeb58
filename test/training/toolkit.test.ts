/** The scripts run by the training toolkit that AWS publishes, and our own toolkit held against it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { layOutJob, regressionSource } from "../hosting/job.js";
import type { JobLayout } from "../hosting/job.js";
import { runToEnd, sharedHost, temporaryFolder } from "../hosting/python.js";
import { channels } from "./dataset.js";
import { publishedToolkit } from "./toolkit/published-toolkit.js";
import type { PublishedToolkit } from "./toolkit/published-toolkit.js";

const host = sharedHost();
const folder = temporaryFolder();
let published: PublishedToolkit;
beforeAll(async () => {
  published = await publishedToolkit();
});

const ours = (baseDir: string) => runToEnd((onLine) => host().train({ baseDir, env: {}, onLine }));

/** The same job, run by each of the two. */
async function runByBoth(job: JobLayout) {
  const [ourBase, theirBase] = [layOutJob(folder, job), layOutJob(folder, job)];
  const theirs = await published.train(theirBase);
  return {
    ours: { ...(await ours(ourBase)), base: ourBase },
    theirs: { ...theirs, base: theirBase },
  };
}

/** Each folder of training/ with a job small enough for a test; another one is another line. */
const folders: readonly (readonly [name: string, job: JobLayout])[] = [
  [
    "training/xgboost_regression",
    { code: regressionSource, channels: channels(), hyperparameters: { num_round: "20" } },
  ],
];

describe("with the published toolkit", () => {
  test.each(folders)("%s trains the model that it trains with ours", async (_name, job) => {
    const { ours, theirs } = await runByBoth(job);
    expect(theirs.lines.join("\n")).not.toContain("FAILURE");
    expect([ours.code, theirs.code]).toEqual([0, 0]);
    const metrics = (lines: readonly string[]) => lines.filter((line) => /^[\w:]+=.*;$/.test(line));
    expect(metrics(theirs.lines).length).toBeGreaterThan(0);
    expect(metrics(theirs.lines)).toEqual(metrics(ours.lines));
    const model = (base: string) => readdirSync(join(base, "model"), { recursive: true }).sort();
    expect(model(theirs.base).length).toBeGreaterThan(0);
    expect(model(theirs.base)).toEqual(model(ours.base));
  });
});

describe("our toolkit", () => {
  /** What a script can see of how it was started. */
  const tell = `
import json, os, pathlib, sys
names = ("SM_", "SAGEMAKER_", "CURRENT_HOST")
seen = {name: value for name, value in os.environ.items() if name.startswith(names)}
told = {"argv": sys.argv[1:], "cwd": os.getcwd(), "variables": seen, "name": __name__}
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "told.json").write_text(json.dumps(told))
`;

  /** Ours is the number of CPUs that a host may use; the other setting is for theirs only. */
  const leftOut = ["SM_NUM_CPUS", "num_cpus", "SM_STUDIO_LOCAL_MODE"];

  /** The base folder's name replaced, and JSON taken apart: the order of members means nothing. */
  function told(base: string): unknown {
    const file = readFileSync(join(base, "output/data/told.json"), "utf8");
    const { variables, ...rest } = JSON.parse(file.replaceAll(base, "/opt/ml")) as {
      variables: Record<string, string>;
    };
    const seen = Object.entries(variables).map(([name, value]) => [name, parsedOr(value)] as const);
    const all = JSON.stringify({ ...rest, variables: Object.fromEntries(seen) });
    return JSON.parse(all, (name, value: unknown) => (leftOut.includes(name) ? undefined : value));
  }

  test("starts a script with the arguments and variables that the published one gives it", async () => {
    const { ours, theirs } = await runByBoth({
      code: { "train.py": tell },
      channels: { train: { "a.csv": "1\n" }, "test-data": { "b.csv": "2\n" } },
      hyperparameters: {
        ...{ eta: "0.1", n: "5", "batch-size": "25", name: '"adam"', plain: "adam", flag: "true" },
        ...{ mapping: '{"b": 2, "a": 1}', list: "[1, 2]", nothing: "null", empty: "" },
        ...{ sagemaker_job_name: '"job-1"', sagemaker_region: '"us-east-1"' },
        ...{ sagemaker_container_log_level: "30", _tuning_objective_metric: "validation:rmse" },
      },
    });
    expect([ours.code, theirs.code], theirs.lines.join("\n")).toEqual([0, 0]);
    expect(told(ours.base)).toEqual(told(theirs.base));
  });

  test("says of a script that fails what the published one says", async () => {
    const { ours, theirs } = await runByBoth({
      code: { "train.py": "import sys\nraise ValueError('no rows')" },
    });
    expect([ours.code, theirs.code]).toEqual([1, 1]);
    const failure = (base: string) => readFileSync(join(base, "output/failure"), "utf8");
    for (const text of [failure(ours.base), failure(theirs.base)])
      expect(text).toMatch(
        /^ExecuteUserScriptError:\nExitCode 1\nErrorMessage ".*"\nCommand ".*train\.py"/s,
      );
  });
});

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
