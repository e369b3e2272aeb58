import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { layOutJob } from "./job.js";
import type { JobLayout } from "./job.js";
import { pythonPath, runToEnd, sharedHost, temporaryFolder } from "./python.js";

const host = sharedHost();
const folder = temporaryFolder();

async function run(job: JobLayout, env: Record<string, string> = {}) {
  const baseDir = layOutJob(folder, job);
  const ended = await runToEnd((onLine) => host().train({ baseDir, env, onLine }));
  const failure = join(baseDir, "output/failure");
  return {
    ...ended,
    baseDir,
    failure: existsSync(failure) ? readFileSync(failure, "utf8") : null,
  };
}

describe("what the training toolkit gives a script", () => {
  test("hyperparameters arrive as arguments sorted by name, platform settings do not", async () => {
    const { lines } = await run({
      hyperparameters: {
        num_round: "100",
        eta: "0.1",
        n: "5",
        name: '"adam"',
        plain: "adam",
        flag: "true",
        mapping: '{"b": 2, "a": 1}',
        nothing: "null",
        sagemaker_job_name: "job-1",
        _tuning_objective_metric: "validation:rmse",
      },
      code: { "train.py": "import sys, json\nprint(json.dumps(sys.argv))" },
    });
    expect(JSON.parse(lines[0] ?? "")).toEqual([
      "train.py",
      ...["--eta", "0.1", "--flag", "True", "--mapping", "a=1,b=2", "-n", "5", "--name", "adam"],
      ...["--nothing", "", "--num_round", "100", "--plain", "adam"],
    ]);
  });

  test("the SM_ variables describe the job as the toolkit does", async () => {
    const { lines, baseDir } = await run({
      hyperparameters: {
        "batch-size": "25",
        sagemaker_region: '"us-east-1"',
        sagemaker_mpi: "true",
      },
      channels: { train: { "data.csv": "1" }, test: { "data.csv": "2" } },
      code: {
        "train.py":
          "import os, json\nprint(json.dumps({k: v for k, v in os.environ.items() if k.startswith(('SM_', 'SAGEMAKER_'))}))",
      },
    });
    const variables = JSON.parse(lines[0] ?? "") as Record<string, string>;
    expect(variables).toMatchObject({
      SAGEMAKER_BASE_DIR: baseDir,
      SM_MODEL_DIR: join(baseDir, "model"),
      SM_OUTPUT_DIR: join(baseDir, "output"),
      SM_OUTPUT_DATA_DIR: join(baseDir, "output/data"),
      SM_OUTPUT_INTERMEDIATE_DIR: join(baseDir, "output/intermediate"),
      SM_INPUT_DIR: join(baseDir, "input"),
      SM_INPUT_CONFIG_DIR: join(baseDir, "input/config"),
      SM_CHANNELS: '["test","train"]',
      SM_CHANNEL_TRAIN: join(baseDir, "input/data/train"),
      SM_HPS: '{"batch-size":25}',
      "SM_HP_BATCH-SIZE": "25",
      SM_HOSTS: '["algo-1"]',
      SM_CURRENT_HOST: "algo-1",
      SM_CURRENT_INSTANCE_TYPE: "ml.m5.large",
      SM_CURRENT_INSTANCE_GROUP: "homogeneousCluster",
      SM_CURRENT_INSTANCE_GROUP_HOSTS: '["algo-1"]',
      SM_INSTANCE_GROUPS: '["homogeneousCluster"]',
      SM_IS_HETERO: "false",
      SM_NETWORK_INTERFACE_NAME: "eth0",
      SM_NUM_CPUS: "1",
      SM_NUM_GPUS: "0",
      SM_NUM_NEURONS: "0",
      SM_USER_ARGS: '["--batch-size","25"]',
      SM_USER_ENTRY_POINT: "train.py",
      SM_MODULE_NAME: "train",
      SM_MODULE_DIR: "s3://bucket/code/sourcedir.tar.gz",
      SM_FRAMEWORK_MODULE: "",
      SM_FRAMEWORK_PARAMS: '{"sagemaker_mpi":true}',
      SM_LOG_LEVEL: "20",
    });
    expect(JSON.parse(variables["SM_TRAINING_ENV"] ?? "")).toMatchObject({
      channel_input_dirs: { train: join(baseDir, "input/data/train") },
      hyperparameters: { "batch-size": 25 },
      is_master: true,
    });
  });

  test("the script starts in its code folder, imports its neighbours and none of our files", async () => {
    const { lines } = await run({
      code: {
        "train.py":
          "import os, requirements\nprint(os.path.basename(os.getcwd()), requirements.WHOSE, __name__)",
        "requirements.py": "WHOSE = 'theirs'",
      },
    });
    expect(lines).toEqual(["code theirs __main__"]);
  });

  test("a container sees nothing of the server's own environment", async () => {
    process.env.AWS_SECRET_ACCESS_KEY ??= "not for containers";
    const { lines } = await run(
      {
        code: {
          "train.py":
            "import os\nprint(os.environ.get('AWS_SECRET_ACCESS_KEY'), os.environ['MINE'])",
        },
      },
      { MINE: "yes" },
    );
    expect(lines).toEqual(["None yes"]);
  });
});

