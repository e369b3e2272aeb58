/** Faults on demand, and what the server tells about itself. */
import {
  CreateTrainingJobCommand,
  DescribeTrainingJobCommand,
  ListNotebookInstancesCommand,
  ListTrainingJobsCommand,
  StopTrainingJobCommand,
} from "@aws-sdk/client-sagemaker";
import type { CreateTrainingJobCommandInput, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Faults } from "../../local/sagemaker/config.schema.js";
import { sagemakerClient, stsClient, useCloud, useServer } from "./cloud.js";
import { aTrainingJob, unique, xgboostImage } from "./requests.js";

const cloud = useCloud(17472);
const url = useServer(cloud);
let client: SageMakerClient;

const inject = (faults: Partial<Faults>) =>
  fetch(`${url()}/_local/faults`, { method: "PUT", body: JSON.stringify(faults) });

beforeEach(async () => {
  client = sagemakerClient(url());
  await inject({});
});

async function create(changes: Partial<CreateTrainingJobCommandInput> = {}): Promise<string> {
  const request = aTrainingJob(changes);
  await client.send(new CreateTrainingJobCommand(request));
  return request.TrainingJobName ?? "";
}

const describeJob = (TrainingJobName: string) =>
  client.send(new DescribeTrainingJobCommand({ TrainingJobName }));

const until = (name: string, wanted: object) =>
  vi.waitFor(async () => expect(await describeJob(name)).toMatchObject(wanted), 30_000);

/** A job that waits in Starting for as long as the fault says. */
const waitingJob = {
  AlgorithmSpecification: { TrainingImage: xgboostImage, TrainingInputMode: "File" as const },
};

const json = async (path: string): Promise<unknown> => (await fetch(`${url()}${path}`)).json();

describe("throttling", () => {
  test("refuses about the share of calls that was asked for, the same ones for a seed", async () => {
    const refusedOf100 = async () => {
      await inject({ throttle: { rate: 0.3, seed: 7 } });
      const refused: number[] = [];
      for (let call = 0; call < 100; call++)
        await client.send(new ListTrainingJobsCommand()).catch((error: unknown) => {
          expect(error).toMatchObject({ name: "ThrottlingException", message: "Rate exceeded" });
          refused.push(call);
        });
      return refused;
    };
    const refused = await refusedOf100();
    expect(refused.length).toBeGreaterThan(15);
    expect(refused.length).toBeLessThan(45);
    expect(await refusedOf100()).toEqual(refused);
  });

  test("spares the operations that are not named, and STS always", async () => {
    await inject({ throttle: { rate: 1, operations: ["CreateTrainingJob"], seed: 1 } });
    await client.send(new ListTrainingJobsCommand());
    await expect(create()).rejects.toMatchObject({ name: "ThrottlingException" });
    await inject({ throttle: { rate: 1, seed: 1 } });
    await stsClient(url()).send(new GetCallerIdentityCommand());
    await expect(client.send(new ListTrainingJobsCommand())).rejects.toMatchObject({
      name: "ThrottlingException",
    });
  });
});

describe("quotas", () => {
  test("refuse the instance that is one too many, also when all ask at once", async () => {
    await inject({ resourceLimit: { "ml.m5.large": 3 }, slowStartSeconds: 60 });
    const asked = await Promise.allSettled(Array.from({ length: 8 }, () => create(waitingJob)));
    const started = asked.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(started).toHaveLength(3);
    await expect(create(waitingJob)).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringContaining(
        "The account-level service limit 'ml.m5.large for training job usage' is 3 Instances, " +
          "with current utilization of 3 Instances and a request delta of 1 Instances.",
      ) as string,
    });
    for (const TrainingJobName of started)
      await client.send(new StopTrainingJobCommand({ TrainingJobName }));
    await until(started[0] ?? "", { TrainingJobStatus: "Stopped", SecondaryStatus: "Stopped" });
    await until(started[2] ?? "", { TrainingJobStatus: "Stopped" });
  });

  test("count every type of instance by itself", async () => {
    await inject({ resourceLimit: { "ml.m5.large": 0 } });
    await expect(create()).rejects.toMatchObject({ name: "ResourceLimitExceeded" });
    await create({ ResourceConfig: { InstanceType: "ml.m5.xlarge", InstanceCount: 1 } });
  });
});

