/** Processing jobs: what their containers find, and what of theirs goes to S3. */
import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AddTagsCommand,
  CreateProcessingJobCommand,
  DeleteProcessingJobCommand,
  DescribeProcessingJobCommand,
  ListProcessingJobsCommand,
  ListTagsCommand,
  StopProcessingJobCommand,
} from "@aws-sdk/client-sagemaker";
import type {
  CreateProcessingJobCommandInput,
  DescribeProcessingJobCommandOutput,
  ProcessingInput,
  ProcessingOutput,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Faults } from "../../local/sagemaker/config.schema.js";
import { account, bucket, keysUnder, putObject, readObject, region } from "./cloud.js";
import { sagemakerClient, useCloud, useServer } from "./cloud.js";
import { aProcessingJob, noopImage, sklearnImage, unique } from "./requests.js";

const cloud = useCloud(17020);
const url = useServer(cloud, { stopGraceSeconds: 0.5 });
let client: SageMakerClient;
beforeAll(() => {
  client = sagemakerClient(url());
});

const inject = (faults: Partial<Faults>) =>
  fetch(`${url()}/_local/faults`, { method: "PUT", body: JSON.stringify(faults) });
beforeEach(() => inject({}));

const input = (InputName: string, S3Uri: string, changes: object = {}): ProcessingInput => ({
  InputName,
  S3Input: {
    ...{ S3Uri, S3DataType: "S3Prefix", S3InputMode: "File" },
    LocalPath: `/opt/ml/processing/input/${InputName}`,
    ...changes,
  },
});

const output = (OutputName: string, S3Uri: string, changes: object = {}): ProcessingOutput => ({
  OutputName,
  S3Output: {
    ...{ S3Uri, S3UploadMode: "EndOfJob" },
    LocalPath: `/opt/ml/processing/output/${OutputName}`,
    ...changes,
  },
});

interface ScriptJob extends Partial<CreateProcessingJobCommandInput> {
  readonly script: string;
  readonly arguments?: string[];
  readonly instances?: number;
  readonly outputs?: ProcessingOutput[];
}

/** A job that runs the script as ScriptProcessor of the SageMaker Python SDK has it run. */
async function start(job: ScriptJob): Promise<string> {
  const { script, arguments: given, instances = 1, outputs = [], ...changes } = job;
  const code = unique("code");
  await putObject(cloud(), `${code}/prepare.py`, script);
  const request = aProcessingJob({
    AppSpecification: {
      ImageUri: sklearnImage,
      ContainerEntrypoint: ["python3", "/opt/ml/processing/input/code/prepare.py"],
      ...(given && { ContainerArguments: given }),
    },
    ProcessingResources: {
      ClusterConfig: { InstanceType: "ml.m5.large", InstanceCount: instances, VolumeSizeInGB: 5 },
    },
    ...(outputs.length > 0 && { ProcessingOutputConfig: { Outputs: outputs } }),
    ...changes,
    ProcessingInputs: [
      input("code", `s3://${bucket}/${code}/prepare.py`),
      ...(changes.ProcessingInputs ?? []),
    ],
  });
  await client.send(new CreateProcessingJobCommand(request));
  return request.ProcessingJobName;
}

const describeJob = (ProcessingJobName: string) =>
  client.send(new DescribeProcessingJobCommand({ ProcessingJobName }));

const until = (
  name: string,
  wanted: Partial<DescribeProcessingJobCommandOutput>,
): Promise<DescribeProcessingJobCommandOutput> =>
  vi.waitFor(
    async () => {
      const job = await describeJob(name);
      expect(job).toMatchObject(wanted);
      return job;
    },
    { timeout: 60_000, interval: 50 },
  );

const logOf = async (name: string) =>
  (await fetch(`${url()}/_local/processing-jobs/${name}/log`)).text();

