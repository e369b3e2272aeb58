import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tarGz } from "../hosting/artifacts.js";
import { deployTestEndpoint, prefix } from "../hosting/endpoint.js";
import { layOutJob, regressionSource } from "../hosting/job.js";
import { pythonPath, runToEnd, sharedHost, temporaryFolder } from "../hosting/python.js";
import { channels, columns, flights, schemaFile } from "./dataset.js";

const host = sharedHost();
const folder = temporaryFolder();

interface TrainOptions {
  readonly channels?: Record<string, Record<string, string>>;
  readonly champion?: Buffer;
  readonly hyperparameters?: Record<string, string>;
}

async function train(options: TrainOptions = {}) {
  const baseDir = layOutJob(folder, {
    channels: channels(options.channels),
    hyperparameters: { num_round: "40", ...options.hyperparameters },
    code: regressionSource,
  });
  if (options.champion !== undefined) addChampion(baseDir, options.champion);
  const run = await runToEnd((onLine) => host().train({ baseDir, env: {}, onLine }));
  const failure = join(baseDir, "output/failure");
  return {
    code: run.code,
    lines: run.lines,
    metrics: readMetrics(run.lines),
    model: join(baseDir, "model"),
    output: join(baseDir, "output/data/evaluation.json"),
    failure: existsSync(failure) ? readFileSync(failure, "utf8") : null,
  };
}

function addChampion(baseDir: string, archive: Buffer): void {
  const config = join(baseDir, "input/config/inputdataconfig.json");
  const known = JSON.parse(readFileSync(config, "utf8")) as Record<string, object>;
  writeFileSync(config, JSON.stringify({ ...known, champion: { TrainingInputMode: "File" } }));
  mkdirSync(join(baseDir, "input/data/champion"));
  writeFileSync(join(baseDir, "input/data/champion/v000001.tar.gz"), archive);
}

/** As the job's metric definitions read them. */
function readMetrics(lines: string[]): Record<string, number> {
  const metrics: Record<string, number> = {};
  for (const line of lines) {
    const [, name, value] = /^([a-z_0-9]+(?::[a-z_0-9]+)+)=([-+0-9.eE]+);$/.exec(line) ?? [];
    if (name !== undefined) metrics[name] = Number(value);
  }
  return metrics;
}

async function pack(model: string): Promise<Buffer> {
  const files = readdirSync(model).map((name): [string, Buffer] => [
    name,
    readFileSync(join(model, name)),
  ]);
  return tarGz(Object.fromEntries(files));
}

describe("training", () => {
  test("learns what is there to learn and prints every metric that the job asks for", async () => {
    const { code, metrics, model } = await train();
    expect(code).toBe(0);
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
    expect(metrics).toMatchObject({ "train:rows": 600, "validation:rows": 200, "test:rows": 100 });
    expect(metrics["test:rmse"]).toBeLessThan(0.5 * (metrics["baseline:rmse"] ?? 0));
    expect(readdirSync(model).sort()).toEqual(["columns.json", "xgboost-model.json"]);
    const artifact = JSON.parse(readFileSync(join(model, "columns.json"), "utf8")) as object;
    expect(artifact).toEqual({
      target: "arr_delay",
      columns: [columns[0], { ...columns[1], categories: ["AA", "B6, Inc.", "NA"] }, columns[2]],
    });
  });

  test("gives the same model for the same seed, and another for another", async () => {
    const [first, again, other] = await Promise.all([
      train(),
      train(),
      train({ hyperparameters: { seed: "2" } }),
    ]);
    const bytes = (model: string): string =>
      readFileSync(join(model, "xgboost-model.json"), "utf8");
    expect(again.lines).toEqual(first.lines);
    expect(bytes(again.model)).toBe(bytes(first.model));
    expect(other.lines).not.toEqual(first.lines);
  });

  test("stops early on the validation rows", async () => {
    const stopped = await train({ hyperparameters: { num_round: "500", eta: "0.5" } });
    const whole = await train({
      hyperparameters: { num_round: "500", eta: "0.5", early_stopping_rounds: "0" },
    });
    const size = (model: string): number => readFileSync(join(model, "xgboost-model.json")).length;
    expect(size(stopped.model)).toBeLessThan(size(whole.model) / 2);
    expect(stopped.metrics["validation:rmse"]).toBeLessThan(whole.metrics["validation:rmse"] ?? 0);
  });

  test("trains with a single row in every split", async () => {
    const one = { "data.csv": "5.0,3,AA,12\n" };
    const { code, metrics } = await train({ channels: { train: one, validation: one, test: one } });
    expect(code).toBe(0);
    expect(metrics).toMatchObject({ "test:rmse": 0, "verification:1": 5 });
  });

  test("runs from a shell as in a container", () => {
    const base = layOutJob(folder, { channels: channels(), code: regressionSource });
    const channel = (name: string): string[] => [`--${name}`, join(base, "input/data", name)];
    const output = execFileSync(
      pythonPath(),
      [
        "train.py",
        ...["train", "validation", "test", "schema"].flatMap(channel),
        ...["--model-dir", join(base, "fresh/model"), "--num_round", "5", "--lambda", "2"],
      ],
      {
        cwd: regressionSource,
        encoding: "utf8",
        env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
      },
    );
    expect(readMetrics(output.split("\n"))).toHaveProperty("test:rmse");
    expect(existsSync(join(base, "fresh/model/xgboost-model.json"))).toBe(true);
  });
});

