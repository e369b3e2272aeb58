/** Batch transform: what the model is asked, record by record, and what of its answers goes to S3. */
import { gzipSync } from "node:zlib";
import {
  CreateModelCommand,
  CreateTransformJobCommand,
  DeleteModelCommand,
  DescribeTransformJobCommand,
  ListTagsCommand,
  ListTransformJobsCommand,
  StopTransformJobCommand,
} from "@aws-sdk/client-sagemaker";
import type {
  CreateTransformJobCommandInput,
  DescribeTransformJobCommandOutput,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Faults } from "../../local/sagemaker/config.schema.js";
import { tarGz } from "../hosting/artifacts.js";
import { account, bucket, keysUnder, putObject, readObject, region } from "./cloud.js";
import { sagemakerClient, useCloud, useServer } from "./cloud.js";
import { aModel, aTransformJob, sklearnImage, unique } from "./requests.js";

const cloud = useCloud(17636);
const url = useServer(cloud);
let client: SageMakerClient;

const inject = (faults: Partial<Faults>) =>
  fetch(`${url()}/_local/faults`, { method: "PUT", body: JSON.stringify(faults) });

/** Marks every line with the model's text; lines ask for every kind of trouble. */
const inference = `
import os, threading, time
from pathlib import Path

print("batch", {name: value for name, value in sorted(os.environ.items())
                if name.startswith("SAGEMAKER_") and name != "SAGEMAKER_BASE_DIR" or name == "COLOUR"})
lock, now, most = threading.Lock(), 0, 0

class Refusal(Exception):
    status_code = 400

def model_fn(model_dir):
    return Path(model_dir, "model.txt").read_text()

def transform_fn(model, data, content_type, accept):
    global now, most
    with lock:
        now += 1
        most = max(most, now)
    try:
        lines = data.splitlines()
        print("asked", len(lines), content_type, accept, "most", most, flush=True)
        if "crash" in lines: os._exit(137)
        if "sleep" in lines: time.sleep(600)
        if "raise" in lines: raise ValueError("no such row")
        if "refuse" in lines: raise Refusal("not like this")
        if "silent" in lines: return ""
        if "once" in lines:
            marker = Path(os.environ["SAGEMAKER_BASE_DIR"], "asked")
            if not marker.exists():
                marker.write_text("")
                os._exit(137)
        if "wait" in lines: time.sleep(0.3)
        if content_type == "application/jsonlines":
            return "".join(f'{{"prediction": {len(line)}}}\\n' for line in lines)
        return "\\n".join(f"{model}:{line}" for line in lines), content_type
    finally:
        with lock: now -= 1
`;

async function createModel(text: string, Environment: Record<string, string> = {}) {
  const archive = await tarGz({ "model.txt": text, "code/inference.py": inference });
  const ModelDataUrl = await putObject(cloud(), `${unique("models")}/model.tar.gz`, archive);
  const model = aModel({ PrimaryContainer: { Image: sklearnImage, ModelDataUrl, Environment } });
  await client.send(new CreateModelCommand(model));
  return model.ModelName ?? "";
}

let model = "";
beforeAll(async () => {
  client = sagemakerClient(url());
  model = await createModel("m");
});
beforeEach(() => inject({}));

interface Wanted {
  /** Key below the input prefix → content. */
  readonly objects: Record<string, string | Buffer>;
  readonly modelName?: string;
  readonly input?: Partial<CreateTransformJobCommandInput["TransformInput"]>;
  readonly output?: Partial<CreateTransformJobCommandInput["TransformOutput"]>;
  readonly changes?: Partial<CreateTransformJobCommandInput>;
}

async function start({ objects, modelName, input, output, changes }: Wanted) {
  const folder = unique("batch");
  for (const [key, content] of Object.entries(objects))
    await putObject(cloud(), `${folder}/in/${key}`, content);
  const root = `s3://${bucket}/${folder}`;
  const request = aTransformJob(
    { model: modelName ?? model, input: `${root}/in/`, output: `${root}/out` },
    changes,
  );
  await client.send(
    new CreateTransformJobCommand({
      ...request,
      TransformInput: { ...request.TransformInput, ...input } as never,
      TransformOutput: { ...request.TransformOutput, ...output } as never,
    }),
  );
  return { name: request.TransformJobName, folder };
}

const describeJob = (TransformJobName: string) =>
  client.send(new DescribeTransformJobCommand({ TransformJobName }));

