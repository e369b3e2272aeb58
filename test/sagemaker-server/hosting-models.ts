/** Models that answer with their own text, made on the server as a client would; and endpoints of them. */
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DescribeEndpointCommand,
} from "@aws-sdk/client-sagemaker";
import type {
  ContainerDefinition,
  CreateModelCommandInput,
  DescribeEndpointCommandOutput,
  ProductionVariant,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { InvokeEndpointCommand } from "@aws-sdk/client-sagemaker-runtime";
import type {
  InvokeEndpointCommandInput,
  SageMakerRuntimeClient,
} from "@aws-sdk/client-sagemaker-runtime";
import { expect, vi } from "vitest";
import { tarGz } from "../hosting/artifacts.js";
import { textInference } from "../hosting/endpoint.js";
import { bucket, putObject } from "./cloud.js";
import type { Cloud } from "./cloud.js";
import { aModel, anEndpointConfig, unique, xgboostImage } from "./requests.js";

/** A container of the text model (test/hosting/endpoint.ts) in the mode SingleModel. */
export async function aTextContainer(
  cloud: Cloud,
  text: string,
  inference = textInference,
): Promise<ContainerDefinition> {
  const folder = unique("artifact");
  const model = await tarGz({ "model.txt": text });
  const code = await tarGz({ "inference.py": inference });
  return {
    Image: xgboostImage,
    ModelDataUrl: await putObject(cloud, `${folder}/model.tar.gz`, model),
    Environment: {
      SAGEMAKER_PROGRAM: "inference.py",
      SAGEMAKER_SUBMIT_DIRECTORY: await putObject(cloud, `${folder}/sourcedir.tar.gz`, code),
    },
  };
}

/** The same with the objects of `models` (key below the prefix: text) behind it. */
export async function aMultiModelContainer(
  cloud: Cloud,
  models: Readonly<Record<string, string>>,
): Promise<ContainerDefinition> {
  const { Image, Environment } = await aTextContainer(cloud, "unused");
  const folder = unique("models");
  for (const [key, text] of Object.entries(models))
    await putObject(cloud, `${folder}/${key}`, await tarGz({ "model.txt": text }));
  return { Image, Environment, Mode: "MultiModel", ModelDataUrl: `s3://${bucket}/${folder}/` };
}

export async function createModel(
  client: SageMakerClient,
  changes: Partial<CreateModelCommandInput>,
): Promise<string> {
  const request = aModel(changes);
  if (changes.Containers !== undefined) delete request.PrimaryContainer;
  await client.send(new CreateModelCommand(request));
  return request.ModelName ?? "";
}

export async function createConfig(
  client: SageMakerClient,
  variants: ProductionVariant[],
): Promise<string> {
  const request = anEndpointConfig("", { ProductionVariants: variants });
  await client.send(new CreateEndpointConfigCommand(request));
  return request.EndpointConfigName ?? "";
}

export const onInstances = (ModelName: string): ProductionVariant => ({
  ...{ VariantName: "all", ModelName },
  ...{ InstanceType: "ml.m5.large", InitialInstanceCount: 1 },
});

export const serverless = (
  ModelName: string,
  MaxConcurrency = 2,
  MemorySizeInMB = 2048,
): ProductionVariant => ({
  ...{ VariantName: "all", ModelName },
  ServerlessConfig: { MaxConcurrency, MemorySizeInMB },
});

export async function createEndpoint(
  client: SageMakerClient,
  EndpointConfigName: string,
): Promise<string> {
  const EndpointName = unique("endpoint");
  await client.send(new CreateEndpointCommand({ EndpointName, EndpointConfigName }));
  return EndpointName;
}

export const untilEndpoint = (
  client: SageMakerClient,
  EndpointName: string,
  wanted: Partial<DescribeEndpointCommandOutput>,
) =>
  vi.waitFor(
    async () => {
      const endpoint = await client.send(new DescribeEndpointCommand({ EndpointName }));
      expect(endpoint).toMatchObject(wanted);
      return endpoint;
    },
    { timeout: 60_000, interval: 50 },
  );

/** An endpoint that answers, by the variants of its configuration. */
export async function anEndpoint(
  client: SageMakerClient,
  variants: ProductionVariant[],
): Promise<string> {
  const name = await createEndpoint(client, await createConfig(client, variants));
  await untilEndpoint(client, name, { EndpointStatus: "InService" });
  return name;
}

/** The answer's text. */
export async function ask(
  client: SageMakerRuntimeClient,
  EndpointName: string,
  body: string,
  changes: Partial<InvokeEndpointCommandInput> = {},
): Promise<string> {
  const command = new InvokeEndpointCommand({
    ...{ EndpointName, Body: Buffer.from(body), ContentType: "text/csv" },
    ...changes,
  });
  return Buffer.from((await client.send(command)).Body).toString();
}
