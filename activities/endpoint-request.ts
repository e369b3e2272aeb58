/** Builds what an endpoint consists of: a pure function of the spec, named after its content. */
import {
  ProductionVariantInstanceType,
  type CreateEndpointConfigInput,
  type CreateModelInput,
  type ProductionVariant,
  type Tag,
} from "@aws-sdk/client-sagemaker";
import { SpecError } from "../fleet/errors.js";
import {
  contentConfigName,
  endpointConfigName,
  endpointName,
  holdsSame,
  modelName,
  pipelineEndpointName,
  requestHash,
  s3Keys,
} from "../fleet/names.js";
import type { EndpointSpec, FleetSpec } from "../fleet/spec.schema.js";
import {
  inferenceContainer,
  preprocessorContainer,
  type ServingCode,
} from "./inference-container.js";
import { TAGS } from "./training-job-request.js";

/** What every endpoint of a stage has in common. */
export interface EndpointSite {
  readonly stage: string;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
}

export interface EndpointPlan extends EndpointSite {
  readonly spec: FleetSpec;
  /** ISO time of the refresh. */
  readonly at: string;
}

export interface EndpointParts {
  readonly endpointName: string;
  readonly model: CreateModelInput & { readonly ModelName: string };
  readonly config: CreateEndpointConfigInput & { readonly EndpointConfigName: string };
  /** Whether the config of this name has the same content, whenever it was made. */
  readonly holdsSame: (endpointConfigName: string) => boolean;
  readonly tags: Tag[];
}

/** The only variant: SageMaker's console and SDKs call it so too. */
export const VARIANT = "AllTraffic";
export const STAGE_TAG = "modelfleet:stage";
const CUSTOMER_TAG = "modelfleet:customer";

/**
 * The stage's multi-model endpoint. Model and endpoint config never change once they exist. Their names tell their
 * content, so one Describe tells whether the endpoint is as wanted; the config's name also tells when, so that a
 * refresh with the same content has a config to go to.
 */
export function endpointParts({ spec, at, ...site }: EndpointPlan): EndpointParts {
  const fleet = spec.name;
  const { stage, bucket } = site;
  const model = {
    ExecutionRoleArn: site.roleArn,
    PrimaryContainer: {
      ...inferenceContainer(spec, site),
      Mode: "MultiModel",
      ModelDataUrl: `s3://${bucket}/${s3Keys.models(fleet, stage)}`,
    },
  } as const;
  return assemble(endpointName(fleet, stage), {
    model,
    endpoint: spec.endpoint,
    nameConfig: (key) => endpointConfigName({ ...key, at }),
    tags: [
      { Key: TAGS.fleet, Value: fleet },
      { Key: STAGE_TAG, Value: stage },
    ],
  });
}

export interface CustomerEndpointPlan extends EndpointSite {
  /** What the version was made with: its code serves it. */
  readonly spec: FleetSpec;
  /** What the endpoint runs on. */
  readonly endpoint: EndpointSpec;
  readonly customerKey: string;
  readonly endpointName: string;
  readonly artifactKey: string;
}

/** The endpoint of one customer, with one version in it. */
export function customerEndpointParts({
  spec,
  endpoint,
  customerKey,
  endpointName: name,
  artifactKey,
  ...site
}: CustomerEndpointPlan): EndpointParts {
  const model = {
    ExecutionRoleArn: site.roleArn,
    PrimaryContainer: {
      ...inferenceContainer(spec, site),
      Mode: "SingleModel",
      ModelDataUrl: `s3://${site.bucket}/${artifactKey}`,
    },
  } as const;
  return assemble(name, {
    model,
    endpoint,
    nameConfig: contentConfigName,
    tags: [
      { Key: TAGS.fleet, Value: spec.name },
      { Key: STAGE_TAG, Value: site.stage },
      { Key: CUSTOMER_TAG, Value: customerKey },
    ],
  });
}

export interface PipelinePlan extends EndpointSite {
  /** Whose code serves the models behind the preprocessor. */
  readonly spec: FleetSpec;
  readonly preprocessor: ServingCode;
  readonly generation: number;
  /** The fitted preprocessor. */
  readonly artifactUri: string;
}

/** Every request passes the preprocessor, and then the model that TargetModel names. */
export function pipelineParts({
  spec,
  preprocessor,
  generation,
  artifactUri,
  ...site
}: PipelinePlan): EndpointParts {
  const fleet = spec.name;
  const { stage, bucket } = site;
  const model = {
    ExecutionRoleArn: site.roleArn,
    Containers: [
      { ...preprocessorContainer(fleet, preprocessor, site), ModelDataUrl: artifactUri },
      {
        ...inferenceContainer(spec, site),
        Mode: "MultiModel" as const,
        ModelDataUrl: `s3://${bucket}/${s3Keys.models(fleet, stage, generation)}`,
      },
    ],
  };
  return assemble(pipelineEndpointName(fleet, stage, generation), {
    model,
    endpoint: spec.endpoint,
    nameConfig: contentConfigName,
    tags: [
      { Key: TAGS.fleet, Value: fleet },
      { Key: STAGE_TAG, Value: stage },
    ],
  });
}

interface Content {
  readonly model: CreateModelInputWithoutName;
  readonly endpoint: EndpointSpec;
  readonly nameConfig: (key: { readonly endpointName: string; readonly hash: string }) => string;
  readonly tags: Tag[];
}

type CreateModelInputWithoutName = Omit<CreateModelInput, "ModelName" | "Tags">;

function assemble(name: string, { model, endpoint, nameConfig, tags }: Content): EndpointParts {
  const ModelName = modelName({ endpointName: name, hash: requestHash(model) });
  const config = {
    ProductionVariants: [
      { VariantName: VARIANT, ModelName, ...capacity(endpoint), InitialVariantWeight: 1 },
    ],
  };
  const key = { endpointName: name, hash: requestHash(config) };
  return {
    endpointName: name,
    model: { ModelName, ...model, Tags: tags },
    config: { EndpointConfigName: nameConfig(key), ...config, Tags: tags },
    holdsSame: (other) => holdsSame(other, key),
    tags,
  };
}

/** Instances, or what a serverless endpoint has in their place. */
function capacity(
  endpoint: EndpointSpec,
): Pick<ProductionVariant, "InstanceType" | "InitialInstanceCount" | "ServerlessConfig"> {
  if (endpoint.kind === "serverless")
    return {
      ServerlessConfig: {
        MemorySizeInMB: endpoint.memorySizeInMb,
        MaxConcurrency: endpoint.maxConcurrency,
      },
    };
  return {
    InstanceType: instanceType(endpoint.instanceType),
    InitialInstanceCount: endpoint.instances,
  };
}

function instanceType(name: string): ProductionVariantInstanceType {
  const known = Object.values(ProductionVariantInstanceType).find((type) => type === name);
  if (known !== undefined) return known;
  throw new SpecError(
    `endpoint.instanceType "${name}" is no instance type of SageMaker hosting`,
    "choose one from https://aws.amazon.com/sagemaker/pricing/, such as ml.m5.xlarge",
  );
}
