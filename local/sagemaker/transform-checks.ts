/** What AWS checks of a transform job when it is created, beyond the shape of the request. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import { arnOf, keyOf, s3Location } from "./arns.js";
import { validationError } from "./errors.js";
import type { Objects } from "./objects.js";
import type { Call, Wire } from "./operations.js";
import type { Store } from "./store.js";
import { filtersOf } from "./transform-settings.js";

export type CreateTransformJob = Wire<sagemaker.CreateTransformJobRequest>;

/** AWS API, CreateTransformJob: requests under way, times their size, together. */
const maxPayloadTogetherMb = 100;
const defaultPayloadMb = 6;

/** Throws what AWS answers, or a sentence on what is not to be had here. */
export async function checkTransformJob(
  { store, objects }: { readonly store: Store; readonly objects: Objects },
  call: Call,
  request: CreateTransformJob,
): Promise<void> {
  checkInput(request);
  checkPayload(request);
  checkDataProcessing(request);
  s3Location(request.TransformOutput.S3OutputPath);
  if (request.TransformResources.InstanceCount < 1)
    throw validationError("TransformResources.InstanceCount must be greater than or equal to 1.");
  const role = await checkModel(store, call, request.ModelName);
  await checkData(objects.as(role), call, request);
}

function checkInput({ TransformInput }: CreateTransformJob): void {
  const { SplitType, DataSource } = TransformInput;
  if (SplitType === "RecordIO" || SplitType === "TFRecord")
    throw validationError(
      `The local SageMaker server does not split ${SplitType}: use SplitType Line or None.`,
    );
  const type = DataSource.S3DataSource?.S3DataType;
  if (type !== "S3Prefix" && type !== "ManifestFile")
    throw validationError(
      "The local SageMaker server reads a TransformInput of S3DataType S3Prefix or ManifestFile.",
    );
}

function checkPayload({ MaxPayloadInMB, MaxConcurrentTransforms }: CreateTransformJob): void {
  if (MaxPayloadInMB === 0)
    throw validationError(
      "The local SageMaker server does not stream payloads of any size (MaxPayloadInMB 0): give 1 to 100.",
    );
  const together = (MaxConcurrentTransforms ?? 1) * (MaxPayloadInMB ?? defaultPayloadMb);
  if ((MaxPayloadInMB ?? 0) > maxPayloadTogetherMb || together > maxPayloadTogetherMb)
    throw validationError(
      `MaxConcurrentTransforms * MaxPayloadInMB must not exceed ${maxPayloadTogetherMb} MB, and is ${together} MB.`,
    );
}

function checkDataProcessing(request: CreateTransformJob): void {
  filtersOf(request);
  if (request.DataProcessing?.JoinSource !== "Input") return;
  const { ContentType, SplitType = "None" } = request.TransformInput;
  const { Accept, AssembleWith = "None" } = request.TransformOutput;
  if (SplitType !== AssembleWith)
    throw validationError(
      `To join input and output, SplitType (${SplitType}) and AssembleWith (${AssembleWith}) must be equal.`,
    );
  if (Accept !== undefined && Accept !== ContentType)
    throw validationError(
      `To join input and output, ContentType (${ContentType ?? "none"}) and Accept (${Accept}) must be equal.`,
    );
}

/** Returns the role that the model runs as. */
async function checkModel(store: Store, call: Call, name: string): Promise<string | undefined> {
  const key = keyOf(call, "model", name);
  const model = await store.find(key);
  if (model === undefined) throw validationError(`Could not find model "${arnOf(key)}".`);
  const { PrimaryContainer, Containers = [], InferenceExecutionConfig } = model.document;
  const containers = PrimaryContainer === undefined ? Containers : [PrimaryContainer];
  if (containers.some(({ Mode }) => Mode === "MultiModel"))
    throw validationError(`Model "${name}" is a multi-model: batch transform takes one model.`);
  if (InferenceExecutionConfig?.Mode === "Direct")
    throw validationError(
      `The containers of model "${name}" are invoked directly: batch transform goes through all of them.`,
    );
  return model.document.ExecutionRoleArn;
}

/** The data must be there before the job: AWS lists it with the model's role. */
async function checkData(objects: Objects, call: Call, request: CreateTransformJob): Promise<void> {
  const { S3Uri = "", S3DataType } = request.TransformInput.DataSource.S3DataSource ?? {};
  const location = s3Location(S3Uri);
  const isThere =
    S3DataType === "ManifestFile" ? objects.exists(location) : objects.someUnder(location);
  if (await isThere) return;
  throw validationError(
    `No S3 objects found under S3 URL "${S3Uri}" given in input data source. ` +
      `Please ensure that the bucket exists in the selected region (${call.region}), ` +
      `that objects exist under that S3 prefix, and that the role of model "${request.ModelName}" ` +
      `has "s3:ListBucket" permissions on bucket "${location.bucket}".`,
  );
}
