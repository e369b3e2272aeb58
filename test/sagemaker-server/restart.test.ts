/** The server as a process: killed without a word, and what its successor makes of that. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  CreateTrainingJobCommand,
  DescribeEndpointCommand,
  DescribeTrainingJobCommand,
} from "@aws-sdk/client-sagemaker";
import { InvokeEndpointCommand } from "@aws-sdk/client-sagemaker-runtime";
import { afterAll, describe, expect, test, vi } from "vitest";
import { tarGz } from "../hosting/artifacts.js";
import { textInference } from "../hosting/endpoint.js";
import { bucket, putObject, runtimeClient, sagemakerClient, useCloud } from "./cloud.js";
import { aModel, anEndpointConfig, aTrainingJob, unique, xgboostImage } from "./requests.js";
import { useServerProcesses } from "./server-process.js";

const cloud = useCloud(17436);
const startProcess = useServerProcesses(cloud);
const processes: ChildProcess[] = [];
afterAll(() => processes.forEach((process) => process.kill("SIGKILL")));

const json = async (url: string): Promise<unknown> => (await fetch(url)).json();

describe("after SIGKILL", () => {
  test("finished jobs stay, the one that ran has lost its instance, the one that waited runs", async () => {
    const server = await startProcess();
    const client = sagemakerClient(server.url);
    const start = async (image?: string, script?: string) => {
      const code = await tarGz({ "train.py": script ?? "" });
      const sourcedir = await putObject(cloud(), `${unique("code")}/sourcedir.tar.gz`, code);
      const request = aTrainingJob({
        ...(image && {
          AlgorithmSpecification: { TrainingImage: image, TrainingInputMode: "File" },
          HyperParameters: {
            sagemaker_program: "train.py",
            sagemaker_submit_directory: sourcedir,
          },
        }),
      });
      await client.send(new CreateTrainingJobCommand(request));
      return request.TrainingJobName ?? "";
    };
    const job = async (url: string, TrainingJobName: string) =>
      sagemakerClient(url).send(new DescribeTrainingJobCommand({ TrainingJobName }));

    const done = await start();
    await vi.waitFor(
      async () =>
        expect(await job(server.url, done)).toMatchObject({ TrainingJobStatus: "Completed" }),
      30_000,
    );
    const sleeping = "import time; time.sleep(300)";
    const running = await start(xgboostImage, sleeping);
    await vi.waitFor(async () => {
      expect(await job(server.url, running)).toMatchObject({ SecondaryStatus: "Training" });
    }, 30_000);
    const downloaded = await start(xgboostImage, sleeping);
    await vi.waitFor(async () => {
      expect(await job(server.url, downloaded)).toMatchObject({ SecondaryStatus: "Downloading" });
    }, 10_000);
    const waiting = await start(xgboostImage, "print('at last')");
    expect(await job(server.url, waiting)).toMatchObject({ SecondaryStatus: "Pending" });
    const before = await json(`${server.url}/_local/calls?operation=CreateTrainingJob`);
    await server.end("SIGKILL");

    const successor = await startProcess();
    expect(await job(successor.url, done)).toMatchObject({ TrainingJobStatus: "Completed" });
    for (const lost of [running, downloaded])
      expect(await job(successor.url, lost)).toMatchObject({
        TrainingJobStatus: "Failed",
        FailureReason: expect.stringMatching(/^InternalServerError: .*instance lost/) as string,
      });
    await vi.waitFor(async () => {
      expect(await job(successor.url, waiting)).toMatchObject({ TrainingJobStatus: "Completed" });
    }, 30_000);
    expect(await json(`${successor.url}/_local/calls?operation=CreateTrainingJob`)).toEqual(before);
    const log = await fetch(`${successor.url}/_local/training-jobs/${waiting}/log`);
    expect(await log.text()).toContain("at last");
    expect(await successor.end("SIGTERM")).toBe(0);
  });

  test("an endpoint answers again, without its owner doing anything", async () => {
    const server = await startProcess();
    const client = sagemakerClient(server.url);
    const folder = unique("models");
    await putObject(cloud(), `${folder}/a.tar.gz`, await tarGz({ "model.txt": "model a" }));
    const code = await tarGz({ "inference.py": textInference });
    const model = aModel({
      PrimaryContainer: {
        ...{ Image: xgboostImage, Mode: "MultiModel", ModelDataUrl: `s3://${bucket}/${folder}/` },
        Environment: {
          SAGEMAKER_PROGRAM: "inference.py",
          SAGEMAKER_SUBMIT_DIRECTORY: await putObject(cloud(), `${folder}-code.tar.gz`, code),
        },
      },
    });
    await client.send(new CreateModelCommand(model));
    const config = anEndpointConfig(model.ModelName ?? "");
    await client.send(new CreateEndpointConfigCommand(config));
    const { EndpointConfigName } = config;
    const EndpointName = unique("endpoint");
    await client.send(new CreateEndpointCommand({ EndpointName, EndpointConfigName }));
    const status = async (url: string) => {
      const command = new DescribeEndpointCommand({ EndpointName });
      return (await sagemakerClient(url).send(command)).EndpointStatus;
    };
    await vi.waitFor(async () => expect(await status(server.url)).toBe("InService"), 30_000);
    await server.end("SIGKILL");

    const successor = await startProcess();
    expect(await status(successor.url)).toBe("InService");
    const request = {
      ...{ EndpointName, TargetModel: "a.tar.gz", ContentType: "text/csv" },
      Body: Buffer.from("7"),
    };
    const answer = await runtimeClient(successor.url).send(new InvokeEndpointCommand(request));
    expect(Buffer.from(answer.Body).toString()).toBe("model a:7");
    expect(await successor.end("SIGTERM")).toBe(0);
  });
});

test("a wrong setting is named, and the process ends with an error", async () => {
  const file = `${cloud().config.stateDir}-wrong.json`;
  await writeFile(file, JSON.stringify({ ...cloud().config, cores: 0, colour: "green" }));
  const main = new URL("../../local/sagemaker/main.ts", import.meta.url).pathname;
  const server = spawn(process.execPath, ["--import", "jiti/register", main, "--config", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  processes.push(server);
  let said = "";
  server.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(server, "exit")) as [number];
  expect(code).toBe(1);
  expect(said).toContain("cores");
  expect(said).toContain("colour");
});
