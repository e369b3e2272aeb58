/** Training jobs that run Python: what their containers find, print and leave behind. */
import { buffer } from "node:stream/consumers";
import { Readable } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import {
  CreateTrainingJobCommand,
  DescribeTrainingJobCommand,
  StopTrainingJobCommand,
} from "@aws-sdk/client-sagemaker";
import type {
  Channel,
  CreateTrainingJobCommandInput,
  DescribeTrainingJobCommandOutput,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import tar from "tar-stream";
import type { Header } from "tar-stream";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { bucket, keysUnder, putObject, readObject, sagemakerClient } from "./cloud.js";
import { useCloud, useServer } from "./cloud.js";
import { aTrainingJob, unique, xgboostImage } from "./requests.js";

const cloud = useCloud(17424);
const url = useServer(cloud, { stopGraceSeconds: 0.5 });
let client: SageMakerClient;
beforeAll(() => {
  client = sagemakerClient(url());
});

interface Archived extends Partial<Header> {
  readonly name: string;
  readonly content?: string;
}

async function tarGz(entries: readonly Archived[]): Promise<Buffer> {
  const pack = tar.pack();
  for (const { content = "", ...header } of entries) pack.entry(header, content);
  pack.finalize();
  return gzipSync(await buffer(pack));
}

async function untar(archive: Buffer): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const entries = Readable.from([gunzipSync(archive)]).pipe(tar.extract());
  for await (const entry of entries) files[entry.header.name] = (await buffer(entry)).toString();
  return files;
}

interface ScriptJob extends Partial<CreateTrainingJobCommandInput> {
  readonly script: string;
}

/** A job that runs the script; its name says nothing. */
async function start({ script, HyperParameters, ...changes }: ScriptJob): Promise<string> {
  const archive = await tarGz([{ name: "train.py", content: script }]);
  const code = await putObject(cloud(), `${unique("code")}/sourcedir.tar.gz`, archive);
  return startWith({
    ...changes,
    HyperParameters: {
      ...HyperParameters,
      sagemaker_program: "train.py",
      sagemaker_submit_directory: code,
    },
  });
}

async function startWith(changes: Partial<CreateTrainingJobCommandInput>): Promise<string> {
  const MetricDefinitions = [{ Name: "rmse", Regex: "rmse=([-+0-9.eE]+);" }];
  const request = aTrainingJob({
    AlgorithmSpecification: {
      TrainingImage: xgboostImage,
      TrainingInputMode: "File",
      MetricDefinitions,
    },
    ...changes,
  });
  await client.send(new CreateTrainingJobCommand(request));
  return request.TrainingJobName ?? "";
}

const describeJob = (TrainingJobName: string) =>
  client.send(new DescribeTrainingJobCommand({ TrainingJobName }));

/** Waits until the job says so; a job that ended otherwise shows how. */
async function until(
  name: string,
  wanted: Partial<DescribeTrainingJobCommandOutput>,
): Promise<DescribeTrainingJobCommandOutput> {
  return vi.waitFor(
    async () => {
      const job = await describeJob(name);
      expect(job).toMatchObject(wanted);
      return job;
    },
    { timeout: 40_000, interval: 50 },
  );
}

const logOf = async (name: string) =>
  (await fetch(`${url()}/_local/training-jobs/${name}/log`)).text();

const channel = (ChannelName: string, S3Uri: string, changes: object = {}): Channel => ({
  ChannelName,
  DataSource: { S3DataSource: { S3DataType: "S3Prefix", S3Uri, ...changes } },
});