describe("how a training container fails", () => {
  test.each([
    [
      "sys.exit(3) with words on stderr",
      "import sys\nprint('bad rows', file=sys.stderr)\nsys.exit(3)",
      3,
      "bad rows",
    ],
    ["sys.exit with a message", "raise SystemExit('no such column')", 1, "no such column"],
    [
      "an unknown argument",
      "import argparse\nargparse.ArgumentParser().parse_args(['--what'])",
      2,
      "unrecognized arguments: --what",
    ],
    ["a syntax error", "def f(:\n", 1, "SyntaxError: invalid syntax"],
    [
      "an exception with notes",
      "e = KeyError('x')\ne.add_note('a note')\nraise e",
      1,
      "KeyError: 'x'",
    ],
  ])("%s is told in the failure file", async (_kind, text, exitCode, message) => {
    const { code, failure, baseDir } = await run({ code: { "train.py": text } });
    expect(code).toBe(1);
    expect(failure).toContain(`ExecuteUserScriptError:\nExitCode ${exitCode}\n`);
    expect(failure).toContain(message);
    expect(existsSync(join(baseDir, "output/success"))).toBe(false);
  });

  test("a failure file that the script wrote is kept", async () => {
    const { failure } = await run({
      code: {
        "train.py":
          "import os\nopen(os.path.join(os.environ['SM_OUTPUT_DIR'], 'failure'), 'w').write('mine')\nraise ValueError()",
      },
    });
    expect(failure).toBe("mine");
  });

  test("a missing entry point is the user's error", async () => {
    const { code, failure } = await run({ code: { "other.py": "" } });
    expect(code).toBe(1);
    expect(failure).toMatch(/can't open file '.*code\/train\.py': No such file or directory/);
  });

  test("without a program the toolkit itself fails", async () => {
    const { failure } = await run({ hyperparameters: { sagemaker_program: "" }, code: {} });
    expect(failure).toMatch(/^Framework Error: /);
  });
});

describe("code that brings something along", () => {
  test("requirements are installed for the job, and no other", async () => {
    const baseDir = layOutJob(folder, {
      code: {
        "train.py": "import tinydep, numpy\nprint(tinydep.VALUE)",
        "requirements.txt": "./tinydep-1.0-py3-none-any.whl\n",
      },
    });
    writeWheel(join(baseDir, "code/tinydep-1.0-py3-none-any.whl"));
    const first = await runToEnd((onLine) => host().train({ baseDir, env: {}, onLine }));
    expect(first).toMatchObject({ code: 0 });
    expect(first.lines.at(-1)).toBe("42");
    const second = await run({ code: { "train.py": "import tinydep" } });
    expect(second.failure).toContain("ModuleNotFoundError: No module named 'tinydep'");
  });

  test("requirements that the interpreter has are not installed again", async () => {
    const { code, lines } = await run({
      code: {
        "train.py":
          "import sys, numpy\nprint(any('site-packages' in p and 'job-' in p for p in sys.path))",
        "requirements.txt": "numpy>=1\n",
      },
    });
    expect(code).toBe(0);
    expect(lines[0]).toBe("every requirement is satisfied already");
    expect(lines.at(-1)).toBe("False");
  });

  test("requirements that cannot be installed fail the job with pip's reason", async () => {
    const { code, failure } = await run({
      code: { "train.py": "", "requirements.txt": "./missing-1.0-py3-none-any.whl\n" },
    });
    expect(code).toBe(1);
    expect(failure).toMatch(
      /^InstallRequirementsError:\nExitCode 1\nErrorMessage "ERROR: Could not install packages due to an OSError: .*No such file or directory: '.*missing-1\.0-py3-none-any\.whl'"\nCommand ".* -m pip install .*-r requirements\.txt"$/,
    );
  });

  test("a shell script is run with the same arguments and variables", async () => {
    const { code, lines } = await run({
      hyperparameters: { sagemaker_program: "train.sh", eta: "0.1" },
      code: { "train.sh": 'echo "$@ $SM_CURRENT_HOST"\n' },
    });
    expect({ code, lines }).toEqual({ code: 0, lines: ["--eta 0.1 algo-1"] });
  });

  test("a failing shell script leaves its exit code and last line", async () => {
    const { failure } = await run({
      hyperparameters: { sagemaker_program: "train.sh" },
      code: { "train.sh": "echo all is lost\nexit 7\n" },
    });
    expect(failure).toContain('ExitCode 7\nErrorMessage "all is lost"');
  });
});

/** A wheel is a zip with two obligatory files; made here, so that no test needs a package index. */
function writeWheel(path: string): void {
  const source = join(folder, "wheel");
  const info = join(source, "tinydep-1.0.dist-info");
  mkdirSync(info, { recursive: true });
  writeFileSync(join(source, "tinydep.py"), "VALUE = 42\n");
  writeFileSync(join(info, "METADATA"), "Metadata-Version: 2.1\nName: tinydep\nVersion: 1.0\n");
  writeFileSync(
    join(info, "WHEEL"),
    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
  );
  writeFileSync(join(info, "RECORD"), "");
  execFileSync(pythonPath(), ["-m", "zipfile", "-c", path, "tinydep.py", "tinydep-1.0.dist-info"], {
    cwd: source,
  });
}
