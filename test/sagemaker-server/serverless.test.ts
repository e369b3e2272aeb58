/** Serverless endpoints: what they are refused with, their quotas, their life. */
import {
  CreateEndpointConfigCommand,
  UpdateEndpointCommand,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from "@aws-sdk/client-sagemaker";
import type { ProductionVariant, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { beforeAll, describe, expect, test } from "vitest";
import { runtimeClient, sagemakerClient, useCloud, useServer } from "./cloud.js";
import {
  anEndpoint,
  ask,
  aMultiModelContainer,
  aTextContainer,
  createConfig,
  createEndpoint,
  createModel,
  onInstances,
  serverless,
  untilEndpoint,
} from "./hosting-models.js";
import { anEndpointConfig } from "./requests.js";

const cloud = useCloud(17040);
const url = useServer(cloud, {
  serverlessIdleSeconds: 0.2,
  quotas: { serverlessEndpoints: 4, serverlessConcurrency: 40 },
});
let client: SageMakerClient;
let single: string;
let multiModel: string;
let pipeline: string;

beforeAll(async () => {
  client = sagemakerClient(url());
  const container = await aTextContainer(cloud(), "one");
  single = await createModel(client, { PrimaryContainer: container });
  pipeline = await createModel(client, { Containers: [container, container] });
  const many = await aMultiModelContainer(cloud(), { "a.tar.gz": "A" });
  multiModel = await createModel(client, { PrimaryContainer: many });
});

const update = (EndpointName: string, EndpointConfigName: string) =>
  client.send(new UpdateEndpointCommand({ EndpointName, EndpointConfigName }));

const invoke = (name: string, body: string) => ask(runtimeClient(url()), name, body);

const log = async (name: string) => (await fetch(`${url()}/_local/endpoints/${name}/log`)).text();

describe("a serverless endpoint", () => {
  test("starts a container for a request, ends it when nobody asks, starts another", async () => {
    const name = await anEndpoint(client, [serverless(single)]);
    const described = await untilEndpoint(client, name, { EndpointStatus: "InService" });
    expect(described.ProductionVariants?.[0]).toMatchObject({
      CurrentServerlessConfig: { MemorySizeInMB: 2048, MaxConcurrency: 2 },
    });
    expect(described.ProductionVariants?.[0]).not.toHaveProperty("CurrentInstanceCount");
    expect(await invoke(name, "1")).toBe("one:1");
    await expect.poll(() => log(name)).toMatch(/container 2 ends after 0.2 s without a request/);
    expect(await invoke(name, "2")).toBe("one:2");
    expect((await log(name)).match(/\(cold start\)/g)).toHaveLength(2);
  });

  test("throttles what is over its concurrency, in AWS's words", async () => {
    const name = await anEndpoint(client, [serverless(single, 1)]);
    const outcomes = await Promise.allSettled(["1", "2", "3"].map((body) => invoke(name, body)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(outcomes.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { name: "ThrottlingException", $metadata: { httpStatusCode: 400 } },
    });
  });

  test("can go to instances, and not back", async () => {
    const name = await anEndpoint(client, [serverless(single)]);
    const config = await createConfig(client, [onInstances(single)]);
    await update(name, config);
    const inService = { EndpointStatus: "InService", EndpointConfigName: config } as const;
    await untilEndpoint(client, name, inService);
    expect(await invoke(name, "1")).toBe("one:1");
    await expect(update(name, await createConfig(client, [serverless(single)]))).rejects.toThrow(
      "runs on instances and cannot be updated to the serverless configuration",
    );
  });

  test("changes its concurrency with a new configuration only", async () => {
    const name = await anEndpoint(client, [serverless(single)]);
    const scale = new UpdateEndpointWeightsAndCapacitiesCommand({
      EndpointName: name,
      DesiredWeightsAndCapacities: [{ VariantName: "all", DesiredInstanceCount: 2 }],
    });
    await expect(client.send(scale)).rejects.toMatchObject({ name: "ValidationException" });
    const config = await createConfig(client, [serverless(single, 5)]);
    await update(name, config);
    await untilEndpoint(client, name, { EndpointStatus: "InService", EndpointConfigName: config });
  });

  test("counts against the account's quotas of endpoints and of concurrency", async () => {
    const wide = await createConfig(client, [serverless(single, 39)]);
    await expect(createEndpoint(client, wide)).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringMatching(
        /^The account-level service limit 'Maximum total concurrency .*' is 40 Concurrent Invocations, with current utilization of \d+ /,
      ) as string,
    });
    const narrow = await createConfig(client, [serverless(single, 1)]);
    const untilFull = async () => {
      for (;;) await createEndpoint(client, narrow);
    };
    await expect(untilFull()).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringContaining("'Maximum number of serverless endpoints' is 4") as string,
    });
  });
});

describe("a serverless configuration is refused", () => {
  const plain = { MemorySizeInMB: 2048, MaxConcurrency: 5 };
  const variant = (changes: Partial<ProductionVariant>): ProductionVariant[] => [
    { VariantName: "all", ModelName: single, ServerlessConfig: plain, ...changes },
  ];
  const sized = (changes: object) => variant({ ServerlessConfig: { ...plain, ...changes } });
  test.each([
    ["memory between steps", () => sized({ MemorySizeInMB: 1536 }), /1536 is not a multiple of/],
    ["less memory than 1 GB", () => sized({ MemorySizeInMB: 512 }), /memorySizeInMB.*1024/],
    ["more memory than 6 GB", () => sized({ MemorySizeInMB: 7168 }), /memorySizeInMB.*6144/],
    ["no concurrency", () => sized({ MaxConcurrency: 0 }), /maxConcurrency/],
    ["more concurrency than 200", () => sized({ MaxConcurrency: 201 }), /maxConcurrency.*200/],
    ["more provisioned than it may have", () => sized({ ProvisionedConcurrency: 6 }), /exceed/],
    ["a multi-model container", () => variant({ ModelName: multiModel }), /it is multi-model/],
    ["a pipeline", () => variant({ ModelName: pipeline }), /it is a pipeline/],
    ["instances", () => variant({ InstanceType: "ml.m5.large" }), /InstanceType does not go with/],
    ["a volume", () => variant({ VolumeSizeInGB: 5 }), /VolumeSizeInGB does not go with it/],
    [
      "two variants",
      () => [...variant({}), ...variant({ VariantName: "other" })],
      /has a single production variant/,
    ],
  ])("with %s", async (_what, variants, message) => {
    await expect(createConfig(client, variants())).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringMatching(message) as string,
    });
  });

  test("with data capture", async () => {
    const request = anEndpointConfig(single, {
      ProductionVariants: variant({}),
      DataCaptureConfig: {
        InitialSamplingPercentage: 100,
        DestinationS3Uri: "s3://bucket/capture",
        CaptureOptions: [{ CaptureMode: "Input" }],
      },
    });
    await expect(client.send(new CreateEndpointConfigCommand(request))).rejects.toMatchObject({
      message: "DataCaptureConfig is not supported for serverless endpoints.",
    });
  });
});
