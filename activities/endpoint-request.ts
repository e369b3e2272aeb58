/** Builds what a stage's endpoint consists of: a pure function of the spec, named after its content. */
import {
  ProductionVariantInstanceType,
  type CreateEndpointConfigInput,
  type CreateModelInput,
  type Tag,
} from "@aws-sdk/client-sagemaker";
import { SpecError } from "../fleet/errors.js";
import {
  endpointConfigName,
  endpointName,
  holdsSame,
  modelName,
  requestHash,
  s3Keys,
} from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { inferenceContainer } from "./inference-container.js";
import { TAGS } from "./training-job-request.js";

export interface EndpointPlan {
  readonly spec: FleetSpec;
  readonly stage: string;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
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
const VARIANT = "AllTraffic";
const STAGE_TAG = "modelfleet:stage";

/**
 * Model and endpoint config never change once they exist. Their names tell their content, so one Describe tells
 * whether the endpoint is as wanted; the config's name also tells when, so that a refresh with the same content has
 * a config to go to.
 */
export function endpointParts({
  spec,
  stage,
  region,
  bucket,
  roleArn,
  at,
}: EndpointPlan): EndpointParts {
  const fleet = spec.name;
  const tags = [
    { Key: TAGS.fleet, Value: fleet },
    { Key: STAGE_TAG, Value: stage },
  ];
  const model = {
    ExecutionRoleArn: roleArn,
    PrimaryContainer: {
      ...inferenceContainer(spec, { region, bucket }),
      Mode: "MultiModel",
      ModelDataUrl: `s3://${bucket}/${s3Keys.models(fleet, stage)}`,
    },
  } as const;
  const ModelName = modelName({ fleet, stage, hash: requestHash(model) });
  const config = {
    ProductionVariants: [
      {
        VariantName: VARIANT,
        ModelName,
        InstanceType: instanceType(spec.endpoint.instanceType),
        InitialInstanceCount: spec.endpoint.instances,
        InitialVariantWeight: 1,
      },
    ],
  };
  const key = { fleet, stage, hash: requestHash(config) };
  const EndpointConfigName = endpointConfigName({ ...key, at });
  return {
    endpointName: endpointName(fleet, stage),
    model: { ModelName, ...model, Tags: tags },
    config: { EndpointConfigName, ...config, Tags: tags },
    holdsSame: (name) => holdsSame(name, key),
    tags,
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
