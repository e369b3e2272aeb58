/** Models, the model registry and tags. */
import {
  AddTagsCommand,
  BatchDescribeModelPackageCommand,
  CreateModelCommand,
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  DeleteModelCommand,
  DeleteModelPackageCommand,
  DeleteModelPackageGroupCommand,
  DeleteModelPackageGroupPolicyCommand,
  DeleteTagsCommand,
  DescribeModelCommand,
  DescribeModelPackageCommand,
  GetModelPackageGroupPolicyCommand,
  ListModelPackageGroupsCommand,
  ListModelPackagesCommand,
  ListModelsCommand,
  ListTagsCommand,
  PutModelPackageGroupPolicyCommand,
  UpdateModelPackageCommand,
} from "@aws-sdk/client-sagemaker";
import type { CreateModelPackageCommandInput, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { beforeAll, describe, expect, test } from "vitest";
import {
  account,
  bucket,
  putObject,
  region,
  sagemakerClient,
  useCloud,
  useServer,
} from "./cloud.js";
import { aModel, aModelPackage, unique, xgboostImage } from "./requests.js";

const cloud = useCloud(17460);
const url = useServer(cloud);
let client: SageMakerClient;
beforeAll(() => {
  client = sagemakerClient(url());
});

const arn = (kind: string, name: string) =>
  `arn:aws:sagemaker:${region}:${account}:${kind}/${name}`;
const validation = (message: string | RegExp) => ({
  name: "ValidationException",
  message: (typeof message === "string" ? message : expect.stringMatching(message)) as string,
});

async function aGroup(): Promise<string> {
  const ModelPackageGroupName = unique("group");
  await client.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName }));
  return ModelPackageGroupName;
}

async function register(
  group: string,
  changes: Partial<CreateModelPackageCommandInput> = {},
): Promise<string> {
  const created = await client.send(new CreateModelPackageCommand(aModelPackage(group, changes)));
  return created.ModelPackageArn ?? "";
}

const describePackage = (ModelPackageName: string) =>
  client.send(new DescribeModelPackageCommand({ ModelPackageName }));

describe("models", () => {
  test("are created, described, listed newest first, and deleted", async () => {
    const infix = unique("m");
    for (const suffix of ["a", "b"])
      await client.send(new CreateModelCommand(aModel({ ModelName: `${infix}-${suffix}` })));
    const { Models } = await client.send(new ListModelsCommand({ NameContains: infix }));
    expect(Models?.map(({ ModelName }) => ModelName)).toEqual([`${infix}-b`, `${infix}-a`]);
    const ModelName = `${infix}-a`;
    expect(await client.send(new DescribeModelCommand({ ModelName }))).toMatchObject({
      ModelArn: arn("model", ModelName),
      PrimaryContainer: { Image: xgboostImage },
    });
    await client.send(new DeleteModelCommand({ ModelName }));
    const refusal = validation(`Could not find model "${arn("model", ModelName)}".`);
    await expect(client.send(new DescribeModelCommand({ ModelName }))).rejects.toMatchObject(
      refusal,
    );
    await expect(client.send(new DeleteModelCommand({ ModelName }))).rejects.toMatchObject(refusal);
  });

  test("keep their names", async () => {
    const request = aModel();
    await client.send(new CreateModelCommand(request));
    await expect(client.send(new CreateModelCommand(request))).rejects.toMatchObject(
      validation(
        `Cannot create already existing model "${arn("model", request.ModelName ?? "")}".`,
      ),
    );
  });

  test("need their data: an object, or something below a multi-model prefix", async () => {
    const folder = unique("models");
    const prefix = `s3://${bucket}/${folder}/`;
    const create = (Mode: "SingleModel" | "MultiModel", ModelDataUrl: string) =>
      client.send(
        new CreateModelCommand(
          aModel({ PrimaryContainer: { Image: xgboostImage, Mode, ModelDataUrl } }),
        ),
      );
    await expect(create("MultiModel", prefix)).rejects.toMatchObject(
      validation(`Could not find model data at ${prefix}.`),
    );
    await putObject(cloud(), `${folder}/a.tar.gz`, "x");
    await create("MultiModel", prefix);
    await create("SingleModel", `${prefix}a.tar.gz`);
    await expect(create("SingleModel", `${prefix}b.tar.gz`)).rejects.toMatchObject(
      validation(/^Could not find model data at/),
    );
  });

  test.each([
    [{ PrimaryContainer: undefined }, /Exactly one of PrimaryContainer and Containers/],
    [{ ExecutionRoleArn: undefined }, /ExecutionRoleArn/],
    [{ PrimaryContainer: { Image: "a", ModelPackageName: "p/1" } }, /Exactly one of Image/],
    [{ PrimaryContainer: { Image: "a", Mode: "MultiModel" as const } }, /needs a ModelDataUrl/],
  ])("are refused: %j", async (changes, message) => {
    const create = client.send(new CreateModelCommand(aModel(changes)));
    await expect(create).rejects.toMatchObject(validation(message));
  });
});

