import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { tarGz } from "../hosting/artifacts.js";
import { deployTestEndpoint, prefix } from "../hosting/endpoint.js";
import { layOutJob } from "../hosting/job.js";
import { runToEnd, sharedHost, temporaryFolder } from "../hosting/python.js";

const host = sharedHost();
const folder = temporaryFolder();
const source = (name: string) => fileURLToPath(new URL(`../../training/${name}`, import.meta.url));

/** As the packed source: the folder, and the package beside it. */
const code = join(folder, "source");
cpSync(source("prophet_forecast"), code, { recursive: true });
cpSync(source("xgboost_regression/model_evaluation"), join(code, "model_evaluation"), {
  recursive: true,
});

const DAYS = 21;

/** Rows as the export writes them: the oldest train, the newest test. */
function series(o: { seed: number; change?: (value: number, hour: number) => string }): string {
  let state = o.seed;
  const random = (): number => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const hours = DAYS * 24;
  const lines = Array.from({ length: hours }, (_none, hour) => {
    const place = hour / hours;
    const channel = place < 0.8 ? "train" : place < 0.9 ? "validation" : "test";
    const value = 500 + 200 * Math.sin((2 * Math.PI * hour) / 24) + 60 * (random() - 0.5);
    const time = new Date(Date.UTC(2025, 0, 1, hour)).toISOString().slice(0, 19);
    return `${channel},${o.change?.(value, hour) ?? value.toFixed(3)},${time}\n`;
  });
  return lines.join("");
}

const schema = {
  "columns.json": JSON.stringify({
    target: "consumption",
    columns: [{ name: "timestamp", type: "category" }],
  }),
};

interface TrainOptions {
  readonly customers?: Record<string, string>;
  readonly channels?: Record<string, Record<string, string>>;
  readonly hyperparameters?: Record<string, string>;
  /** What an interrupted job left. */
  readonly checkpoints?: string;
  /** Files of the channel `champions`. */
  readonly champions?: Record<string, Buffer | string>;
}

async function train(options: TrainOptions = {}) {
  const { champions } = options;
  const baseDir = layOutJob(folder, {
    channels: {
      customers: options.customers ?? {
        "a.csv": series({ seed: 1 }),
        "b.csv": series({ seed: 2 }),
      },
      schema,
      ...(champions === undefined ? {} : { champions: {} }),
      ...options.channels,
    },
    hyperparameters: options.hyperparameters ?? {},
    code,
  });
  for (const [name, content] of Object.entries(champions ?? {}))
    writeFileSync(join(baseDir, "input/data/champions", name), content);
  const checkpoints = join(baseDir, "checkpoints");
  mkdirSync(checkpoints, { recursive: true });
  if (options.checkpoints !== undefined)
    cpSync(options.checkpoints, checkpoints, { recursive: true });
  const run = await runToEnd((onLine) => host().train({ baseDir, env: {}, onLine }));
  const results = join(baseDir, "output/data/results-algo-1.jsonl");
  const failure = join(baseDir, "output/failure");
  return {
    code: run.code,
    said: run.lines,
    checkpoints,
    told: existsSync(results)
      ? readFileSync(results, "utf8")
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line) as Told)
      : [],
    failure: existsSync(failure) ? readFileSync(failure, "utf8") : null,
  };
}

interface Told {
  readonly customer: string;
  readonly metrics?: Readonly<Record<string, number>>;
  readonly failure?: string;
  readonly seconds?: number;
  readonly trials?: readonly {
    readonly hyperparameters: Readonly<Record<string, string>>;
    readonly value: number | null;
  }[];
}

