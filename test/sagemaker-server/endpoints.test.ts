/** Endpoints: created, updated with a way back, invoked, deleted. */
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  ListEndpointsCommand,
  UpdateEndpointCommand,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from "@aws-sdk/client-sagemaker";
import type {
  CreateEndpointConfigCommandInput,
  DescribeEndpointCommandOutput,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { InvokeEndpointCommand } from "@aws-sdk/client-sagemaker-runtime";
import type { InvokeEndpointCommandInput } from "@aws-sdk/client-sagemaker-runtime";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { textInference } from "../hosting/endpoint.js";
import { tarGz } from "../hosting/artifacts.js";
import { account, bucket, putObject, region, runtimeClient } from "./cloud.js";
import { sagemakerClient, useCloud, useServer } from "./cloud.js";
import { aModel, anEndpointConfig, unique, xgboostImage } from "./requests.js";

const cloud = useCloud(17412);
const url = useServer(cloud);
let client: SageMakerClient;
let multiModel: string;

beforeAll(async () => {
  client = sagemakerClient(url());
  const code = await tarGz({ "inference.py": textInference });
  const folder = unique("models");
  for (const customer of ["a", "b"]) {
    const model = await tarGz({ "model.txt": `model ${customer}` });
    await putObject(cloud(), `${folder}/${customer}/v1.tar.gz`, model);
  }
  const ModelName = unique("mme");
  multiModel = ModelName;
  const Environment = {
    SAGEMAKER_PROGRAM: "inference.py",
    SAGEMAKER_SUBMIT_DIRECTORY: await putObject(cloud(), `${folder}-code/sourcedir.tar.gz`, code),
  };
  const ModelDataUrl = `s3://${bucket}/${folder}/`;
  const PrimaryContainer = { Image: xgboostImage, Mode: "MultiModel" as const, ModelDataUrl };
  const container = { PrimaryContainer: { ...PrimaryContainer, Environment } };
  await client.send(new CreateModelCommand(aModel({ ModelName, ...container })));
});

const inject = (faults: object) =>
  fetch(`${url()}/_local/faults`, { method: "PUT", body: JSON.stringify(faults) });
beforeEach(async () => void (await inject({})));

async function aConfig(
  modelName = multiModel,
  changes: Partial<CreateEndpointConfigCommandInput> = {},
): Promise<string> {
  const request = anEndpointConfig(modelName, changes);
  await client.send(new CreateEndpointConfigCommand(request));
  return request.EndpointConfigName ?? "";
}

const describeEndpoint = (EndpointName: string) =>
  client.send(new DescribeEndpointCommand({ EndpointName }));

const until = (name: string, wanted: Partial<DescribeEndpointCommandOutput>) =>
  vi.waitFor(
    async () => {
      const endpoint = await describeEndpoint(name);
      expect(endpoint).toMatchObject(wanted);
      return endpoint;
    },
    { timeout: 30_000, interval: 50 },
  );

async function create(EndpointConfigName: string, EndpointName = unique("endpoint")) {
  await client.send(new CreateEndpointCommand({ EndpointName, EndpointConfigName }));
  return EndpointName;
}

async function inService(): Promise<{ name: string; config: string }> {
  const config = await aConfig();
  const name = await create(config);
  await until(name, { EndpointStatus: "InService" });
  return { name, config };
}

const update = (EndpointName: string, EndpointConfigName: string) =>
  client.send(new UpdateEndpointCommand({ EndpointName, EndpointConfigName }));

const remove = (EndpointName: string) => client.send(new DeleteEndpointCommand({ EndpointName }));

async function invoke(EndpointName: string, changes: Partial<InvokeEndpointCommandInput> = {}) {
  const command = new InvokeEndpointCommand({
    EndpointName,
    Body: Buffer.from("1,2"),
    ContentType: "text/csv",
    TargetModel: "a/v1.tar.gz",
    ...changes,
  });
  const answer = await runtimeClient(url()).send(command);
  return { ...answer, text: Buffer.from(answer.Body).toString() };
}

const arn = (kind: string, name: string) =>
  `arn:aws:sagemaker:${region}:${account}:${kind}/${name}`;
const busy = (name: string) => ({
  name: "ValidationException",
  message: `Cannot update in-progress endpoint "${arn("endpoint", name)}".`,
});

describe("a multi-model endpoint", () => {
  test("serves every model below its prefix, and says which variant answered", async () => {
    const { name, config } = await inService();
    expect(await describeEndpoint(name)).toMatchObject({
      EndpointConfigName: config,
      ProductionVariants: [
        { VariantName: "all", CurrentWeight: 1, CurrentInstanceCount: 1, DesiredInstanceCount: 1 },
      ],
    });
    const first = await invoke(name);
    expect(first).toMatchObject({ text: "model a:1,2", InvokedProductionVariant: "all" });
    expect((await invoke(name, { TargetModel: "b/v1.tar.gz" })).text).toBe("model b:1,2");
  });

  test("answers in the runtime's own words when it cannot", async () => {
    const { name } = await inService();
    await expect(invoke(unique("nobody"))).rejects.toMatchObject({
      name: "ValidationError",
      message: expect.stringMatching(
        /^Endpoint nobody-.* of account 111111111111 not found\.$/,
      ) as string,
    });
    await expect(invoke(name, { TargetModel: undefined })).rejects.toMatchObject({
      name: "ValidationError",
      message: expect.stringContaining("is missing a target model header") as string,
    });
    await expect(invoke(name, { TargetModel: "c/v1.tar.gz" })).rejects.toMatchObject({
      name: "ValidationError",
      message: expect.stringContaining("Failed to download model data") as string,
    });
    await expect(invoke(name, { TargetModel: " a" })).rejects.toMatchObject({
      name: "ValidationError",
    });
    await expect(invoke(name, { Body: Buffer.from("raise") })).rejects.toMatchObject({
      name: "ModelError",
      OriginalStatusCode: 500,
      OriginalMessage: expect.stringContaining("no such row") as string,
      $metadata: { httpStatusCode: 424 },
    });
  });
});

describe("UpdateEndpoint", () => {
  test("serves all the while, and ends on the new configuration", async () => {
    const { name, config } = await inService();
    const next = await aConfig();
    await inject({ endpointStartSeconds: 8 }); // Long enough for what is asked while it updates.
    await update(name, next);
    expect(await describeEndpoint(name)).toMatchObject({
      EndpointStatus: "Updating",
      EndpointConfigName: config,
      PendingDeploymentSummary: { EndpointConfigName: next },
    });
    expect((await invoke(name)).text).toBe("model a:1,2");
    await expect(update(name, await aConfig())).rejects.toMatchObject(busy(name));
    await expect(remove(name)).rejects.toMatchObject(busy(name));
    const updated = await until(name, { EndpointStatus: "InService", EndpointConfigName: next });
    expect(updated).not.toHaveProperty("PendingDeploymentSummary");
    expect((await invoke(name)).text).toBe("model a:1,2");
  });

  test("that cannot come up leaves the endpoint InService on its old configuration", async () => {
    const { name, config } = await inService();
    const broken = unique("broken");
    await client.send(
      new CreateModelCommand(
        aModel({ ModelName: broken, PrimaryContainer: { Image: "example/unknown:1" } }),
      ),
    );
    await update(name, await aConfig(broken));
    const back = await until(name, { EndpointStatus: "InService", EndpointConfigName: config });
    expect(back.FailureReason).toContain("example/unknown:1");
    expect((await invoke(name)).text).toBe("model a:1,2");
    const next = await aConfig();
    await update(name, next);
    const mended = await until(name, { EndpointStatus: "InService", EndpointConfigName: next });
    expect(mended).not.toHaveProperty("FailureReason");
  });

  test("fails or rolls back on demand", async () => {
    const { name, config } = await inService();
    await inject({ updateEndpoint: "rollback" });
    await update(name, await aConfig());
    const rolledBack = { EndpointStatus: "InService", EndpointConfigName: config } as const;
    expect((await until(name, rolledBack)).FailureReason).toMatch(/^Request to service failed/);
    await inject({ updateEndpoint: "fail" });
    await update(name, await aConfig());
    await until(name, { EndpointStatus: "Failed" });
    await expect(update(name, config)).rejects.toMatchObject({ name: "ValidationException" });
    await expect(invoke(name)).rejects.toMatchObject({ name: "ValidationError" });
    await remove(name);
    await vi.waitFor(
      () => expect(describeEndpoint(name)).rejects.toThrow("Could not find endpoint"),
      30_000,
    );
  });

  test("cannot leave a configuration that was deleted under it", async () => {
    const { name, config } = await inService();
    await client.send(new DeleteEndpointConfigCommand({ EndpointConfigName: config }));
    await expect(update(name, await aConfig())).rejects.toMatchObject({
      name: "ValidationException",
      message: `Could not find endpoint configuration "${arn("endpoint-config", config)}".`,
    });
    expect((await invoke(name)).text).toBe("model a:1,2");
  });

  test("counts the instances of both fleets against the quota", async () => {
    const { name } = await inService();
    const InitialInstanceCount = 2;
    const InstanceType = "ml.m5.4xlarge";
    const variant = { VariantName: "all", ModelName: multiModel, InstanceType } as const;
    const ProductionVariants = [{ ...variant, InitialInstanceCount }];
    await update(name, await aConfig(multiModel, { ProductionVariants }));
    await until(name, { EndpointStatus: "InService" });
    await inject({ resourceLimit: { [InstanceType]: 3 } });
    const next = await aConfig(multiModel, { ProductionVariants });
    await expect(update(name, next)).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringContaining("'ml.m5.4xlarge for endpoint usage' is 3") as string,
    });
  });
});

