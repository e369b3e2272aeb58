/** Processing and transform jobs when the server is killed, and its memory while one of them goes through a large object. */
import { execFile } from "node:child_process";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { Upload } from "@aws-sdk/lib-storage";
import {
  CreateModelCommand,
  CreateProcessingJobCommand,
  CreateTransformJobCommand,
  DescribeProcessingJobCommand,
  DescribeTransformJobCommand,
} from "@aws-sdk/client-sagemaker";
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import { expect, test, vi } from "vitest";
import { tarGz } from "../hosting/artifacts.js";
import { bucket, keysUnder, putObject, sagemakerClient, useCloud } from "./cloud.js";
import { aModel, aProcessingJob, aTransformJob, sklearnImage, unique } from "./requests.js";
import { useServerProcesses } from "./server-process.js";

const cloud = useCloud(17648);
const startServer = useServerProcesses(cloud);

const processing = async (url: string, ProcessingJobName: string) =>
  sagemakerClient(url).send(new DescribeProcessingJobCommand({ ProcessingJobName }));
const transform = async (url: string, TransformJobName: string) =>
  sagemakerClient(url).send(new DescribeTransformJobCommand({ TransformJobName }));

/** What every line becomes while the model is asked about it. */
async function createModel(url: string, answer: string): Promise<string> {
  const inference = `
import time
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept): return ${answer}
`;
  const archive = await tarGz({ "code/inference.py": inference });
  const ModelDataUrl = await putObject(cloud(), `${unique("models")}/model.tar.gz`, archive);
  const model = aModel({ PrimaryContainer: { Image: sklearnImage, ModelDataUrl } });
  await sagemakerClient(url).send(new CreateModelCommand(model));
  return model.ModelName ?? "";
}

test("after SIGKILL, jobs that ran have lost their instance, and those that waited run", async () => {
  const server = await startServer();
  const client = sagemakerClient(server.url);
  const prepare = async (script: string): Promise<string> => {
    const request = aProcessingJob({
      AppSpecification: { ImageUri: sklearnImage, ContainerEntrypoint: ["python3", "-c", script] },
    });
    await client.send(new CreateProcessingJobCommand(request));
    return request.ProcessingJobName;
  };
  const folder = unique("data");
  const input = await putObject(cloud(), `${folder}/in/a.csv`, "1\n");
  const output = `s3://${bucket}/${folder}/out`;
  const model = await createModel(server.url, "data");
  const batch = async (): Promise<string> => {
    const request = aTransformJob({ model, input, output });
    await client.send(new CreateTransformJobCommand(request));
    return request.TransformJobName;
  };

  const running = await prepare("print('runs', flush=True); import time; time.sleep(600)");
  const log = (url: string, name: string) =>
    fetch(`${url}/_local/processing-jobs/${name}/log`).then((answer) => answer.text());
  await vi.waitFor(async () => expect(await log(server.url, running)).toContain("runs"), 30_000);
  const held = await batch(); // One core, two instances: it holds the second, and waits for the core.
  await vi.waitFor(async () => {
    expect(await transform(server.url, held)).toHaveProperty("TransformStartTime");
  }, 10_000);
  const waiting = await prepare("print('at last')");
  const waitingBatch = await batch();
  expect(await processing(server.url, waiting)).not.toHaveProperty("ProcessingStartTime");
  await server.end("SIGKILL");

  const successor = await startServer();
  const lost = expect.stringMatching(/^InternalServerError: .*instance lost/) as string;
  expect(await processing(successor.url, running)).toMatchObject({
    ...{ ProcessingJobStatus: "Failed", FailureReason: lost },
  });
  expect(await transform(successor.url, held)).toMatchObject({
    ...{ TransformJobStatus: "Failed", FailureReason: lost },
  });
  await vi.waitFor(async () => {
    expect(await processing(successor.url, waiting)).toMatchObject({
      ProcessingJobStatus: "Completed",
    });
    expect(await transform(successor.url, waitingBatch)).toMatchObject({
      TransformJobStatus: "Completed",
    });
  }, 60_000);
  expect(await log(successor.url, waiting)).toContain("at last");
  expect(await keysUnder(cloud(), `${folder}/out`)).toEqual([`${folder}/out/a.csv.out`]);
  expect(await successor.end("SIGTERM")).toBe(0);
});

test("an object of 100 MB passes through a server whose memory does not grow with it", async () => {
  const server = await startServer();
  const megabytes = 100;
  const line = `${"0123456789,".repeat(9)}\n`; // 100 bytes.
  const chunk = Buffer.from(line.repeat(10_486));
  const Key = `${unique("large")}/rows.csv`;
  const Body = Readable.from(Array.from({ length: megabytes }, () => chunk));
  await new Upload({ client: cloud().s3, params: { Bucket: bucket, Key, Body } }).done();

  const model = await createModel(server.url, "data");
  const residentMegabytes = async () => {
    const { stdout } = await promisify(execFile)("ps", ["-o", "rss=", "-p", String(server.pid)]);
    return Number(stdout) / 1024;
  };
  const before = await residentMegabytes();
  let most = before;
  const request = aTransformJob(
    { model, input: `s3://${bucket}/${Key}`, output: `s3://${bucket}/${Key}` },
    { MaxPayloadInMB: 2, MaxConcurrentTransforms: 2 },
  );
  await sagemakerClient(server.url).send(new CreateTransformJobCommand(request));
  await vi.waitFor(
    async () => {
      most = Math.max(most, await residentMegabytes());
      const job = await transform(server.url, request.TransformJobName);
      expect(job.TransformJobStatus).toBe("Completed");
    },
    { timeout: 120_000, interval: 50 },
  );
  const head = new HeadObjectCommand({ Bucket: bucket, Key: `${Key}/rows.csv.out` });
  expect((await cloud().s3.send(head)).ContentLength).toBe(chunk.length * megabytes);
  expect(most - before).toBeLessThan(megabytes);
  expect(await server.end("SIGTERM")).toBe(0);
});