describe("training", () => {
  test("makes a model for every file, and tells of each what a job for one customer prints", async () => {
    const { code: exit, told, checkpoints } = await train();
    expect(exit).toBe(0);
    expect(readdirSync(checkpoints).sort()).toEqual(["a.json", "a.tar.gz", "b.json", "b.tar.gz"]);
    expect(told.map(({ customer }) => customer)).toEqual(["a", "b"]);
    const { metrics = {} } = told[0] ?? { customer: "", metrics: {} };
    expect(Object.keys(metrics).sort()).toEqual([
      "baseline:mae",
      "baseline:rmse",
      "test:mae",
      "test:rmse",
      "test:rows",
      "test:stdev_error",
      "train:rows",
      "validation:rmse",
      "validation:rows",
      "verification:1",
      "verification:2",
      "verification:3",
    ]);
    expect(metrics["test:rmse"]).toBeLessThan(0.3 * (metrics["baseline:rmse"] ?? 0));
  });

  test("a customer that cannot be fitted is told with its reason, and the others are trained", async () => {
    const {
      code: exit,
      told,
      checkpoints,
    } = await train({
      customers: {
        "a.csv": series({ seed: 1 }),
        "empty.csv": "",
        "nan.csv": series({ seed: 1, change: (_value, hour) => (hour === 7 ? "NaN" : "5") }),
        "past.csv": "train,1,2025-01-01T00:00:00\ntrain,2,yesterday\n",
        "short.csv": "train,1,2025-01-01T00:00:00\nvalidation,1,2025-01-02T00:00:00\n",
      },
    });
    expect(exit).toBe(0);
    expect(Object.fromEntries(told.map(({ customer, failure }) => [customer, failure]))).toEqual({
      a: undefined,
      empty: expect.stringMatching(/channel "train" has no rows/) as string,
      nan: expect.stringMatching(
        /"consumption" is NULL, NaN or infinite in 1 of 504 rows, first in row 8/,
      ) as string,
      past: expect.stringMatching(/"timestamp" is no time in row 2: 'yesterday'/) as string,
      short: expect.stringMatching(/channel "test" has no rows/) as string,
    });
    expect(readdirSync(checkpoints).sort()).toEqual(["a.json", "a.tar.gz"]);
  });

  test("after an interruption only what is missing or torn is trained again", async () => {
    const customers = Object.fromEntries(
      ["a", "b", "c"].map((name, index) => [`${name}.csv`, series({ seed: index + 1 })]),
    );
    const first = await train({ customers });
    rmSync(join(first.checkpoints, "b.tar.gz"));
    writeFileSync(join(first.checkpoints, "c.json"), '{"customer":"c","met');
    const bytes = readFileSync(join(first.checkpoints, "a.tar.gz"));
    const second = await train({ customers, checkpoints: first.checkpoints });
    expect(second.said).toContain("1 of 3 customers are done already");
    expect(second.said.join("\n")).toMatch(/^2 customers in .* 0 failed$/m);
    // How long each took is all that differs.
    const models = (told: typeof first.told) => told.map(({ seconds: _took, ...one }) => one);
    expect(models(second.told)).toEqual(models(first.told));
    expect(first.told.every(({ seconds = 0 }) => seconds > 0)).toBe(true);
    expect(readFileSync(join(second.checkpoints, "a.tar.gz"))).toEqual(bytes);
  });

  test("an instance that was given no file tells of nobody", async () => {
    const { code: exit, told } = await train({ customers: {} });
    expect(exit).toBe(0);
    expect(told).toEqual([]);
  });

  test("scores each customer's champion on the same rows, and a broken one keeps nobody from being trained", async () => {
    const { checkpoints, told: before } = await train();
    const { told, said } = await train({
      hyperparameters: { daily_order: "1" },
      champions: {
        "a-1.tar.gz": readFileSync(join(checkpoints, "a.tar.gz")),
        "b-1.tar.gz": "no archive",
        "champions.json": JSON.stringify({ a: "a-1.tar.gz", b: "b-1.tar.gz" }),
      },
    });
    expect(told[0]?.metrics?.["champion:rmse"]).toBe(before[0]?.metrics?.["test:rmse"]);
    expect(told[0]?.metrics).toHaveProperty("improvement:low");
    expect(told[1]?.metrics).not.toHaveProperty("champion:rmse");
    expect(said.join("\n")).toContain("champion not scored: its artifact cannot be read");
  });
});