describe("a script that prepares data", () => {
  test("finds inputs by its arguments, and what it writes is uploaded", async () => {
    const folder = unique("data");
    await putObject(cloud(), `${folder}/in/a.csv`, "1\n2\n");
    await putObject(cloud(), `${folder}/in/deep/b.csv`, "3\n");
    const script = `
import argparse, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--data", type=pathlib.Path)
parser.add_argument("--out", type=pathlib.Path)
args = parser.parse_args()
names = sorted(str(p.relative_to(args.data)) for p in args.data.rglob("*") if p.is_file())
(args.out / "deep").mkdir()
(args.out / "deep" / "names.txt").write_text(" ".join(names) + os.environ["COLOUR"])
(args.out / "empty.txt").write_text("")
(args.out / "link.txt").symlink_to("empty.txt")
pathlib.Path(os.environ["FOLDER"], "seen.txt").write_text("by the environment")
import numpy, pandas
print("prepared", len(names))
`;
    const name = await start({
      script,
      arguments: ["--data", "/opt/ml/processing/input/data", "--out=/opt/ml/processing/output/out"],
      Environment: { COLOUR: "green", FOLDER: "/opt/ml/processing/output/out" },
      ProcessingInputs: [input("data", `s3://${bucket}/${folder}/in/`)],
      outputs: [output("out", `s3://${bucket}/${folder}/prepared`)],
    });
    const job = await until(name, { ProcessingJobStatus: "Completed" });
    expect(job.ProcessingStartTime).toBeInstanceOf(Date);
    expect(job.ProcessingEndTime).toBeInstanceOf(Date);
    expect(job).not.toHaveProperty("FailureReason");
    expect(job).not.toHaveProperty("ExitMessage");
    expect(await logOf(name)).toContain("prepared 2");
    expect(await keysUnder(cloud(), `${folder}/prepared/`)).toEqual([
      `${folder}/prepared/deep/names.txt`,
      `${folder}/prepared/empty.txt`,
      `${folder}/prepared/seen.txt`,
    ]);
    const names = await readObject(cloud(), `${folder}/prepared/deep/names.txt`);
    expect(names.toString()).toBe("a.csv deep/b.csvgreen");
  });

  // Where the kernel has no unprivileged namespaces, the log says so, and there is nothing to test.
  test("finds its folders and settings at /opt/ml itself", async (context) => {
    const folder = unique("fixed");
    const script = `
import json, pathlib
config = json.loads(pathlib.Path("/opt/ml/config/processingjobconfig.json").read_text())
resources = json.loads(pathlib.Path("/opt/ml/config/resourceconfig.json").read_text())
pathlib.Path("/opt/ml/processing/output/out/seen.json").write_text(json.dumps([
    config["ProcessingJobName"], config["ProcessingJobArn"], "CreationTime" in config, resources]))
`;
    const name = await start({
      script,
      outputs: [output("out", `s3://${bucket}/${folder}/`)],
    });
    const ended = await vi.waitFor(
      async () => {
        const job = await describeJob(name);
        expect(job.ProcessingJobStatus).not.toBe("InProgress");
        return job;
      },
      { timeout: 60_000, interval: 50 },
    );
    if ((await logOf(name)).includes("/opt/ml cannot be shown here")) return context.skip();
    expect(ended).toMatchObject({ ProcessingJobStatus: "Completed" });
    const seen = (await readObject(cloud(), `${folder}/seen.json`)).toString();
    expect(JSON.parse(seen)).toEqual([
      ...[name, `arn:aws:sagemaker:${region}:${account}:processing-job/${name}`, false],
      { current_host: "algo-1", hosts: ["algo-1"] },
    ]);
  });

  test("runs on every instance, each with its share of a sharded input", async () => {
    const folder = unique("shards");
    for (const key of ["a", "b", "c"]) await putObject(cloud(), `${folder}/in/${key}`, key);
    const manifest = JSON.stringify([{ prefix: `s3://${bucket}/${folder}/in/` }, "a", "c"]);
    await putObject(cloud(), `${folder}/manifest.json`, manifest);
    const script = `
import pathlib, sys
data, listed, out = (pathlib.Path(each) for each in sys.argv[1:])
names = "".join(sorted(p.name for p in data.iterdir()))
(out / (names + ".txt")).write_text("".join(sorted(p.name for p in listed.iterdir())))
print("had", names)
`;
    const name = await start({
      script,
      instances: 2,
      arguments: ["data", "listed"]
        .map((each) => `/opt/ml/processing/input/${each}`)
        .concat("/opt/ml/processing/output/out"),
      ProcessingInputs: [
        input("data", `s3://${bucket}/${folder}/in/`, { S3DataDistributionType: "ShardedByS3Key" }),
        input("listed", `s3://${bucket}/${folder}/manifest.json`, { S3DataType: "ManifestFile" }),
      ],
      outputs: [output("out", `s3://${bucket}/${folder}/out/`)],
    });
    await until(name, { ProcessingJobStatus: "Completed" });
    expect(await keysUnder(cloud(), `${folder}/out/`)).toEqual([
      `${folder}/out/ac.txt`,
      `${folder}/out/b.txt`,
    ]);
    expect((await readObject(cloud(), `${folder}/out/b.txt`)).toString()).toBe("ac");
    const log = await logOf(name);
    expect(log).toContain("[algo-1] had ac");
    expect(log).toContain("[algo-2] had b");
  });

  test("has Continuous outputs uploaded while it runs, also when they change", async () => {
    const folder = unique("continuous");
    const script = `
import pathlib, sys, time
out = pathlib.Path(sys.argv[1])
(out / "first.txt").write_text("first")
while not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.05)
(out / "first.txt").write_text("last")
`;
    const home = mkdtempSync(join(tmpdir(), "mf-"));
    const go = join(home, "go");
    const name = await start({
      script,
      arguments: ["/opt/ml/processing/output/out", go],
      outputs: [output("out", `s3://${bucket}/${folder}/`, { S3UploadMode: "Continuous" })],
    });
    const content = async () => (await readObject(cloud(), `${folder}/first.txt`)).toString();
    await vi.waitFor(async () => expect(await content()).toBe("first"), 30_000);
    expect(await describeJob(name)).toMatchObject({ ProcessingJobStatus: "InProgress" });
    await writeFile(go, "");
    await until(name, { ProcessingJobStatus: "Completed" });
    expect(await content()).toBe("last");
    rmSync(home, { recursive: true });
  });
});