describe("weights and capacities", () => {
  test("change without a new configuration", async () => {
    const { name, config } = await inService();
    const DesiredWeightsAndCapacities = [{ VariantName: "all", DesiredInstanceCount: 3 }];
    const request = { EndpointName: name, DesiredWeightsAndCapacities };
    await client.send(new UpdateEndpointWeightsAndCapacitiesCommand(request));
    await until(name, {
      EndpointStatus: "InService",
      EndpointConfigName: config,
      ProductionVariants: [
        expect.objectContaining({ VariantName: "all", CurrentInstanceCount: 3 }) as never,
      ],
    });
  });
});

describe("creation and deletion", () => {
  test("neither update nor deletion is accepted while Creating", async () => {
    await inject({ endpointStartSeconds: 3 });
    const name = await create(await aConfig());
    await expect(remove(name)).rejects.toMatchObject(busy(name));
    await expect(update(name, await aConfig())).rejects.toMatchObject(busy(name));
    await until(name, { EndpointStatus: "InService" });
  });

  test("a model that does not load makes the endpoint Failed, and its name stays taken", async () => {
    const ModelName = unique("gone");
    const key = `${unique("single")}/model.tar.gz`;
    const ModelDataUrl = await putObject(cloud(), key, "this is no archive");
    const PrimaryContainer = { Image: xgboostImage, ModelDataUrl };
    await client.send(new CreateModelCommand(aModel({ ModelName, PrimaryContainer })));
    const config = await aConfig(ModelName);
    const name = await create(config);
    const { FailureReason } = await until(name, { EndpointStatus: "Failed" });
    expect(FailureReason).not.toBe("");
    await expect(create(config, name)).rejects.toMatchObject({
      name: "ValidationException",
      message: `Cannot create already existing endpoint "${arn("endpoint", name)}".`,
    });
  });

  test("a deleted endpoint is gone, and unknown ones were never there", async () => {
    const { name } = await inService();
    await remove(name);
    await vi.waitFor(
      () => expect(describeEndpoint(name)).rejects.toThrow("Could not find endpoint"),
      30_000,
    );
    await expect(remove(name)).rejects.toMatchObject({
      name: "ValidationException",
      message: `Could not find endpoint "${arn("endpoint", name)}".`,
    });
  });

  test("endpoints are listed by status, newest first", async () => {
    const infix = unique("listed");
    const config = await aConfig();
    for (const suffix of ["a", "b"]) await create(config, `${infix}-${suffix}`);
    await until(`${infix}-a`, { EndpointStatus: "InService" });
    await until(`${infix}-b`, { EndpointStatus: "InService" });
    const filter = { NameContains: infix, StatusEquals: "InService" } as const;
    const { Endpoints } = await client.send(new ListEndpointsCommand(filter));
    expect(Endpoints?.map(({ EndpointName }) => EndpointName)).toEqual([
      `${infix}-b`,
      `${infix}-a`,
    ]);
  });

  test("a configuration made a moment ago may not be seen yet", async () => {
    const config = await aConfig();
    await inject({ readLagSeconds: 600 });
    await expect(create(config)).rejects.toThrow("Could not find endpoint configuration");
    const described = new DescribeEndpointConfigCommand({ EndpointConfigName: config });
    expect((await client.send(described)).ProductionVariants).toHaveLength(1);
  });
});