describe("data that would train a wrong model is refused", () => {
  const rows = (text: string) => ({ "data.csv": text });
  test.each([
    [
      "a NULL target",
      { train: rows("1,2,AA,3\n,2,AA,3\n") },
      'channel "train": target "arr_delay" is NULL or NaN in 1 of 2 rows, first in row 2',
    ],
    [
      "a NaN target",
      { test: rows("NaN,2,AA,3\n") },
      'target "arr_delay" is NULL or NaN in 1 of 1 rows',
    ],
    [
      "an infinite target",
      { train: rows("Infinity,2,AA,3\n") },
      'column "arr_delay" is infinite, or too large for 32 bits, in 1 rows, first in row 1',
    ],
    [
      "an infinite feature",
      { validation: rows("1,-Infinity,AA,3\n") },
      'channel "validation": column "dep_delay" is infinite',
    ],
    [
      "a number too large",
      { train: rows("1,1e300,AA,3\n") },
      'column "dep_delay" is infinite, or too large for 32 bits',
    ],
    [
      "text for a number",
      { train: rows("1,2,AA,3\n1,late,AA,3\n") },
      `column "dep_delay" is not a number in row 2: 'late'`,
    ],
    [
      "no validation rows",
      { validation: rows("") },
      'channel "validation" has no rows: every split needs at least one',
    ],
    ["no data file", { test: { "other.csv": "1" } }, 'channel "test" has no data.csv'],
    [
      "a column too many",
      { train: rows("1,2,AA,3,4\n") },
      "data.csv has 5 columns, columns.json makes it 4 (target first): arr_delay, dep_delay, carrier, hour",
    ],
    [
      "an unknown column type",
      { schema: schemaFile([{ name: "a", type: "date" }]) },
      'column "a" has type "date": use "number" or "category"',
    ],
    ["no features", { schema: schemaFile([]) }, "columns.json names no feature columns"],
  ])("%s", async (_kind, replaced, message) => {
    const { code, failure, model } = await train({ channels: replaced });
    expect(code).toBe(1);
    expect(failure).toContain(message);
    expect(existsSync(join(model, "xgboost-model.json"))).toBe(false);
  });
});