describe("a job that fails", () => {
  const failing = (end: string) => `
import pathlib, sys
pathlib.Path(sys.argv[1], "partial.txt").write_text("so far")
${end}
`;
  const folderArgument = ["/opt/ml/processing/output/out"];

  test("says its exit code and its last words, and uploads nothing at its end", async () => {
    const folder = unique("failed");
    const name = await start({
      script: failing("sys.exit('no column dest')"),
      arguments: folderArgument,
      outputs: [output("out", `s3://${bucket}/${folder}/`)],
    });
    const { FailureReason } = await until(name, { ProcessingJobStatus: "Failed" });
    expect(FailureReason).toBe("AlgorithmError: no column dest, exit code: 1");
    expect(await keysUnder(cloud(), folder)).toEqual([]);
  });

  test("shows the first kilobyte of what it wrote to /opt/ml/output/message", async () => {
    const script = failing(`
message = pathlib.Path(sys.argv[1]).parents[2] / "output" / "message"
message.write_text("é" * 1000)
sys.exit(3)`);
    const outputs = [output("out", `s3://${bucket}/${unique("message")}/`)];
    const name = await start({ script, arguments: folderArgument, outputs });
    const job = await until(name, { ProcessingJobStatus: "Failed" });
    expect(job.ExitMessage).toBe("é".repeat(512));
    expect(job.FailureReason).toMatch(/exit code: 3$/);
  });

  test("fails for a message that is not UTF-8, whatever its exit code", async () => {
    const script = failing(`
message = pathlib.Path(sys.argv[1]).parents[2] / "output" / "message"
message.write_bytes(b"\\xff\\xfe")`);
    const outputs = [output("out", `s3://${bucket}/${unique("message")}/`)];
    const name = await start({ script, arguments: folderArgument, outputs });
    const { FailureReason } = await until(name, { ProcessingJobStatus: "Failed" });
    expect(FailureReason).toBe("ClientError: /opt/ml/output/message is not valid UTF-8.");
  });

  test("ends on all instances when it fails on one", async () => {
    const script = `
import pathlib, sys, time
if any(pathlib.Path(__file__).parents[1].joinpath("data").iterdir()): sys.exit("mine is bad")
time.sleep(600)
`;
    const folder = unique("one");
    await putObject(cloud(), `${folder}/only`, "1");
    const name = await start({
      script,
      instances: 2,
      ProcessingInputs: [
        input("data", `s3://${bucket}/${folder}/`, { S3DataDistributionType: "ShardedByS3Key" }),
      ],
    });
    const { FailureReason } = await until(name, { ProcessingJobStatus: "Failed" });
    expect(FailureReason).toBe("AlgorithmError: mine is bad, exit code: 1");
  });

  test.each([
    [
      "an image that cannot be pulled",
      { ImageUri: "example/unknown:1" },
      /^ClientError: Cannot pull/,
    ],
    [
      "a program that is not there",
      { ImageUri: sklearnImage, ContainerEntrypoint: ["no-such-program"] },
      /^AlgorithmError: cannot start no-such-program.*exit code: 127$/,
    ],
  ])("names %s", async (_what, AppSpecification, reason) => {
    const request = aProcessingJob({ AppSpecification });
    await client.send(new CreateProcessingJobCommand(request));
    const job = await until(request.ProcessingJobName, { ProcessingJobStatus: "Failed" });
    expect(job.FailureReason).toMatch(reason);
  });
});