describe("failing jobs", () => {
  test("fail for the given reason as often as was asked for", async () => {
    const infix = unique("victim");
    const reason = "CapacityError: Unable to provision requested ML compute capacity.";
    await inject({ failJob: { match: infix, reason, times: 1 } });
    const [first, second] = [
      await create({ TrainingJobName: `${infix}-1` }),
      await create({ TrainingJobName: `${infix}-2` }),
    ];
    await until(first, { TrainingJobStatus: "Failed", FailureReason: reason });
    await until(second, { TrainingJobStatus: "Completed" });
  });

  test("are tried again by SageMaker when the fault was its own and the request says so", async () => {
    const name = unique("retried");
    await inject({ failJob: { match: name, reason: "InternalServerError: lost", times: 1 } });
    await create({
      TrainingJobName: name,
      RetryStrategy: { MaximumRetryAttempts: 1 },
      AlgorithmSpecification: { TrainingImage: "example/no:1", TrainingInputMode: "File" },
    });
    // The second attempt gets past the fault and meets the image, which is the client's error.
    await until(name, { TrainingJobStatus: "Failed" });
    const job = await describeJob(name);
    expect(job.FailureReason).toMatch(/^ClientError/);
    const steps = job.SecondaryStatusTransitions?.map(({ Status }) => Status);
    expect(steps).toEqual(["Pending", "Starting", "Restarting", "Starting", "Failed"]);
  });
});

test("with a read lag, a job that was just created is described but not yet listed", async () => {
  const name = await create();
  const list = new ListTrainingJobsCommand({ NameContains: name });
  expect((await client.send(list)).TrainingJobSummaries).toHaveLength(1);
  await inject({ readLagSeconds: 600 });
  expect((await client.send(list)).TrainingJobSummaries).toEqual([]);
  expect((await describeJob(name)).TrainingJobName).toBe(name);
});

describe("the admin routes", () => {
  test("count accepted requests by operation and by resource", async () => {
    const name = await create();
    await expect(create({ TrainingJobName: name })).rejects.toMatchObject({
      name: "ResourceInUse",
    });
    await describeJob(name);
    await describeJob(name);
    const byName = await json("/_local/calls?operation=CreateTrainingJob");
    expect(byName).toMatchObject({ [name]: 1 });
    const described = await json("/_local/calls?operation=DescribeTrainingJob");
    expect(described).toMatchObject({ [name]: 2 });
    const total = await json("/_local/calls");
    const created = Object.keys(byName as object).length;
    expect(total).toMatchObject({ CreateTrainingJob: created });
  });

  test("refuse faults that do not exist, and keep those that were", async () => {
    await inject({ slowStartSeconds: 1 });
    const answer = await fetch(`${url()}/_local/faults`, { method: "PUT", body: '{"thottle":1}' });
    expect(answer.status).toBe(400);
    expect(await json("/_local/faults")).toEqual({ slowStartSeconds: 1 });
  });

  test("answer health, and nobody who calls this machine by another name", async () => {
    expect(await json("/_local/health")).toEqual({ status: "ok" });
    const { request } = await import("node:http");
    const status = await new Promise((resolve, reject) => {
      const headers = { host: "evil.example" };
      request(`${url()}/_local/health`, { headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on("error", reject)
        .end();
    });
    expect(status).toBe(403);
  });
});

test("an operation that the server does not have says so, with those that it has", async () => {
  await expect(client.send(new ListNotebookInstancesCommand())).rejects.toMatchObject({
    name: "UnknownOperationException",
    message: expect.stringMatching(
      /^The local SageMaker server does not offer ListNotebookInstances; it offers AddTags, /,
    ) as string,
  });
});
