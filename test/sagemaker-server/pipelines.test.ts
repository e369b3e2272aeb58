/** Inference pipelines and dedicated endpoints, from CreateModel to the answer. */
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { beforeAll, describe, expect, test } from "vitest";
import { runtimeClient, sagemakerClient, useCloud, useServer } from "./cloud.js";
import {
  anEndpoint,
  ask,
  aMultiModelContainer,
  aTextContainer,
  createModel,
  onInstances,
} from "./hosting-models.js";

const cloud = useCloud(19178);
const url = useServer(cloud);
let client: SageMakerClient;

beforeAll(() => void (client = sagemakerClient(url())));

const invoke: (name: string, body: string, more?: object) => Promise<string> = (...request) =>
  ask(runtimeClient(url()), ...request);

/** Doubles each number of a row, and answers in JSON as a preprocessor of AWS's examples does. */
const doublingInference = `
import json
def model_fn(model_dir): return None
def input_fn(data, content_type): return [2 * float(x) for x in data.split(",")]
def predict_fn(row, model): return row
def output_fn(row, accept):
    assert accept == "application/json", accept
    return json.dumps({"instances": [{"features": row}]}), accept
`;

describe("an inference pipeline with a multi-model container", () => {
  test("serves raw rows by the customer's own model", async () => {
    const Containers = [
      await aTextContainer(cloud(), "unused", doublingInference),
      await aMultiModelContainer(cloud(), { "a/v1.tar.gz": "A", "b/v1.tar.gz": "B" }),
    ];
    const model = await createModel(client, { Containers });
    const name = await anEndpoint(client, [onInstances(model)]);
    const features = '{"instances": [{"features": [2.0, 5.0]}]}';
    expect(await invoke(name, "1,2.5", { TargetModel: "a/v1.tar.gz" })).toBe(`A:${features}`);
    expect(await invoke(name, "1,2.5", { TargetModel: "b/v1.tar.gz" })).toBe(`B:${features}`);
    await expect(invoke(name, "1")).rejects.toMatchObject({
      name: "ValidationError",
      message: expect.stringMatching(/^Request .* is missing a target model header\.$/) as string,
    });
    await expect(invoke(name, "none", { TargetModel: "a/v1.tar.gz" })).rejects.toMatchObject({
      name: "ModelError",
      message: expect.stringContaining("Received server error (500) from container-1") as string,
    });
    await expect(invoke(name, "1", { TargetModel: "c/v1.tar.gz" })).rejects.toMatchObject({
      name: "ValidationError",
      message: expect.stringContaining("Failed to download model data") as string,
    });
  });

  test("answers from the container that a request names when they are invoked directly", async () => {
    const Containers = [
      { ...(await aTextContainer(cloud(), "one")), ContainerHostname: "first" },
      { ...(await aTextContainer(cloud(), "two")), ContainerHostname: "second" },
    ];
    const InferenceExecutionConfig = { Mode: "Direct" } as const;
    const model = await createModel(client, { Containers, InferenceExecutionConfig });
    const name = await anEndpoint(client, [onInstances(model)]);
    expect(await invoke(name, "1", { TargetContainerHostname: "second" })).toBe("two:1");
    await expect(invoke(name, "1")).rejects.toMatchObject({ name: "ValidationError" });
  });
});

describe("CreateModel refuses a pipeline", () => {
  test.each([
    [
      "with two multi-model containers",
      async () => {
        const many = await aMultiModelContainer(cloud(), { "a.tar.gz": "A" });
        return { Containers: [many, many] };
      },
      /Only one container/,
    ],
    [
      "of more than fifteen containers",
      async () => ({ Containers: Array(16).fill(await aTextContainer(cloud(), "one")) as [] }),
      /less than or equal to 15/,
    ],
    [
      "with one hostname twice",
      async () => {
        const named = { ...(await aTextContainer(cloud(), "one")), ContainerHostname: "one" };
        return { Containers: [named, named] };
      },
      /must be unique/,
    ],
    [
      "that is invoked directly and has no hostnames",
      async () => ({
        Containers: [await aTextContainer(cloud(), "one"), await aTextContainer(cloud(), "two")],
        InferenceExecutionConfig: { Mode: "Direct" as const },
      }),
      /need a ContainerHostname/,
    ],
  ])("%s", async (_what, changes, message) => {
    await expect(createModel(client, await changes())).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringMatching(message) as string,
    });
  });
});

describe("a dedicated endpoint", () => {
  test("serves its model, and takes no TargetModel", async () => {
    const PrimaryContainer = await aTextContainer(cloud(), "one");
    const name = await anEndpoint(client, [
      onInstances(await createModel(client, { PrimaryContainer })),
    ]);
    expect(await invoke(name, "1")).toBe("one:1");
    await expect(invoke(name, "1", { TargetModel: "a.tar.gz" })).rejects.toMatchObject({
      name: "ValidationError",
      message: `Endpoint ${name} is not a multi-model endpoint and does not support target model header.`,
    });
  });
});
