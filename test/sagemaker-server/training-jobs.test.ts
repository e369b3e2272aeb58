/** The training job operations: what the API says about jobs, and what it refuses. */
import {
  CreateTrainingJobCommand,
  DeleteTrainingJobCommand,
  DescribeTrainingJobCommand,
  ListTrainingJobsCommand,
  paginateListTrainingJobs,
  StopTrainingJobCommand,
  waitUntilTrainingJobCompletedOrStopped,
} from "@aws-sdk/client-sagemaker";
import type { CreateTrainingJobCommandInput, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { beforeAll, describe, expect, test } from "vitest";
import { account, bucket, otherKeys, putObject, readObject, region } from "./cloud.js";
import { roleArn, sagemakerClient, useCloud, useServer } from "./cloud.js";
import { aTrainingJob, unique } from "./requests.js";

const cloud = useCloud(17400);
const url = useServer(cloud);
let client: SageMakerClient;
beforeAll(() => {
  client = sagemakerClient(url());
});

const arnOf = (name: string) => `arn:aws:sagemaker:${region}:${account}:training-job/${name}`;

async function create(changes: Partial<CreateTrainingJobCommandInput> = {}): Promise<string> {
  const request = aTrainingJob(changes);
  await client.send(new CreateTrainingJobCommand(request));
  return request.TrainingJobName ?? "";
}

async function completed(changes: Partial<CreateTrainingJobCommandInput> = {}): Promise<string> {
  const TrainingJobName = await create(changes);
  const waiter = { client, minDelay: 0.05, maxDelay: 0.2, maxWaitTime: 30 };
  await waitUntilTrainingJobCompletedOrStopped(waiter, { TrainingJobName });
  return TrainingJobName;
}

const describeJob = (TrainingJobName: string) =>
  client.send(new DescribeTrainingJobCommand({ TrainingJobName }));

describe("a job with the no-op image", () => {
  test("completes with the metrics that its hyperparameters name", async () => {
    const HyperParameters = { "metric:test:rmse": "12.5", eta: "0.1" };
    const name = await completed({ HyperParameters, Tags: [{ Key: "fleet", Value: "flights" }] });
    const job = await describeJob(name);
    expect(job).toMatchObject({
      TrainingJobArn: arnOf(name),
      TrainingJobStatus: "Completed",
      SecondaryStatus: "Completed",
      HyperParameters,
      ModelArtifacts: {
        S3ModelArtifacts: `s3://${bucket}/output/${name}/output/model.tar.gz`,
      },
      FinalMetricDataList: [{ MetricName: "test:rmse", Value: 12.5 }],
    });
    expect(job.CreationTime).toBeInstanceOf(Date);
    expect(job).not.toHaveProperty("Tags");
  });

  test("uploads a model only when it is asked to", async () => {
    const name = await completed({ HyperParameters: { artifact: "true" } });
    expect(await readObject(cloud(), `output/${name}/output/model.tar.gz`)).not.toHaveLength(0);
    const without = await completed();
    await expect(
      readObject(cloud(), `output/${without}/output/model.tar.gz`),
    ).rejects.toMatchObject({ name: "NoSuchKey" });
  });
});

describe("names", () => {
  test("are used up by their first job, and free again once it is deleted", async () => {
    const name = await completed();
    await expect(create({ TrainingJobName: name })).rejects.toMatchObject({
      name: "ResourceInUse",
      message:
        "Training job names must be unique within an AWS account and region, " +
        `and a training job with this name already exists (${arnOf(name)})`,
    });
    await client.send(new DeleteTrainingJobCommand({ TrainingJobName: name }));
    await expect(describeJob(name)).rejects.toMatchObject({ name: "ValidationException" });
    expect(await create({ TrainingJobName: name })).toBe(name);
  });

  test("belong to an account: another one has its own", async () => {
    const name = await completed();
    const other = sagemakerClient(url(), otherKeys);
    const describeThere = other.send(new DescribeTrainingJobCommand({ TrainingJobName: name }));
    await expect(describeThere).rejects.toMatchObject({ message: "Requested resource not found." });
  });
});

describe("unknown and finished jobs", () => {
  test("an unknown job is a ValidationException, not the ResourceNotFound of the model", async () => {
    const TrainingJobName = unique("nobody");
    const refusal = { name: "ValidationException", message: "Requested resource not found." };
    await expect(describeJob(TrainingJobName)).rejects.toMatchObject(refusal);
    const stop = client.send(new StopTrainingJobCommand({ TrainingJobName }));
    await expect(stop).rejects.toMatchObject(refusal);
  });

  test("a finished job cannot be stopped", async () => {
    const TrainingJobName = await completed();
    const stop = client.send(new StopTrainingJobCommand({ TrainingJobName }));
    await expect(stop).rejects.toMatchObject({
      name: "ValidationException",
      message: "The request was rejected because the training job is in status Completed.",
    });
  });
});

describe("what is refused at creation", () => {
  const channel = (S3Uri: string) => ({
    ChannelName: "train",
    DataSource: { S3DataSource: { S3DataType: "S3Prefix" as const, S3Uri } },
  });

  test("a prefix without objects", async () => {
    const S3Uri = `s3://${bucket}/${unique("nothing")}/`;
    await expect(create({ InputDataConfig: [channel(S3Uri)] })).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining(
        `No S3 objects found under S3 URL "${S3Uri}" given in input data source.`,
      ) as string,
    });
  });

  test("a bucket that is not there", async () => {
    const refused = create({ InputDataConfig: [channel("s3://no-such-bucket-anywhere/data")] });
    await expect(refused).rejects.toMatchObject({ name: "ValidationException" });
  });

  test.each([
    [
      { RoleArn: `arn:aws:iam::${account}:role/nobody` },
      "ValidationException",
      /^Could not assume/,
    ],
    [{ RoleArn: "arn:aws:iam::999999999999:role/x" }, "AccessDeniedException", /iam:PassRole/],
    [{ ResourceConfig: undefined }, "ValidationException", /needs ResourceConfig/],
    [{ StoppingCondition: undefined }, "ValidationException", /needs StoppingCondition/],
    [{ EnableManagedSpotTraining: true }, "ValidationException", /MaxWaitTimeInSeconds/],
    [{ StoppingCondition: { MaxRuntimeInSeconds: 3_000_000 } }, "ValidationException", /28 days/],
    [{ Tags: [1, 2].map(() => ({ Key: "k", Value: "" })) }, "ValidationException", /Duplicate tag/],
    [{ Tags: [{ Key: "aws:x", Value: "" }] }, "ValidationException", /reserved/],
  ])("%j", async (changes, name, message) => {
    const refused = create(changes);
    await expect(refused).rejects.toMatchObject({
      name,
      message: expect.stringMatching(message) as string,
    });
  });

  test("nothing is left of a refused job: its name is free", async () => {
    const TrainingJobName = unique("retry");
    const S3Uri = `s3://${bucket}/${unique("late")}/`;
    const request = { TrainingJobName, InputDataConfig: [channel(S3Uri)] };
    await expect(create(request)).rejects.toThrow("No S3 objects found");
    await putObject(cloud(), `${S3Uri.slice(`s3://${bucket}/`.length)}data.csv`, "1,2\n");
    expect(await create(request)).toBe(TrainingJobName);
  });
});