describe("the champion", () => {
  test("is scored on the same test rows", async () => {
    const champion = await train();
    const next = await train({
      champion: await pack(champion.model),
      hyperparameters: { num_round: "3" },
    });
    expect(next.metrics["champion:rmse"]).toBe(champion.metrics["test:rmse"]);
    expect(next.metrics["champion:mae"]).toBe(champion.metrics["test:mae"]);
    expect(next.metrics["champion:stdev_error"]).toBe(champion.metrics["test:stdev_error"]);
    expect(next.metrics["test:rmse"]).toBeGreaterThan(champion.metrics["test:rmse"] ?? 0);
  });

  test("is scored by its own columns when the data has gained or moved some", async () => {
    const champion = await train();
    const widen = (text: string): string =>
      text.replace(
        /^([^,]*),([^,]*),(.*)$/gm,
        (_row, target, delay, rest) => `${target},7,${rest},${delay}`,
      );
    const next = await train({
      champion: await pack(champion.model),
      channels: {
        schema: schemaFile([
          { name: "extra", type: "number" },
          ...columns.slice(1),
          ...columns.slice(0, 1),
        ]),
        ...Object.fromEntries(
          Object.entries(channels())
            .filter(([name]) => name !== "schema")
            .map(([name, files]) => [name, { "data.csv": widen(files["data.csv"] ?? "") }]),
        ),
      },
    });
    expect(next.metrics["champion:rmse"]).toBe(champion.metrics["test:rmse"]);
  });

  test.each([
    [
      "needs a column that is gone",
      schemaFile([columns[0] ?? {}, columns[1] ?? {}, { name: "minute", type: "number" }]),
      'it needs column "hour", which the data no longer has',
    ],
    [
      "has a column of another type",
      schemaFile([columns[0] ?? {}, columns[1] ?? {}, { name: "hour", type: "category" }]),
      'column "hour" was a number when it was trained, and is not now',
    ],
    [
      "predicts something else",
      { "columns.json": JSON.stringify({ target: "dep_time", columns }) },
      'it predicts "arr_delay", not "dep_time"',
    ],
  ])("that %s is left out, and the job says so", async (_kind, schema, reason) => {
    const champion = await train();
    const next = await train({ champion: await pack(champion.model), channels: { schema } });
    expect(next.code).toBe(0);
    expect(next.lines).toContain(`champion not scored: ${reason}`);
    expect(next.metrics).not.toHaveProperty("champion:rmse");
  });

  test("that is broken does not keep its successor from being trained", async () => {
    const { code, lines } = await train({ champion: Buffer.from("no archive") });
    expect(code).toBe(0);
    expect(lines.find((line) => line.startsWith("champion not scored"))).toContain(
      "cannot be read",
    );
  });
});

describe("the comparison with the champion", () => {
  const asking = (comparison: object) => ({
    schema: { ...schemaFile(), "evaluation.json": JSON.stringify(comparison) },
    test: { "data.csv": flights({ rows: 300, seed: 3 }) },
  });
  /** Hardly trained. */
  const weakChampion = async () =>
    pack((await train({ hyperparameters: { num_round: "3" } })).model);

  test("says how sure the improvement is, of the metric and with the confidence asked", async () => {
    const champion = await weakChampion();
    const [narrow, wide] = await Promise.all(
      [0.5, 0.99].map((confidence) =>
        train({ champion, channels: asking({ metric: "mae", confidence, segments: [] }) }),
      ),
    );
    const ends = (run?: { metrics: Record<string, number> }): [number, number] => [
      run?.metrics["improvement:low"] ?? NaN,
      run?.metrics["improvement:high"] ?? NaN,
    ];
    const measured =
      1 - (narrow?.metrics["test:mae"] ?? NaN) / (narrow?.metrics["champion:mae"] ?? NaN);
    for (const [low, high] of [ends(narrow), ends(wide)]) {
      expect(low).toBeLessThan(measured);
      expect(high).toBeGreaterThan(measured);
      expect(low).toBeGreaterThan(0);
    }
    expect(ends(wide)[0]).toBeLessThan(ends(narrow)[0]);
    expect(ends(wide)[1]).toBeGreaterThan(ends(narrow)[1]);
    expect(existsSync(narrow?.output ?? "")).toBe(false);
  });

  test("tells the worst change of each segment, and in the output which value that is", async () => {
    const strong = await pack((await train()).model);
    const segments = ["hour", "carrier"];
    const next = await train({
      champion: strong,
      channels: asking({ metric: "rmse", confidence: 0.95, segments }),
      hyperparameters: { num_round: "3" },
    });
    const { metrics, output } = next;
    const told = JSON.parse(readFileSync(output, "utf8")) as {
      segments: {
        column: string;
        judged: number;
        worst: { value: unknown; rows: number; drop: number }[];
      }[];
    };
    // 300 rows of 18 hours are too few an hour, and enough a carrier; an empty one is a value, too.
    expect(metrics).not.toHaveProperty("segment:1:drop");
    expect(told.segments.map(({ column, judged }) => [column, judged])).toEqual([
      ["hour", 0],
      ["carrier", 4],
    ]);
    const [worst, ...others] = told.segments[1]?.worst ?? [];
    expect(metrics["segment:2:drop"]).toBeCloseTo(worst?.drop ?? NaN, 6);
    for (const other of others) expect(other.drop).toBeLessThanOrEqual(worst?.drop ?? NaN);
    expect([worst, ...others].map((one) => one?.value)).toContain(null);
    expect([worst, ...others].reduce((sum, one) => sum + (one?.rows ?? 0), 0)).toBe(300);
  });

  test("of a handful of rows claims nothing", async () => {
    const few = { test: { "data.csv": flights({ rows: 9, seed: 3 }) } };
    const { metrics } = await train({ champion: await weakChampion(), channels: few });
    expect(metrics).toHaveProperty("champion:rmse");
    expect(metrics).not.toHaveProperty("improvement:low");
  });

  test.each([
    [
      { segments: ["carier"] },
      'evaluation.json: segment "carier" is not one of the features: dep_delay, carrier, hour',
    ],
    [{ metric: "r2" }, 'evaluation.json: metric "r2" is not rmse or mae'],
  ])("that cannot be made fails the job before it trains: %j", async (comparison, message) => {
    const { code, failure } = await train({ channels: asking(comparison) });
    expect(code).toBe(1);
    expect(failure).toContain(message);
  });
});

