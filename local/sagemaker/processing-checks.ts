/** What AWS checks of a processing job when it is created, beyond the shape of the request. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Accounts } from "./accounts.js";
import { s3Location } from "./arns.js";
import { imageKind } from "./container-image.js";
import { validationError } from "./errors.js";
import { checkPassRole } from "./iam.js";
import type { Objects } from "./objects.js";
import type { Call, Wire } from "./operations.js";
import { localFolder } from "./processing-folders.js";

export type CreateProcessingJob = Wire<sagemaker.CreateProcessingJobRequest>;
type Input = NonNullable<CreateProcessingJob["ProcessingInputs"]>[number];
type Output = NonNullable<CreateProcessingJob["ProcessingOutputConfig"]>["Outputs"][number];

/** Throws what AWS answers, or a sentence on what is not to be had here. */
export async function checkProcessingJob(
  { accounts, objects }: { readonly accounts: Accounts; readonly objects: Objects },
  call: Call,
  request: CreateProcessingJob,
): Promise<void> {
  checkEntryPoint(request);
  checkResources(request);
  const inputs = request.ProcessingInputs ?? [];
  checkInputs(inputs);
  checkOutputs(request.ProcessingOutputConfig?.Outputs ?? []);
  checkPassRole(accounts, call.principal, request.RoleArn);
  const visible = objects.as(request.RoleArn);
  await Promise.all(inputs.map((input) => checkData(visible, call, request, input)));
}

function checkEntryPoint({ AppSpecification }: CreateProcessingJob): void {
  const { ImageUri, ContainerEntrypoint } = AppSpecification;
  if (ContainerEntrypoint === undefined && imageKind(ImageUri) === "python")
    throw validationError(
      `The local SageMaker server does not know the entry point of image ${ImageUri}: give ` +
        'AppSpecification.ContainerEntrypoint, such as ["python3", "/opt/ml/processing/input/code/prepare.py"].',
    );
}

function checkResources({ ProcessingResources }: CreateProcessingJob): void {
  const { InstanceCount, InstanceType, InstancePreferences } = ProcessingResources.ClusterConfig;
  if (InstancePreferences !== undefined)
    throw validationError(
      "The local SageMaker server has no InstancePreferences: use InstanceType and InstanceCount.",
    );
  if (InstanceType === undefined || InstanceCount === undefined)
    throw validationError("ClusterConfig needs InstanceType and InstanceCount.");
}

function checkInputs(inputs: readonly Input[]): void {
  checkUnique(
    "ProcessingInputs",
    "InputName",
    inputs.map(({ InputName }) => InputName),
  );
  const folders: string[] = [];
  for (const { InputName, S3Input, DatasetDefinition, AppManaged } of inputs) {
    if (DatasetDefinition !== undefined)
      throw validationError(
        `Input ${InputName}: the local SageMaker server has no DatasetDefinition: use S3Input.`,
      );
    if (S3Input === undefined) throw validationError(`Input ${InputName} needs an S3Input.`);
    const { S3Uri, S3InputMode, S3CompressionType, LocalPath } = S3Input;
    s3Location(S3Uri);
    if (AppManaged === true) continue;
    if (S3InputMode === "Pipe")
      throw validationError(
        `Input ${InputName}: the local SageMaker server has no Pipe mode: use File.`,
      );
    if (S3CompressionType === "Gzip")
      throw validationError(
        `Input ${InputName}: S3CompressionType Gzip can only be used with S3InputMode Pipe.`,
      );
    folders.push(checkLocalPath(`Input ${InputName}`, LocalPath));
  }
  checkUnique("ProcessingInputs", "LocalPath", folders);
}

function checkOutputs(outputs: readonly Output[]): void {
  checkUnique(
    "Outputs",
    "OutputName",
    outputs.map(({ OutputName }) => OutputName),
  );
  for (const { OutputName, S3Output, FeatureStoreOutput, AppManaged } of outputs) {
    if (FeatureStoreOutput !== undefined)
      throw validationError(
        `Output ${OutputName}: the local SageMaker server has no Feature Store: use S3Output.`,
      );
    if (S3Output === undefined) throw validationError(`Output ${OutputName} needs an S3Output.`);
    s3Location(S3Output.S3Uri);
    if (AppManaged !== true) checkLocalPath(`Output ${OutputName}`, S3Output.LocalPath);
  }
}

function checkUnique(list: string, member: string, values: readonly string[]): void {
  if (new Set(values).size < values.length)
    throw validationError(`The values of ${member} in ${list} must be unique.`);
}

function checkLocalPath(whose: string, path: string | undefined): string {
  if (path === undefined)
    throw validationError(`${whose} needs a LocalPath, since it is not AppManaged.`);
  const folder = localFolder(path);
  if (folder === undefined)
    throw validationError(`${whose}: LocalPath ${path} must begin with /opt/ml/processing/.`);
  return folder;
}

/** Every input must be there before the job: AWS lists it with the job's role. */
async function checkData(
  objects: Objects,
  call: Call,
  request: CreateProcessingJob,
  { S3Input, AppManaged }: Input,
): Promise<void> {
  if (S3Input === undefined || AppManaged === true) return;
  const { S3Uri, S3DataType } = S3Input;
  const location = s3Location(S3Uri);
  const isThere =
    S3DataType === "ManifestFile" ? objects.exists(location) : objects.someUnder(location);
  if (await isThere) return;
  throw validationError(
    `No S3 objects found under S3 URL "${S3Uri}" given in input data source. ` +
      `Please ensure that the bucket exists in the selected region (${call.region}), ` +
      `that objects exist under that S3 prefix, and that the role "${request.RoleArn}" ` +
      `has "s3:ListBucket" permissions on bucket "${location.bucket}".`,
  );
}