describe("a script that trains", () => {
  test("finds its channels and hyperparameters, and leaves model, output and metrics", async () => {
    const folder = unique("data");
    await putObject(cloud(), `${folder}/train/a.csv`, "1\n2\n");
    await putObject(cloud(), `${folder}/train/deep/b.csv`, "3\n");
    const script = `
import json, os, pathlib, sys
train = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
files = sorted(str(p.relative_to(train)) for p in train.rglob("*") if p.is_file())
print("rmse=9.0;")
print("arguments", *sys.argv[1:])
print("job", os.environ["TRAINING_JOB_NAME"], os.environ["COLOUR"])
print("rmse=2.5;", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(files))
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt").write_text("fine")
`;
    const name = await start({
      script,
      HyperParameters: { eta: "0.3" },
      Environment: { COLOUR: "green" },
      InputDataConfig: [channel("train", `s3://${bucket}/${folder}/train/`)],
    });
    const job = await until(name, { TrainingJobStatus: "Completed" });
    expect(job.FinalMetricDataList).toMatchObject([{ MetricName: "rmse", Value: 2.5 }]);
    expect(job.SecondaryStatusTransitions?.map(({ Status }) => Status)).toEqual([
      ...["Pending", "Starting", "Downloading", "Training", "Uploading", "Completed"],
    ]);
    expect(job.SecondaryStatusTransitions?.every(({ EndTime }) => EndTime)).toBe(true);
    expect(job.BillableTimeInSeconds).toBeGreaterThanOrEqual(1);
    const model = await untar(await readObject(cloud(), `output/${name}/output/model.tar.gz`));
    expect(model).toEqual({ "model.json": '["a.csv", "deep/b.csv"]' });
    const output = await untar(await readObject(cloud(), `output/${name}/output/output.tar.gz`));
    expect(output).toEqual({ "report.txt": "fine" });
    const log = await logOf(name);
    expect(log).toContain("arguments --eta 0.3");
    expect(log).toContain(`job ${name} green`);
  });

  test("and writes no model has completed all the same, and nothing is uploaded", async () => {
    const name = await start({ script: "print('nothing to keep')" });
    await until(name, { TrainingJobStatus: "Completed" });
    expect(await keysUnder(cloud(), `output/${name}/`)).toEqual([]);
  });

  test("a channel takes what begins with its URI, whatever comes after", async () => {
    const folder = unique("prefix");
    for (const key of ["train/x", "train2/y", "test/z"])
      await putObject(cloud(), `${folder}/${key}`, key);
    const script = `
import os, pathlib
root = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
print("found", sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()))
`;
    const InputDataConfig = [channel("train", `s3://${bucket}/${folder}/train`)];
    const name = await start({ script, InputDataConfig });
    await until(name, { TrainingJobStatus: "Completed" });
    expect(await logOf(name)).toContain("found ['2/y', 'x']");
  });

  test("runs on several hosts, each with its share of a sharded channel, merged into one model", async () => {
    const folder = unique("shards");
    for (const key of ["a", "b", "c"]) await putObject(cloud(), `${folder}/${key}`, key);
    const script = `
import os, pathlib
root = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
host = os.environ["SM_CURRENT_HOST"]
names = "".join(sorted(p.name for p in root.iterdir()))
pathlib.Path(os.environ["SM_MODEL_DIR"], host).write_text(names + os.environ["SM_HOSTS"])
`;
    const sharded = { S3DataDistributionType: "ShardedByS3Key" };
    const name = await start({
      script,
      InputDataConfig: [channel("train", `s3://${bucket}/${folder}/`, sharded)],
      ResourceConfig: { InstanceType: "ml.m5.large", InstanceCount: 2, VolumeSizeInGB: 5 },
    });
    await until(name, { TrainingJobStatus: "Completed" });
    const model = await untar(await readObject(cloud(), `output/${name}/output/model.tar.gz`));
    expect(model).toEqual({ "algo-1": 'ac["algo-1","algo-2"]', "algo-2": 'b["algo-1","algo-2"]' });
  });
});

