/** The container that serves a fleet's models: in the registry for one of them, behind the endpoint for all. */
import type { ContainerDefinition } from "@aws-sdk/client-sagemaker";
import { containerImage, type ImageChoice } from "../fleet/images.js";
import { s3Keys } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";

export type InferenceContainer = Required<Pick<ContainerDefinition, "Image" | "Environment">>;

/** Script mode: the image is SageMaker's, the code is the training code's folder. */
export const inferenceContainer = (
  { name, training }: FleetSpec,
  site: { readonly region: string; readonly bucket: string },
): InferenceContainer => codeContainer(name, training, site);

/** Of a pipeline's training: the model's own code, or the preprocessor's. */
export type ServingCode = ImageChoice & {
  readonly inferenceEntryPoint: string;
  readonly sourceHash: string;
};

export function codeContainer(
  fleet: string,
  code: ServingCode,
  { region, bucket }: { readonly region: string; readonly bucket: string },
): InferenceContainer {
  return {
    Image: containerImage(code, region),
    Environment: {
      SAGEMAKER_PROGRAM: code.inferenceEntryPoint,
      SAGEMAKER_SUBMIT_DIRECTORY: `s3://${bucket}/${s3Keys.code(fleet, code.sourceHash)}`,
      SAGEMAKER_CONTAINER_LOG_LEVEL: "20",
      SAGEMAKER_REGION: region,
    },
  };
}

/** Its answers are the next container's requests: CSV, though nobody asks the first of a pipeline for a type. */
export function preprocessorContainer(
  fleet: string,
  code: ServingCode,
  site: { readonly region: string; readonly bucket: string },
): InferenceContainer {
  const { Image, Environment } = codeContainer(fleet, code, site);
  return {
    Image,
    Environment: { ...Environment, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: "text/csv" },
  };
}