describe("endpoint configurations are refused", () => {
  const variant = {
    VariantName: "all",
    InstanceType: "ml.m5.large",
    InitialInstanceCount: 1,
  } as const;
  test.each([
    ["an unknown model", () => [{ ...variant, ModelName: "nobody" }], /^Could not find model/],
    [
      "two variants of one name",
      () => [
        { ...variant, ModelName: multiModel },
        { ...variant, ModelName: multiModel },
      ],
      /must be unique/,
    ],
    [
      "a multi-model endpoint without instances",
      () => [
        {
          VariantName: "all",
          ModelName: multiModel,
          ServerlessConfig: { MemorySizeInMB: 2048, MaxConcurrency: 5 },
        },
      ],
      /cannot be served by a serverless endpoint: it is multi-model/,
    ],
    [
      "memory in odd sizes",
      () => [
        {
          VariantName: "all",
          ModelName: multiModel,
          ServerlessConfig: { MemorySizeInMB: 2000, MaxConcurrency: 5 },
        },
      ],
      /not a multiple of 1024/,
    ],
    ["no instance type", () => [{ VariantName: "all", ModelName: multiModel }], /InstanceType/],
  ])("for %s", async (_what, variants, message) => {
    const refused = aConfig(multiModel, { ProductionVariants: variants() });
    await expect(refused).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringMatching(message) as string,
    });
  });
});