describe("a job that is ended", () => {
  const waiting = (handler: string) => `
import signal, sys, time
signal.signal(signal.SIGINT, ${handler})
print("waits", flush=True)
time.sleep(600)
`;

  test.each([
    ["ends as it likes", "lambda *_: sys.exit(0)"],
    ["is killed when it does not listen", "signal.SIG_IGN"],
  ])("by StopProcessingJob %s", async (_what, handler) => {
    const name = await start({ script: waiting(handler) });
    await vi.waitFor(async () => expect(await logOf(name)).toContain("waits"), 30_000);
    await client.send(new StopProcessingJobCommand({ ProcessingJobName: name }));
    const job = await until(name, { ProcessingJobStatus: "Stopped" });
    expect(job).not.toHaveProperty("FailureReason");
    await expect(
      client.send(new StopProcessingJobCommand({ ProcessingJobName: name })),
    ).rejects.toMatchObject({
      name: "ValidationException",
      message: "The request was rejected because the processing job is in status Stopped.",
    });
  });

  test("by its own MaxRuntime is Stopped", async () => {
    const StoppingCondition = { MaxRuntimeInSeconds: 1 };
    const name = await start({ script: waiting("signal.SIG_IGN"), StoppingCondition });
    await until(name, { ProcessingJobStatus: "Stopped" });
  });
});

