/** The scripts run by the toolkits that AWS publishes, and our own toolkits held against them. */
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { RuntimeError } from "../../local/sagemaker/runtime-error.js";
import type { InvokeResponse } from "../../local/sagemaker/serving-plan.js";
import { runCommand } from "../../local/stack/run-command.js";
import { tarGz } from "../hosting/artifacts.js";
import { deployTestEndpoint, prefix } from "../hosting/endpoint.js";
import { layOutJob, writeFiles } from "../hosting/job.js";
import type { JobLayout } from "../hosting/job.js";
import { runToEnd, sharedHost, temporaryFolder } from "../hosting/python.js";
import { exampleCode, type ExampleCode } from "./toolkit/example-code.js";
import { exampleInputs, type ExampleInputs } from "./toolkit/example-inputs.js";
import { publishedToolkits } from "./toolkit/published-toolkits.js";
import type { ModelAnswer, ModelRequest, PublishedToolkits } from "./toolkit/published-toolkits.js";

const host = sharedHost();
const folder = temporaryFolder();
let published: PublishedToolkits;
beforeAll(async () => {
  published = await publishedToolkits();
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

const examples = await exampleCode();

describe("with the published toolkits", () => {
  test("there is a small job for every source folder of the examples", () => {
    expect(Object.keys(exampleInputs).sort()).toEqual(examples.map((one) => one.folder).sort());
  });

  test.each(examples)("$folder trains and answers as it does with ours", async (code) => {
    const inputs = exampleInputs[code.folder] ?? { hosts: {}, requests: [] };
    const trained: string[] = [];
    for (const current of Object.keys(inputs.hosts)) {
      const { ours, theirs } = await runByBoth(jobOf(code, inputs, current));
      expect([ours.code, theirs.code], theirs.lines.join("\n")).toEqual([0, 0]);
      expect(made(theirs.base)).toEqual(made(ours.base));
      expect(found(theirs)).not.toEqual([]);
      expect(found(theirs)).toEqual(found(ours));
      trained.push(theirs.base);
    }
    const model = await unpackedModel(trained[0] ?? "", inputs);
    const { requests, batch = [] } = inputs;
    const inBatch = { SAGEMAKER_BATCH: "true" };
    for (const served of [{ requests }, { requests: batch, env: inBatch }])
      expect(await answersOfTheirs(code, model, served)).toEqual(
        await answersOfOurs(code, model, served),
      );
  });
});

const jobOf = (code: ExampleCode, inputs: ExampleInputs, current: string): JobLayout => ({
  code: code.files,
  channels: inputs.hosts[current] ?? {},
  hyperparameters: { sagemaker_program: code.entryPoint, ...inputs.hyperparameters },
  hosts: [current, ...Object.keys(inputs.hosts)],
});

/** Names of the files that a job leaves for S3. */
const made = (base: string): string[] =>
  ["model", "output/data", "checkpoints"]
    .filter((name) => existsSync(join(base, name)))
    .flatMap((name) =>
      readdirSync(join(base, name), { recursive: true, encoding: "utf8" }).map((file) =>
        join(name, file),
      ),
    )
    .sort();

/** Its figures, on lines or in a file; a job without figures says what it has fitted. */
function found({ lines, base }: { lines: readonly string[]; base: string }): string[] {
  const files = made(base).filter((file) => file.endsWith(".jsonl"));
  const metrics = lines.filter((line) => /^[\w:]+=.*;$|^fitted on /.test(line));
  const texts = files.map((file) => readFileSync(join(base, file), "utf8"));
  // What is measured with a clock is not the same twice.
  return [...metrics, ...texts.map((text) => text.replaceAll(/"seconds":[\d.]+/g, '"seconds":0'))];
}

type Files = Readonly<Record<string, Buffer>>;

/** What the job leaves as model.tar.gz, or the artifact that it packs itself. */
async function unpackedModel(base: string, { artifact }: ExampleInputs): Promise<Files> {
  const model = join(base, "model");
  if (artifact !== undefined) await runCommand("tar", ["-xzf", join(base, artifact), "-C", model]);
  return Object.fromEntries(
    readdirSync(model).map((name) => [name, readFileSync(join(model, name))]),
  );
}

interface Served {
  readonly requests: readonly ModelRequest[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The model unpacked, with its code in `code/`. */
async function answersOfTheirs(code: ExampleCode, model: Files, served: Served) {
  const modelDir = join(mkdtempSync(join(folder, "served-")), "model");
  writeFiles(modelDir, model);
  writeFiles(join(modelDir, "code"), code.files);
  const program = code.inferenceEntryPoint;
  return (await published.serve(modelDir, { program, ...served })).map(essence);
}

/** The same behind a multi-model endpoint of the local server. */
async function answersOfOurs(code: ExampleCode, model: Files, { requests, env }: Served) {
  const { fleet } = await deployTestEndpoint({
    host: host(),
    folder,
    objects: {
      "s3://bucket/code/sourcedir.tar.gz": await tarGz(code.files),
      [`${prefix}m.tar.gz`]: await tarGz(model),
    },
    container: {
      environment: {
        SAGEMAKER_PROGRAM: code.inferenceEntryPoint,
        SAGEMAKER_SUBMIT_DIRECTORY: "s3://bucket/code/sourcedir.tar.gz",
        ...env,
      },
    },
  });
  await fleet.ready;
  const answers: ModelAnswer[] = [];
  for (const { body, ...request } of requests) {
    const to = { ...request, targetModel: "m.tar.gz", requestId: "r" };
    answers.push(await fleet.invoke({ ...to, body: Buffer.from(body) }).then(answered, refused));
  }
  return answers.map(essence);
}

const answered = ({ body, contentType }: InvokeResponse): ModelAnswer => ({
  ...{ status: 200, contentType },
  body: body.toString("utf8"),
});

const refused = (error: RuntimeError): ModelAnswer => ({
  ...{ status: Number(error.extra["OriginalStatusCode"]), contentType: "" },
  body: String(error.extra["OriginalMessage"]),
});

/** An error's trace names the toolkit's own files: its first line is the script's. */
const essence = ({ status, contentType, body }: ModelAnswer) =>
  status === 200 ? { contentType, body } : { status, message: body.split("\n")[0] };

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

  test("says of requirements that cannot be installed what the published one says, and pip's reason", async () => {
    const { ours, theirs } = await runByBoth({
      code: { "train.py": "", "requirements.txt": "./missing-1.0-py3-none-any.whl\n" },
    });
    expect([ours.code, theirs.code]).toEqual([1, 1]);
    const failure = (base: string) => readFileSync(join(base, "output/failure"), "utf8");
    for (const text of [failure(ours.base), failure(theirs.base)])
      expect(text).toMatch(
        /^InstallRequirementsError:\nExitCode 1\nErrorMessage ".*"\nCommand ".* -m pip install .*-r requirements\.txt"$/,
      );
    // Theirs leaves it to the log.
    expect(failure(theirs.base)).toContain('ErrorMessage ""');
    expect(failure(ours.base)).toContain("missing-1.0-py3-none-any.whl");
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