const until = (name: string, wanted: Partial<DescribeTransformJobCommandOutput>) =>
  vi.waitFor(
    async () => {
      const job = await describeJob(name);
      expect(job).toMatchObject(wanted);
      return job;
    },
    { timeout: 60_000, interval: 50 },
  );

/** Runs the job to its end; the outputs by their key below the output path. */
async function run(wanted: Wanted) {
  const { name, folder } = await start(wanted);
  const job = await vi.waitFor(
    async () => {
      const seen = await describeJob(name);
      expect(seen.TransformJobStatus).not.toBe("InProgress");
      return seen;
    },
    { timeout: 60_000, interval: 50 },
  );
  const outputs: Record<string, string> = {};
  for (const key of await keysUnder(cloud(), `${folder}/out/`))
    outputs[key.slice(`${folder}/out/`.length)] = (await readObject(cloud(), key)).toString();
  return { job, outputs, log: await logOf(name) };
}

const logOf = async (name: string) =>
  (await fetch(`${url()}/_local/transform-jobs/${name}/log`)).text();

describe("a transform job", () => {
  test("keeps the order of records, and names outputs after their inputs", async () => {
    const { job, outputs, log } = await run({
      objects: { "a.csv": "1\n2\n3\n", "deep/b.csv": "4\n5", "deep/empty.csv": "" },
    });
    expect(job).toMatchObject({ TransformJobStatus: "Completed", ModelName: model });
    expect(job.TransformStartTime).toBeInstanceOf(Date);
    expect(job.TransformEndTime).toBeInstanceOf(Date);
    expect(job).not.toHaveProperty("FailureReason");
    expect(outputs).toEqual({
      "a.csv.out": "m:1\nm:2\nm:3\n",
      "deep/b.csv.out": "m:4\nm:5\n",
      "deep/empty.csv.out": "",
    });
    expect(log).toContain("asked 3 text/csv text/csv");
  });

  test("tells the container what the user asked for, the job's environment over the model's", async () => {
    const own = await createModel("m", { COLOUR: "red", SAGEMAKER_MODEL_SERVER_WORKERS: "3" });
    const { job, log } = await run({
      objects: { a: "1\n" },
      modelName: own,
      changes: {
        ...{ MaxPayloadInMB: 2, BatchStrategy: "SingleRecord", MaxConcurrentTransforms: 4 },
        Environment: { COLOUR: "green" },
      },
    });
    expect(job.TransformJobStatus).toBe("Completed");
    expect(log).toContain(
      "batch {'COLOUR': 'green', 'SAGEMAKER_BATCH': 'true', 'SAGEMAKER_BATCH_STRATEGY': 'SINGLE_RECORD', " +
        "'SAGEMAKER_MAX_CONCURRENT_TRANSFORMS': '4', 'SAGEMAKER_MAX_PAYLOAD_IN_MB': '2', " +
        "'SAGEMAKER_MODEL_SERVER_WORKERS': '3'}",
    );
  });

  test("sends as many at a time as asked, by the request or by the container", async () => {
    const objects = { a: "wait\n".repeat(6), b: "wait\n".repeat(6) };
    const BatchStrategy = "SingleRecord" as const;
    const byRequest = await run({
      objects,
      changes: { BatchStrategy, MaxConcurrentTransforms: 4 },
    });
    expect(byRequest.log).toContain("most 4");
    expect(byRequest.log).not.toContain("most 5");
    expect(byRequest.outputs).toEqual({
      "a.out": "m:wait\n".repeat(6),
      "b.out": "m:wait\n".repeat(6),
    });
    const modelName = await createModel("m", { SAGEMAKER_MODEL_SERVER_WORKERS: "3" });
    const byContainer = await run({ objects, modelName, changes: { BatchStrategy } });
    expect(byContainer.log).toContain("most 3");
    expect(byContainer.log).not.toContain("most 4");
  });

  test("fills requests up to MaxPayloadInMB with whole records", async () => {
    const line = `${"x".repeat(99_999)}\n`;
    const { outputs, log } = await run({
      objects: { a: line.repeat(25) },
      changes: { MaxPayloadInMB: 1 },
    });
    expect(log.match(/asked \d+/g)).toEqual(["asked 10", "asked 10", "asked 5"]);
    expect(outputs["a.out"]).toBe(`m:${line}`.repeat(25));
  });

  test("sends an object whole when it is not split, and joins answers without line feeds", async () => {
    const { outputs, log } = await run({
      objects: { a: "1\n2\n" },
      input: { SplitType: "None" },
      output: { AssembleWith: "None" },
    });
    expect(log).toContain("asked 2");
    expect(outputs).toEqual({ "a.out": "m:1\nm:2" });
  });

  test("reads gzip, and the objects that a manifest names", async () => {
    const zipped = await run({
      objects: { "a.gz": gzipSync("1\n2\n") },
      input: { CompressionType: "Gzip" },
    });
    expect(zipped.outputs).toEqual({ "a.gz.out": "m:1\nm:2\n" });

    const folder = unique("manifest");
    for (const key of ["a", "b", "c"]) await putObject(cloud(), `${folder}/${key}`, `${key}\n`);
    const manifest = JSON.stringify([{ prefix: `s3://${bucket}/${folder}/` }, "c", "a"]);
    const S3Uri = await putObject(cloud(), `${folder}.json`, manifest);
    const listed = await run({
      objects: {},
      input: { DataSource: { S3DataSource: { S3DataType: "ManifestFile", S3Uri } } },
    });
    expect(listed.outputs).toEqual({ "a.out": "m:a\n", "c.out": "m:c\n" });
  });

  test("divides the objects among its instances", async () => {
    const { outputs, log } = await run({
      objects: { a: "1\n", b: "2\n", c: "3\n" },
      changes: { TransformResources: { InstanceType: "ml.m5.large", InstanceCount: 2 } },
    });
    expect(Object.keys(outputs)).toEqual(["a.out", "b.out", "c.out"]);
    expect(log.match(/\[instance-1\] asked/g)).toHaveLength(2);
    expect(log.match(/\[instance-2\] asked/g)).toHaveLength(1);
  });

  test("goes through the containers of a pipeline in turn", async () => {
    const urls = [];
    for (const text of ["first", "second"]) {
      const archive = await tarGz({ "model.txt": text, "code/inference.py": inference });
      urls.push(await putObject(cloud(), `${unique("models")}/model.tar.gz`, archive));
    }
    const { PrimaryContainer, ...request } = aModel();
    const Containers = urls.map((ModelDataUrl) => ({ Image: sklearnImage, ModelDataUrl }));
    await client.send(new CreateModelCommand({ ...request, Containers }));
    const { outputs } = await run({ objects: { a: "1\n" }, modelName: request.ModelName ?? "" });
    expect(outputs).toEqual({ "a.out": "second:first:1\n" });
  });
});