describe("the operations", () => {
  const create = async (changes: Partial<CreateProcessingJobCommandInput> = {}) => {
    const request = aProcessingJob(changes);
    await client.send(new CreateProcessingJobCommand(request));
    return request.ProcessingJobName;
  };

  test("answer unknown names in AWS's words", async () => {
    const ProcessingJobName = unique("nobody");
    await expect(describeJob(ProcessingJobName)).rejects.toMatchObject({
      name: "ValidationException",
      message: `Could not find requested job with name: ${ProcessingJobName}`,
    });
    await expect(
      client.send(new StopProcessingJobCommand({ ProcessingJobName })),
    ).rejects.toMatchObject({
      name: "ValidationException",
      message: `Could not find job to update with name ${ProcessingJobName}`,
    });
  });

  test("use a name up until the job is deleted", async () => {
    const name = await create();
    await until(name, { ProcessingJobStatus: "Completed" });
    await expect(create({ ProcessingJobName: name })).rejects.toMatchObject({
      name: "ResourceInUse",
      message: expect.stringContaining("a job with this name already exists") as string,
    });
    await client.send(new DeleteProcessingJobCommand({ ProcessingJobName: name }));
    await create({ ProcessingJobName: name });
  });

  test("list with filters, oldest first, page by page", async () => {
    const infix = unique("listed");
    const names = [];
    for (const index of [1, 2, 3])
      names.push(await create({ ProcessingJobName: `${infix}-${index}` }));
    for (const name of names) await until(name, { ProcessingJobStatus: "Completed" });
    const list = async (changes: object) =>
      client.send(new ListProcessingJobsCommand({ NameContains: infix, ...changes }));
    const first = await list({ MaxResults: 2 });
    const rest = await list({ MaxResults: 2, NextToken: first.NextToken });
    const listed = [
      ...(first.ProcessingJobSummaries ?? []),
      ...(rest.ProcessingJobSummaries ?? []),
    ];
    expect(listed.map(({ ProcessingJobName }) => ProcessingJobName)).toEqual(names);
    expect(listed[0]).toMatchObject({ ProcessingJobStatus: "Completed" });
    expect((await list({ StatusEquals: "Failed" })).ProcessingJobSummaries).toEqual([]);
    const byName = await list({ SortBy: "Name", SortOrder: "Descending", MaxResults: 1 });
    expect(byName.ProcessingJobSummaries?.[0]?.ProcessingJobName).toBe(names[2]);
  });

  test("keep tags", async () => {
    const request = aProcessingJob({ Tags: [{ Key: "fleet", Value: "energy" }] });
    const { ProcessingJobArn: ResourceArn } = await client.send(
      new CreateProcessingJobCommand(request),
    );
    const Tags = [{ Key: "cycle", Value: "2026-01" }];
    await client.send(new AddTagsCommand({ ResourceArn, Tags }));
    const listed = await client.send(new ListTagsCommand({ ResourceArn }));
    expect(listed.Tags).toEqual([{ Key: "fleet", Value: "energy" }, ...Tags]);
  });

  test("count instances against a quota of their own", async () => {
    await inject({ resourceLimit: { "ml.m5.large": 1 }, slowStartSeconds: 60 });
    const running = await create();
    await expect(create()).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringContaining(
        "'ml.m5.large for processing job usage' is 1 Instances, with current utilization of 1",
      ) as string,
    });
    await client.send(new StopProcessingJobCommand({ ProcessingJobName: running }));
    await until(running, { ProcessingJobStatus: "Stopped" });
  });

  test("fail a job on demand", async () => {
    const infix = unique("victim");
    const reason = "InternalServerError: We encountered an internal error. Please try again.";
    await inject({ failJob: { match: infix, reason, times: 1 } });
    const name = await create({ ProcessingJobName: infix });
    await until(name, { ProcessingJobStatus: "Failed", FailureReason: reason });
  });

  const code = `s3://nobody/code/`;
  test.each<[string, Partial<CreateProcessingJobCommandInput>, RegExp]>([
    [
      "an input without data",
      { ProcessingInputs: [input("a", `s3://${bucket}/nobody/`)] },
      /^No S3 objects found/,
    ],
    [
      "two inputs of one name",
      { ProcessingInputs: [input("a", code), input("a", code)] },
      /InputName in ProcessingInputs must be unique/,
    ],
    [
      "two inputs in one folder",
      {
        ProcessingInputs: [
          input("a", code),
          input("b", code, { LocalPath: "/opt/ml/processing/input/a/" }),
        ],
      },
      /LocalPath in ProcessingInputs must be unique/,
    ],
    [
      "a folder elsewhere",
      { ProcessingInputs: [input("a", code, { LocalPath: "/tmp/a" })] },
      /must begin with \/opt\/ml\/processing\//,
    ],
    [
      "a folder that climbs out",
      { ProcessingInputs: [input("a", code, { LocalPath: "/opt/ml/processing/../../a" })] },
      /must begin with/,
    ],
    [
      "Pipe mode",
      { ProcessingInputs: [input("a", code, { S3InputMode: "Pipe" })] },
      /has no Pipe mode/,
    ],
    [
      "an image whose entry point nobody knows",
      { AppSpecification: { ImageUri: sklearnImage } },
      /ContainerEntrypoint/,
    ],
    [
      "a role of nobody",
      { RoleArn: `arn:aws:iam::${account}:role/nobody` },
      /^Could not assume role/,
    ],
    [
      "a name with an underscore",
      { ProcessingJobName: "my_job" },
      /Value 'my_job' at 'processingJobName'/,
    ],
    [
      "an argument that is too long",
      { AppSpecification: { ImageUri: noopImage, ContainerArguments: ["x".repeat(257)] } },
      /length less than or equal to 256/,
    ],
  ])("refuse %s", async (_what, changes, message) => {
    await expect(create(changes)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringMatching(message) as string,
    });
  });
});