describe("serving", () => {
  const rowsOf = (csv: string): string =>
    csv
      .trimEnd()
      .split("\n")
      .map((row) => row.slice(row.indexOf(",") + 1))
      .join("\n");

  async function serveTrained() {
    const trained = await train();
    const source = readdirSync(regressionSource).filter((name) => name.endsWith(".py"));
    const code = source.map((name): [string, string] => [
      name,
      readFileSync(join(regressionSource, name), "utf8"),
    ]);
    const { ask, fleet } = await deployTestEndpoint({
      host: host(),
      folder,
      objects: {
        "s3://bucket/code/sourcedir.tar.gz": await tarGz(Object.fromEntries(code)),
        [`${prefix}atl/v000001.tar.gz`]: await pack(trained.model),
      },
    });
    await fleet.ready;
    const predict = (body: string, accept = "text/csv"): Promise<string> =>
      ask(body, { targetModel: "atl/v000001.tar.gz", accept });
    return { trained, predict };
  }

  test("the endpoint gives the predictions that the job printed", async () => {
    const { trained, predict } = await serveTrained();
    const test = flights({ rows: 100, seed: 3 });
    const answers = (await predict(rowsOf(test))).trimEnd().split("\n").map(Number);
    expect(answers).toHaveLength(100);
    expect(answers.slice(0, 3)).toEqual([1, 2, 3].map((n) => trained.metrics[`verification:${n}`]));
  });

  test("a category it never saw counts as missing, and JSON is there for who asks", async () => {
    const { predict } = await serveTrained();
    expect(await predict("10,ZZ,12")).toBe(await predict("10,,12"));
    expect(await predict("10,NA,12")).not.toBe(await predict("10,,12"));
    expect(JSON.parse(await predict("10,NA,12\n11,AA,5", "application/json"))).toHaveLength(2);
  });

  test.each([
    [
      "a wrong number of fields",
      "10,AA",
      "row 1 has 2 fields, the model takes 3: dep_delay, carrier, hour",
    ],
    [
      "text for a number",
      "1,AA,5\nlate,AA,5",
      `row 2: column "dep_delay" is not a finite number: 'late'`,
    ],
    ["nothing", "", "the request holds no rows"],
  ])("%s is answered with what is wrong", async (_kind, body, message) => {
    const { predict } = await serveTrained();
    await expect(predict(body)).rejects.toMatchObject({
      code: "ModelError",
      extra: { OriginalMessage: expect.stringContaining(message) as unknown },
    });
  });
});