describe("data processing", () => {
  const processed = (DataProcessing: object, more: Partial<Wanted> = {}) =>
    run({ objects: { a: 'id1,"x, y",3\nid2,z,4\n' }, ...more, changes: { DataProcessing } });

  test("hides columns from the model, joins its answers to the record, keeps some of both", async () => {
    const hidden = await processed({ InputFilter: "$[1:]" });
    expect(hidden.outputs["a.out"]).toBe('m:"x, y",3\nm:z,4\n');
    const joined = await processed({ InputFilter: "$[-1]", JoinSource: "Input" });
    expect(joined.outputs["a.out"]).toBe('id1,"x, y",3,m:3\nid2,z,4,m:4\n');
    const kept = await processed({
      ...{ InputFilter: "$[2]", JoinSource: "Input", OutputFilter: "$[0,-1]" },
    });
    expect(kept.outputs["a.out"]).toBe("id1,m:3\nid2,m:4\n");
  });

  test("puts the answer into a JSON record, and selects by name", async () => {
    const json = {
      objects: { a: '{"id":1,"features":[1,2,3]}\n{"id":2,"features":[]}\n' },
      input: { ContentType: "application/jsonlines" },
      output: { Accept: "application/jsonlines" },
    };
    const { outputs } = await processed(
      {
        ...{ InputFilter: "$.features", JoinSource: "Input" },
        OutputFilter: "$['id','SageMakerOutput']",
      },
      json,
    );
    expect(outputs["a.out"]).toBe(
      '{"id":1,"SageMakerOutput":{"prediction":7}}\n{"id":2,"SageMakerOutput":{"prediction":2}}\n',
    );
  });

  test("fails an object whose records lack what is selected, or that gets too few answers", async () => {
    const { job, outputs } = await run({
      objects: { good: "a,b\n", bad: "a\n" },
      changes: { DataProcessing: { InputFilter: "$[1]" } },
    });
    expect(outputs).toEqual({ "good.out": "m:b\n" });
    expect(job.FailureReason).toBe(
      "ClientError: 1 of 2 objects failed, the others are stored. " +
        `${job.TransformInput?.DataSource?.S3DataSource?.S3Uri ?? ""}bad: a record does not have what $[1] selects`,
    );
    const silent = await run({
      objects: { a: "silent\n" },
      changes: { DataProcessing: { JoinSource: "Input" } },
    });
    expect(silent.job.FailureReason).toContain("answered 0 records to a request with 1");
  });
});

