/** The container that serves a fleet's models: in the registry for one of them, behind the endpoint for all. */
import type { ContainerDefinition } from "@aws-sdk/client-sagemaker";
import { containerImage } from "../fleet/images.js";
import { s3Keys } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";

export type InferenceContainer = Required<Pick<ContainerDefinition, "Image" | "Environment">>;

/** Script mode: the image is SageMaker's, the code is the training code's folder. */
export function inferenceContainer(
  { name, training }: FleetSpec,
  { region, bucket }: { readonly region: string; readonly bucket: string },
): InferenceContainer {
  return {
    Image: containerImage(training.image, region),
    Environment: {
      SAGEMAKER_PROGRAM: training.inferenceEntryPoint,
      SAGEMAKER_SUBMIT_DIRECTORY: `s3://${bucket}/${s3Keys.code(name, training.sourceHash)}`,
      SAGEMAKER_CONTAINER_LOG_LEVEL: "20",
      SAGEMAKER_REGION: region,
    },
  };
}