describe("a job that fails", () => {
  test("says in FailureReason what the script raised", async () => {
    const name = await start({ script: "raise RuntimeError('no such column: dest')" });
    const { FailureReason } = await until(name, { TrainingJobStatus: "Failed" });
    expect(FailureReason).toMatch(/^AlgorithmError: ExecuteUserScriptError:/);
    expect(FailureReason).toContain("RuntimeError: no such column: dest");
    expect(FailureReason).toMatch(/, exit code: 1$/);
    expect(await logOf(name)).toContain("Traceback");
  });

  test("names an image that cannot be pulled", async () => {
    const AlgorithmSpecification = {
      TrainingImage: "example/unknown:1",
      TrainingInputMode: "File" as const,
    };
    const name = await startWith({ AlgorithmSpecification });
    const { FailureReason } = await until(name, { TrainingJobStatus: "Failed" });
    expect(FailureReason).toMatch(/^ClientError: Cannot pull algorithm container/);
  });

  test.each([
    ["leads out of the folder", { name: "../../outside.py" }],
    ["is absolute", { name: "/etc/outside.py" }],
    ["is a link", { name: "link.py", type: "symlink" as const, linkname: "/etc/passwd" }],
  ])("refuses code whose archive has an entry that %s", async (_what, entry) => {
    const archive = await tarGz([{ name: "train.py", content: "print('ran')" }, entry]);
    const code = await putObject(cloud(), `${unique("hostile")}/sourcedir.tar.gz`, archive);
    const name = await startWith({
      HyperParameters: { sagemaker_program: "train.py", sagemaker_submit_directory: code },
    });
    const { FailureReason } = await until(name, { TrainingJobStatus: "Failed" });
    expect(FailureReason).toMatch(/^AlgorithmError: Framework Error: cannot unpack/);
  });

  test("names code that is not there", async () => {
    const code = `s3://${bucket}/${unique("no")}/sourcedir.tar.gz`;
    const name = await startWith({
      HyperParameters: { sagemaker_program: "train.py", sagemaker_submit_directory: code },
    });
    const { FailureReason } = await until(name, { TrainingJobStatus: "Failed" });
    expect(FailureReason).toBe(
      `ClientError: Cannot download the user code from ${code}: NoSuchKey`,
    );
  });
});

describe("a job that is ended", () => {
  const waiting = `
import os, pathlib, signal, sys, time
pathlib.Path(os.environ["SM_MODEL_DIR"], "partial").write_text("so far")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("rmse=1.0;", flush=True)
time.sleep(600)
`;
  const stubborn = waiting.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN");

  test("by StopTrainingJob is Stopped, with what it had written uploaded", async () => {
    const name = await start({ script: waiting });
    await until(name, { SecondaryStatus: "Training" });
    await vi.waitFor(async () => expect(await logOf(name)).toContain("rmse=1.0;"), 20_000);
    await client.send(new StopTrainingJobCommand({ TrainingJobName: name }));
    const job = await until(name, { TrainingJobStatus: "Stopped", SecondaryStatus: "Stopped" });
    expect(job.FinalMetricDataList).toMatchObject([{ MetricName: "rmse", Value: 1 }]);
    expect(await keysUnder(cloud(), `output/${name}/`)).toEqual([
      `output/${name}/output/model.tar.gz`,
    ]);
  });

  test("is killed when it does not listen", async () => {
    const name = await start({ script: stubborn });
    await until(name, { SecondaryStatus: "Training" });
    await vi.waitFor(async () => expect(await logOf(name)).toContain("rmse=1.0;"), 20_000);
    await client.send(new StopTrainingJobCommand({ TrainingJobName: name }));
    await until(name, { TrainingJobStatus: "Stopped" });
  });

  test("by its own MaxRuntime is Stopped too, not Failed", async () => {
    const StoppingCondition = { MaxRuntimeInSeconds: 1 };
    const name = await start({ script: waiting, StoppingCondition });
    const stopped = {
      TrainingJobStatus: "Stopped",
      SecondaryStatus: "MaxRuntimeExceeded",
    } as const;
    const job = await until(name, stopped);
    expect(job).not.toHaveProperty("FailureReason");
  });
});