describe("an object that fails", () => {
  test.each([
    ["raise", /AlgorithmError: .*Bad HTTP status returned from invoke: 500 \(no such row\)/],
    ["refuse", /AlgorithmError: .*Bad HTTP status returned from invoke: 400 \(not like this\)/],
    ["crash", /AlgorithmError: .*the model's container did not answer/],
  ])("because of the model (%s) fails the job, and the others are stored", async (line, reason) => {
    const { job, outputs, log } = await run({
      objects: { "1": "fine\n", "2": `${line}\n`, "3": "fine too\n" },
      changes: { ModelClientConfig: { InvocationsMaxRetries: 0 } },
    });
    expect(job.TransformJobStatus).toBe("Failed");
    expect(job.FailureReason).toMatch(reason);
    expect(job.FailureReason).toContain("1 of 3 objects failed");
    expect(outputs).toEqual({ "1.out": "m:fine\n", "3.out": "m:fine too\n" });
    expect(log).toContain("/in/2: AlgorithmError");
  });

  test("is tried again, and saved by a container that came back", async () => {
    const { job, outputs } = await run({ objects: { a: "once\n" } });
    expect(job.TransformJobStatus).toBe("Completed");
    expect(outputs).toEqual({ "a.out": "m:once\n" });
  });

  test("by taking longer than InvocationsTimeoutInSeconds says so", async () => {
    const { job } = await run({
      objects: { a: "sleep\n" },
      changes: {
        ModelClientConfig: { InvocationsTimeoutInSeconds: 1, InvocationsMaxRetries: 0 },
      },
    });
    expect(job.FailureReason).toContain("no answer within 1 s");
  });

  test.each([
    ["a record", { SplitType: "Line" as const }, "a record is over MaxPayloadInMB (1 MB)"],
    [
      "an object",
      { SplitType: "None" as const },
      "the object, which is not split, is over MaxPayloadInMB",
    ],
  ])("because %s is too large says so", async (_what, input, reason) => {
    const { job, outputs } = await run({
      objects: { small: "1\n", large: "x".repeat(1024 * 1024 + 1) },
      input,
      changes: { MaxPayloadInMB: 1 },
    });
    expect(job.FailureReason).toContain(reason);
    expect(outputs).toEqual({ "small.out": "m:1\n" });
  });

  test("because it is no gzip file says so", async () => {
    const { job } = await run({ objects: { a: "plain" }, input: { CompressionType: "Gzip" } });
    expect(job.FailureReason).toContain("it is not a gzip file");
  });
});

describe("a job that fails as a whole", () => {
  test("has a model that cannot be loaded, or is no longer there", async () => {
    const archive = await tarGz({ "code/inference.py": "raise ImportError('no module named x')" });
    const ModelDataUrl = await putObject(cloud(), `${unique("broken")}/model.tar.gz`, archive);
    const broken = aModel({ PrimaryContainer: { Image: sklearnImage, ModelDataUrl } });
    await client.send(new CreateModelCommand(broken));
    const { job } = await run({ objects: { a: "1\n" }, modelName: broken.ModelName ?? "" });
    expect(job.FailureReason).toMatch(/^AlgorithmError: Model container did not pass the ping/);
    expect(job.FailureReason).toContain("no module named x");

    await inject({ slowStartSeconds: 1 });
    const modelName = await createModel("gone");
    const { name } = await start({ objects: { a: "1\n" }, modelName });
    await client.send(new DeleteModelCommand({ ModelName: modelName }));
    const { FailureReason } = await until(name, { TransformJobStatus: "Failed" });
    expect(FailureReason).toMatch(/^ClientError: Could not find model/);
  });

  test("fails on demand", async () => {
    const infix = unique("victim");
    const reason = "CapacityError: Unable to provision requested ML compute capacity.";
    await inject({ failJob: { match: infix, reason, times: 1 } });
    const { job } = await run({ objects: { a: "1\n" }, changes: { TransformJobName: infix } });
    expect(job).toMatchObject({ TransformJobStatus: "Failed", FailureReason: reason });
  });
});

test("a job that is stopped stores no part of an object", async () => {
  const { name, folder } = await start({
    objects: { "1": "fine\n", "2": "fine\nsleep\n" },
    changes: { BatchStrategy: "SingleRecord" },
  });
  await vi.waitFor(async () => expect((await logOf(name)).match(/asked/g)).toHaveLength(3), {
    timeout: 30_000,
  });
  await client.send(new StopTransformJobCommand({ TransformJobName: name }));
  const job = await until(name, { TransformJobStatus: "Stopped" });
  expect(job).not.toHaveProperty("FailureReason");
  expect(await keysUnder(cloud(), `${folder}/out/`)).toEqual([`${folder}/out/1.out`]);
  await expect(
    client.send(new StopTransformJobCommand({ TransformJobName: name })),
  ).rejects.toMatchObject({
    name: "ValidationException",
    message: "The request was rejected because the transform job is in status Stopped.",
  });
});

describe("the operations", () => {
  test("answer unknown names in AWS's words", async () => {
    const TransformJobName = unique("nobody");
    await expect(describeJob(TransformJobName)).rejects.toMatchObject({
      name: "ValidationException",
      message: `Could not find requested job with name: ${TransformJobName}`,
    });
    await expect(
      client.send(new StopTransformJobCommand({ TransformJobName })),
    ).rejects.toMatchObject({
      message: `Could not find job to update with name ${TransformJobName}`,
    });
  });

  test("use names up, list newest first, and keep tags", async () => {
    const infix = unique("listed");
    const Tags = [{ Key: "fleet", Value: "housing" }];
    for (const index of [1, 2])
      await run({
        objects: { a: "1\n" },
        changes: { TransformJobName: `${infix}-${index}`, Tags },
      });
    const again = start({ objects: { a: "1\n" }, changes: { TransformJobName: `${infix}-1` } });
    await expect(again).rejects.toMatchObject({ name: "ResourceInUse" });
    const list = async (changes: object) => {
      const request = new ListTransformJobsCommand({ NameContains: infix, ...changes });
      const { TransformJobSummaries = [] } = await client.send(request);
      return TransformJobSummaries.map(({ TransformJobName }) => TransformJobName);
    };
    expect(await list({})).toEqual([`${infix}-2`, `${infix}-1`]);
    expect(await list({ SortOrder: "Ascending", MaxResults: 1 })).toEqual([`${infix}-1`]);
    expect(await list({ StatusEquals: "Failed" })).toEqual([]);
    const ResourceArn = `arn:aws:sagemaker:${region}:${account}:transform-job/${infix}-1`;
    expect((await client.send(new ListTagsCommand({ ResourceArn }))).Tags).toEqual(Tags);
  });

  test("count instances against a quota of their own", async () => {
    await inject({ resourceLimit: { "ml.m5.large": 0 } });
    await expect(start({ objects: { a: "1\n" } })).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringContaining("'ml.m5.large for transform job usage' is 0") as string,
    });
  });

  const nothing = { S3DataSource: { S3DataType: "S3Prefix", S3Uri: `s3://${bucket}/nobody/` } };
  test.each<[string, Omit<Wanted, "objects">, RegExp]>([
    [
      "an unknown model",
      { modelName: "nobody" },
      /^Could not find model "arn:aws:sagemaker:.*:model\/nobody"\.$/,
    ],
    ["an input without data", { input: { DataSource: nothing as never } }, /^No S3 objects found/],
    ["RecordIO", { input: { SplitType: "RecordIO" } }, /does not split RecordIO/],
    ["a payload of any size", { changes: { MaxPayloadInMB: 0 } }, /MaxPayloadInMB 0/],
    [
      "too much at a time",
      { changes: { MaxPayloadInMB: 30, MaxConcurrentTransforms: 4 } },
      /must not exceed 100 MB, and is 120 MB/,
    ],
    [
      "a filter that it cannot read",
      { changes: { DataProcessing: { InputFilter: "$..id" } } },
      /^InputFilter: cannot read the JSONPath \$\.\.id\. /,
    ],
    [
      "filters of anything but CSV and JSON",
      { input: { ContentType: "image/png" }, changes: { DataProcessing: { InputFilter: "$[0]" } } },
      /takes records of ContentType text\/csv/,
    ],
    [
      "to join what is split differently",
      { output: { AssembleWith: "None" }, changes: { DataProcessing: { JoinSource: "Input" } } },
      /SplitType \(Line\) and AssembleWith \(None\) must be equal/,
    ],
    [
      "to join records of different types",
      {
        output: { Accept: "application/json" },
        changes: { DataProcessing: { JoinSource: "Input" } },
      },
      /ContentType \(text\/csv\) and Accept \(application\/json\) must be equal/,
    ],
  ])("refuse %s", async (_what, wanted, message) => {
    await expect(start({ objects: { a: "1\n" }, ...wanted })).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringMatching(message) as string,
    });
  });
});