describe("model packages", () => {
  test("are numbered per group, and no number is given twice", async () => {
    const group = await aGroup();
    expect(await register(group)).toBe(arn("model-package", `${group}/1`));
    const second = await register(group);
    await client.send(new DeleteModelPackageCommand({ ModelPackageName: second }));
    expect(await register(group)).toBe(arn("model-package", `${group}/3`));
    await expect(describePackage(second)).rejects.toMatchObject(validation(/does not exist\.$/));
  });

  test("registered at the same time get a number each", async () => {
    const group = await aGroup();
    const arns = await Promise.all(Array.from({ length: 8 }, () => register(group)));
    const numbers = arns.map((each) => Number(each.split("/").at(-1))).sort((a, b) => a - b);
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("are created once for a ClientToken, however often it is sent", async () => {
    const group = await aGroup();
    const ClientToken = unique("token");
    const [first, again] = [
      await register(group, { ClientToken }),
      await register(group, { ClientToken }),
    ];
    expect(again).toBe(first);
    const other = register(group, { ClientToken, ModelPackageDescription: "another" });
    await expect(other).rejects.toMatchObject({ name: "ConflictException" });
    expect(await register(group)).toBe(arn("model-package", `${group}/2`));
  });

  test("wait for approval, which may change its mind", async () => {
    const group = await aGroup();
    const ModelPackageArn = await register(group);
    const decide = (ModelApprovalStatus: "Approved" | "Rejected") =>
      client.send(
        new UpdateModelPackageCommand({
          ...{ ModelPackageArn, ModelApprovalStatus, ApprovalDescription: "looked at it" },
        }),
      );
    expect(await describePackage(ModelPackageArn)).toMatchObject({
      ModelApprovalStatus: "PendingManualApproval",
      ModelPackageStatus: "Completed",
      ModelPackageStatusDetails: { ValidationStatuses: [] },
    });
    await decide("Approved");
    await decide("Rejected");
    expect(await describePackage(`${group}/1`)).toMatchObject({
      ModelApprovalStatus: "Rejected",
      ApprovalDescription: "looked at it",
    });
  });

  test("keep metadata that is merged and taken away", async () => {
    const group = await aGroup();
    const CustomerMetadataProperties = { rmse: "9.5", rows: "100" };
    const ModelPackageArn = await register(group, { CustomerMetadataProperties });
    await client.send(
      new UpdateModelPackageCommand({
        ModelPackageArn,
        CustomerMetadataProperties: { rmse: "9.1", by: "policy" },
        CustomerMetadataPropertiesToRemove: ["rows"],
      }),
    );
    const described = await describePackage(ModelPackageArn);
    expect(described.CustomerMetadataProperties).toEqual({ rmse: "9.1", by: "policy" });
  });

  test("are listed by group; without a group only unversioned ones are", async () => {
    const group = await aGroup();
    const [, second] = [await register(group), await register(group)];
    await client.send(
      new UpdateModelPackageCommand({ ModelPackageArn: second, ModelApprovalStatus: "Approved" }),
    );
    await register(group);
    const latestApproved = await client.send(
      new ListModelPackagesCommand({
        ...{ ModelPackageGroupName: group, ModelApprovalStatus: "Approved", MaxResults: 1 },
        ...{ SortBy: "CreationTime", SortOrder: "Descending" },
      }),
    );
    expect(latestApproved.ModelPackageSummaryList).toMatchObject([
      { ModelPackageArn: second, ModelPackageVersion: 2 },
    ]);
    const oldestFirst = await client.send(
      new ListModelPackagesCommand({ ModelPackageGroupName: arn("model-package-group", group) }),
    );
    const versions = oldestFirst.ModelPackageSummaryList?.map((each) => each.ModelPackageVersion);
    expect(versions).toEqual([1, 2, 3]);
    const ungrouped = await client.send(new ListModelPackagesCommand({ NameContains: group }));
    expect(ungrouped.ModelPackageSummaryList).toEqual([]);
  });

  test("are described in batches, with an error for each that is not there", async () => {
    const group = await aGroup();
    const there = await register(group);
    const missing = arn("model-package", `${group}/9`);
    const batch = await client.send(
      new BatchDescribeModelPackageCommand({ ModelPackageArnList: [there, missing] }),
    );
    expect(batch.ModelPackageSummaries).toMatchObject({ [there]: { ModelPackageVersion: 1 } });
    expect(Object.keys(batch.BatchDescribeModelPackageErrorMap ?? {})).toEqual([missing]);
  });

  test.each([
    [{ ModelPackageName: "x" }, /^Both ModelPackageName and ModelPackageGroupName are provided/],
    [{ ModelPackageGroupName: undefined }, /^Missing ARN$/],
    [{ Tags: [{ Key: "k", Value: "v" }] }, /^Tags are not supported in Model Package versions/],
    [{ ModelPackageGroupName: "no-such-group" }, /does not exist\.$/],
  ])("are refused: %j", async (changes, message) => {
    await expect(register(await aGroup(), changes)).rejects.toMatchObject(validation(message));
  });
});

describe("model package groups", () => {
  test("exist once, and are deleted only when empty", async () => {
    const ModelPackageGroupName = await aGroup();
    const group = { ModelPackageGroupName };
    await expect(client.send(new CreateModelPackageGroupCommand(group))).rejects.toMatchObject(
      validation(/^Model Package Group already exists/),
    );
    const ModelPackageName = await register(ModelPackageGroupName);
    const remove = () => client.send(new DeleteModelPackageGroupCommand(group));
    await expect(remove()).rejects.toMatchObject({
      message: expect.stringContaining(
        "cannot be deleted because it still contains Model Packages",
      ) as string,
    });
    await client.send(new DeleteModelPackageCommand({ ModelPackageName }));
    await remove();
    const { ModelPackageGroupSummaryList } = await client.send(
      new ListModelPackageGroupsCommand({ NameContains: ModelPackageGroupName }),
    );
    expect(ModelPackageGroupSummaryList).toEqual([]);
  });

  test("give back the policy that was put, and say when there is none", async () => {
    const group = { ModelPackageGroupName: await aGroup() };
    const get = () => client.send(new GetModelPackageGroupPolicyCommand(group));
    await expect(get()).rejects.toMatchObject(validation(/^Cannot find resource policy/));
    const Statement = [{ Effect: "Allow", Principal: "*", Action: "sagemaker:*", Resource: "*" }];
    const ResourcePolicy = JSON.stringify({ Statement });
    await client.send(new PutModelPackageGroupPolicyCommand({ ...group, ResourcePolicy }));
    expect((await get()).ResourcePolicy).toBe(ResourcePolicy);
    await client.send(new DeleteModelPackageGroupPolicyCommand(group));
    await expect(get()).rejects.toMatchObject(validation(/^Cannot find resource policy/));
  });
});

describe("tags", () => {
  test("overwrite equal keys and go away", async () => {
    const request = aModel({ Tags: [{ Key: "fleet", Value: "a" }] });
    const { ModelArn: ResourceArn } = await client.send(new CreateModelCommand(request));
    const Tags = [
      { Key: "fleet", Value: "b" },
      { Key: "cycle", Value: "" },
    ];
    const added = await client.send(new AddTagsCommand({ ResourceArn, Tags }));
    expect(added.Tags).toEqual(Tags);
    await client.send(new DeleteTagsCommand({ ResourceArn, TagKeys: ["fleet"] }));
    const listed = await client.send(new ListTagsCommand({ ResourceArn }));
    expect(listed.Tags).toEqual([{ Key: "cycle", Value: "" }]);
  });

  test("are fifty at most", async () => {
    const { ModelArn: ResourceArn } = await client.send(new CreateModelCommand(aModel()));
    const tags = (count: number, from: number) =>
      Array.from({ length: count }, (_, index) => ({ Key: `k${from + index}`, Value: "" }));
    await client.send(new AddTagsCommand({ ResourceArn, Tags: tags(50, 0) }));
    const oneMore = client.send(new AddTagsCommand({ ResourceArn, Tags: tags(1, 50) }));
    await expect(oneMore).rejects.toMatchObject(validation(/at most 50 tags/));
  });
});
