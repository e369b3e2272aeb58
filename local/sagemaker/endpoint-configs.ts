/** The endpoint configuration operations. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import { arnOf, keyOf } from "./arns.js";
import { validationError } from "./errors.js";
import type { Call, EndpointConfigOperations, Wire } from "./operations.js";
import { newestFirst } from "./paging.js";
import type { Lists } from "./paging.js";
import type { Store } from "./store.js";
import { checkTags } from "./tags.js";

type Variant = Wire<sagemaker.ProductionVariant>;

export function createEndpointConfigOperations(
  store: Store,
  lists: Lists,
): EndpointConfigOperations {
  const find = async (call: Call, name: string) => {
    const key = keyOf(call, "endpoint-config", name);
    const row = await store.find(key);
    if (row === undefined)
      throw validationError(`Could not find endpoint configuration "${arnOf(key)}".`);
    return row;
  };

  return {
    async CreateEndpointConfig(call, request) {
      const variants = [...request.ProductionVariants, ...(request.ShadowProductionVariants ?? [])];
      checkVariants(variants);
      checkServerless(request);
      for (const variant of variants) await checkModel(store, call, variant);
      const key = keyOf(call, "endpoint-config", request.EndpointConfigName);
      const createdAt = Date.now() / 1000;
      const { Tags, ...described } = request;
      const document = {
        ...described,
        ProductionVariants: request.ProductionVariants.map(withDefaults),
        EndpointConfigArn: arnOf(key),
        CreationTime: createdAt,
      };
      if (!(await store.insert(key, { document, tags: checkTags(Tags), createdAt })))
        throw validationError(
          `Cannot create already existing endpoint configuration "${arnOf(key)}".`,
        );
      return { EndpointConfigArn: document.EndpointConfigArn };
    },

    async DescribeEndpointConfig(call, { EndpointConfigName }) {
      return (await find(call, EndpointConfigName)).document;
    },

    async ListEndpointConfigs(call, request) {
      const page = await lists.page("endpoint-config", call, request, newestFirst);
      const summaries = page.rows.map(({ document }) => {
        const { EndpointConfigName, EndpointConfigArn, CreationTime } = document;
        return { EndpointConfigName, EndpointConfigArn, CreationTime };
      });
      return { EndpointConfigs: summaries, ...page.token };
    },

    /** Accepted also while an endpoint uses it; that endpoint's next update then fails. */
    async DeleteEndpointConfig(call, { EndpointConfigName }) {
      await store.remove((await find(call, EndpointConfigName)).key);
    },
  };
}

function withDefaults(variant: Variant): Variant {
  return { ...variant, InitialVariantWeight: variant.InitialVariantWeight ?? 1 };
}

function checkVariants(variants: readonly Variant[]): void {
  const names = new Set(variants.map(({ VariantName }) => VariantName));
  if (names.size < variants.length)
    throw validationError("The names of the production variants must be unique.");
  for (const variant of variants) checkVariant(variant);
}

/** What does not go with it, as the Developer Guide (serverless-endpoints) lists it. */
function checkServerless(request: Wire<sagemaker.CreateEndpointConfigInput>): void {
  const { ProductionVariants, ShadowProductionVariants = [] } = request;
  if (!ProductionVariants.some(({ ServerlessConfig }) => ServerlessConfig)) return;
  if (ProductionVariants.length > 1)
    throw validationError("A serverless endpoint configuration has a single production variant.");
  const excluded = {
    ShadowProductionVariants: ShadowProductionVariants.length > 0,
    DataCaptureConfig: request.DataCaptureConfig !== undefined,
    AsyncInferenceConfig: request.AsyncInferenceConfig !== undefined,
    ExplainerConfig: request.ExplainerConfig !== undefined,
    VpcConfig: request.VpcConfig !== undefined,
    EnableNetworkIsolation: request.EnableNetworkIsolation === true,
  };
  for (const [member, isGiven] of Object.entries(excluded))
    if (isGiven) throw validationError(`${member} is not supported for serverless endpoints.`);
}

/** Members of a variant that speak of instances. */
const ofInstances = [
  "InstanceType",
  "InitialInstanceCount",
  "AcceleratorType",
  "VolumeSizeInGB",
  "CoreDumpConfig",
  "ManagedInstanceScaling",
  "RoutingConfig",
  "ContainerStartupHealthCheckTimeoutInSeconds",
  "ModelDataDownloadTimeoutInSeconds",
] as const;

function checkVariant(variant: Variant): void {
  const { VariantName, ModelName, InstanceType, InitialInstanceCount, ServerlessConfig } = variant;
  if (ModelName === undefined)
    throw validationError(`Production variant ${VariantName} needs a ModelName.`);
  if (ServerlessConfig === undefined) {
    if (InstanceType === undefined || InitialInstanceCount === undefined)
      throw validationError(
        `Production variant ${VariantName} needs InstanceType and InitialInstanceCount, or ServerlessConfig.`,
      );
    if (InitialInstanceCount < 1)
      throw validationError(
        `Production variant ${VariantName}: InitialInstanceCount is at least 1.`,
      );
    return;
  }
  const besides = ofInstances.find((member) => variant[member] !== undefined);
  if (besides !== undefined)
    throw validationError(
      `Production variant ${VariantName} has ServerlessConfig: ${besides} does not go with it.`,
    );
  const { MemorySizeInMB, MaxConcurrency, ProvisionedConcurrency = 1 } = ServerlessConfig;
  if (MemorySizeInMB % 1024 !== 0)
    throw validationError(`MemorySizeInMB ${MemorySizeInMB} is not a multiple of 1024.`);
  if (ProvisionedConcurrency > MaxConcurrency)
    throw validationError("ProvisionedConcurrency must not exceed MaxConcurrency.");
}

async function checkModel(store: Store, call: Call, variant: Variant): Promise<void> {
  const key = keyOf(call, "model", variant.ModelName ?? "");
  const model = await store.find(key);
  if (model === undefined) throw validationError(`Could not find model "${arnOf(key)}".`);
  if (variant.ServerlessConfig === undefined) return;
  const { PrimaryContainer, Containers = [], VpcConfig, EnableNetworkIsolation } = model.document;
  const containers = PrimaryContainer === undefined ? Containers : [PrimaryContainer];
  const problem =
    (containers.some(({ Mode }) => Mode === "MultiModel") && "it is multi-model") ||
    (containers.length > 1 && "it is a pipeline of several containers") ||
    (VpcConfig !== undefined && "it has a VpcConfig") ||
    (EnableNetworkIsolation === true && "it has EnableNetworkIsolation");
  if (problem !== false)
    throw validationError(
      `Model ${variant.ModelName ?? ""} cannot be served by a serverless endpoint: ${problem}.`,
    );
}