describe("ListTrainingJobs", () => {
  test("pages through all jobs of a name once, oldest first by default", async () => {
    const infix = unique("page");
    const names: string[] = [];
    for (let index = 0; index < 7; index++)
      names.push(await completed({ TrainingJobName: `${infix}-${index}` }));
    const listed: (string | undefined)[] = [];
    const pages = paginateListTrainingJobs({ client, pageSize: 3 }, { NameContains: infix });
    for await (const { TrainingJobSummaries = [] } of pages) {
      expect(TrainingJobSummaries.length).toBeLessThanOrEqual(3);
      listed.push(...TrainingJobSummaries.map(({ TrainingJobName }) => TrainingJobName));
    }
    expect(listed).toEqual(names);
    const newest = await client.send(
      new ListTrainingJobsCommand({ NameContains: infix, SortOrder: "Descending", MaxResults: 1 }),
    );
    expect(newest.TrainingJobSummaries?.[0]?.TrainingJobName).toBe(names.at(-1));
  });

  test("StatusEquals filters after the page is taken, so a page may be empty", async () => {
    const infix = unique("status");
    for (let index = 0; index < 3; index++)
      await completed({ TrainingJobName: `${infix}-${index}` });
    const page = await client.send(
      new ListTrainingJobsCommand({ NameContains: infix, StatusEquals: "Failed", MaxResults: 2 }),
    );
    expect(page.TrainingJobSummaries).toEqual([]);
    expect(page.NextToken).toBeTypeOf("string");
  });

  test("a token is good for the search that it came from, and for no other", async () => {
    const infix = unique("token");
    for (let index = 0; index < 2; index++)
      await completed({ TrainingJobName: `${infix}-${index}` });
    const list = (NextToken: string, NameContains: string) =>
      client.send(new ListTrainingJobsCommand({ NextToken, NameContains, MaxResults: 1 }));
    const first = new ListTrainingJobsCommand({ NameContains: infix, MaxResults: 1 });
    const { NextToken = "" } = await client.send(first);
    await expect(list(NextToken, "other")).rejects.toMatchObject({ name: "ValidationException" });
    await expect(list("rubbish", infix)).rejects.toMatchObject({ name: "ValidationException" });
    expect((await list(NextToken, infix)).TrainingJobSummaries).toHaveLength(1);
  });

  test("finds jobs by the time of their last change", async () => {
    const infix = unique("time");
    const TrainingJobName = await completed({ TrainingJobName: infix });
    const { LastModifiedTime } = await describeJob(TrainingJobName);
    const count = async (LastModifiedTimeAfter: Date) => {
      const filter = { NameContains: infix, LastModifiedTimeAfter };
      return (await client.send(new ListTrainingJobsCommand(filter))).TrainingJobSummaries?.length;
    };
    const changed = LastModifiedTime?.getTime() ?? 0;
    expect(await count(new Date(changed))).toBe(1);
    expect(await count(new Date(changed + 1000))).toBe(0);
  });
});

test("a job names its role, whose ARN everybody may read back", async () => {
  expect((await describeJob(await completed())).RoleArn).toBe(roleArn);
});