describe("a search inside of the job", () => {
  const tuning = {
    ranges: {
      daily_order: { type: "integer", min: 1, max: 6, scaling: "Auto" },
      seasonality_mode: { type: "categorical", values: ["additive", "multiplicative"] },
    },
    objective: "validation:rmse",
    direction: "minimize",
    strategy: "Bayesian",
    seed: 1,
  };
  const trialsFor = (line: object) => ({
    "tuning.json": JSON.stringify(tuning),
    "trials.jsonl": `${JSON.stringify(line)}\n`,
  });

  test("begins with earlier trials, reports all, and keeps the best model", async () => {
    const seeds = [
      { hyperparameters: { daily_order: "6", seasonality_mode: "additive" }, value: 20 },
      { hyperparameters: { daily_order: "90", seasonality_mode: "additive" }, value: 10 },
    ];
    const { told } = await train({
      customers: { "a.csv": series({ seed: 1 }) },
      channels: { trials: trialsFor({ customer: "a", maxTrials: 3, trials: seeds }) },
    });
    const [one] = told;
    expect(one?.trials).toHaveLength(3);
    // The second seed lies outside of today's range.
    expect(one?.trials?.[0]?.hyperparameters).toEqual({
      daily_order: "6",
      seasonality_mode: "additive",
    });
    const values = (one?.trials ?? []).map(({ value }) => value ?? Infinity);
    expect(one?.metrics?.["validation:rmse"]).toBeCloseTo(Math.min(...values), 9);
  });

  test("a customer whose every trial fails has failed by the first one's reason", async () => {
    const unknown = { ...tuning, ranges: { depth: { type: "integer", min: 1, max: 3 } } };
    const { told } = await train({
      customers: { "a.csv": series({ seed: 1 }) },
      channels: {
        trials: {
          "tuning.json": JSON.stringify(unknown),
          "trials.jsonl": `${JSON.stringify({ customer: "a", maxTrials: 2, trials: [] })}\n`,
        },
      },
    });
    expect(told[0]?.failure).toBe("ValueError: unknown hyperparameters: depth");
  });
});

describe("serving", () => {
  /** All of the source folder, as it is packed. */
  const sources = async (): Promise<Buffer> => {
    const names = readdirSync(code, { recursive: true, encoding: "utf8" });
    const files = names.filter((name) => name.endsWith(".py") || name === "requirements.txt");
    return tarGz(Object.fromEntries(files.map((name) => [name, readFileSync(join(code, name))])));
  };

  async function endpointOf(artifact: Buffer) {
    const endpoint = await deployTestEndpoint({
      host: host(),
      folder,
      objects: {
        "s3://bucket/code/sourcedir.tar.gz": await sources(),
        [`${prefix}a.tar.gz`]: artifact,
      },
    });
    await endpoint.fleet.ready;
    return endpoint;
  }

  test("forecasts a period as JSON, and repeats training's predictions of times as CSV", async () => {
    const { checkpoints, told } = await train({ customers: { "a.csv": series({ seed: 1 }) } });
    const endpoint = await endpointOf(readFileSync(join(checkpoints, "a.tar.gz")));
    const target = { targetModel: "a.tar.gz" };
    const forecast = JSON.parse(
      await endpoint.ask('{"period": 7}', {
        ...target,
        contentType: "application/json",
        accept: "application/json",
      }),
    ) as { forecast: { time: string; consumption: number }[] };
    expect(forecast.forecast).toHaveLength(7);
    expect(forecast.forecast[0]?.time).toBe("2025-01-22T23:00:00");

    const tests = series({ seed: 1 })
      .split("\n")
      .filter((line) => line.startsWith("test,"))
      .slice(0, 3)
      .map((line) => line.split(",")[2]);
    const csv = { ...target, contentType: "text/csv", accept: "text/csv" };
    const answers = (await endpoint.ask(tests.join("\n"), csv)).trim().split("\n").map(Number);
    const { metrics = {} } = told[0] ?? { customer: "" };
    for (const [index, answer] of answers.entries())
      expect(answer).toBeCloseTo(metrics[`verification:${index + 1}`] ?? NaN, 6);
    const epoch = String(Date.parse(`${tests[0]}Z`) / 1000);
    expect(Number(await endpoint.ask(epoch, csv))).toBeCloseTo(answers[0] ?? NaN, 6);
  });
});
