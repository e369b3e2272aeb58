/** What AWS checks of a training job when it is created, beyond the shape of the request. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Accounts } from "./accounts.js";
import { s3Location } from "./arns.js";
import { checkpointPlace } from "./checkpoint-place.js";
import { validationError } from "./errors.js";
import { checkPassRole } from "./iam.js";
import { readMetricDefinitions } from "./metrics.js";
import type { Objects } from "./objects.js";
import type { Call, Wire } from "./operations.js";

type CreateTrainingJob = Wire<sagemaker.CreateTrainingJobRequest>;
type Channel = NonNullable<CreateTrainingJob["InputDataConfig"]>[number];

/** A request in which everything is there that an ordinary (not serverless) job needs. */
export type TrainingRequest = CreateTrainingJob & {
  AlgorithmSpecification: { TrainingImage: string };
  ResourceConfig: { InstanceCount: number; KeepAlivePeriodInSeconds?: number };
  StoppingCondition: object;
};

export interface TrainingRequestChecks {
  check(call: Call, request: CreateTrainingJob): Promise<TrainingRequest>;
}

/** AWS: 28 days; a job that does not say runs for one day. */
const maxRuntimeLimitSeconds = 28 * 24 * 60 * 60;
export const defaultMaxRuntimeSeconds = 24 * 60 * 60;

export function createTrainingChecks(accounts: Accounts, objects: Objects): TrainingRequestChecks {
  return {
    async check(call, request) {
      const complete = requireMembers(request);
      checkAlgorithm(complete);
      checkResources(complete);
      checkStoppingCondition(complete);
      checkpointPlace(complete);
      const channels = complete.InputDataConfig ?? [];
      checkChannels(channels);
      s3Location(complete.OutputDataConfig.S3OutputPath);
      checkPassRole(accounts, call.principal, complete.RoleArn);
      const visible = objects.as(complete.RoleArn);
      await Promise.all(channels.map((channel) => checkData(visible, call, complete, channel)));
      return complete;
    },
  };
}

/** The newest model makes these optional, for serverless jobs; every other job needs them. */
export function requireMembers(request: CreateTrainingJob): TrainingRequest {
  const { AlgorithmSpecification, ResourceConfig, StoppingCondition } = request;
  if (request.ServerlessJobConfig !== undefined)
    throw validationError("The local SageMaker server has no serverless training jobs.");
  const missing = Object.entries({ AlgorithmSpecification, ResourceConfig, StoppingCondition })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  if (!AlgorithmSpecification || !ResourceConfig || !StoppingCondition)
    throw validationError(`A training job needs ${missing.join(" and ")}.`);
  const { TrainingImage, AlgorithmName } = AlgorithmSpecification;
  if (TrainingImage !== undefined && AlgorithmName !== undefined)
    throw validationError("Only one of TrainingImage and AlgorithmName may be specified.");
  if (AlgorithmName !== undefined)
    throw validationError(`Could not find algorithm "${AlgorithmName}".`);
  if (TrainingImage === undefined)
    throw validationError("One of TrainingImage and AlgorithmName must be specified.");
  const { InstanceGroups, InstanceCount = InstanceGroups ? 0 : undefined } = ResourceConfig;
  if (InstanceCount === undefined) throw validationError("ResourceConfig needs InstanceCount.");
  return {
    ...request,
    AlgorithmSpecification: { ...AlgorithmSpecification, TrainingImage },
    ResourceConfig: { ...ResourceConfig, InstanceCount },
    StoppingCondition,
  };
}

function checkAlgorithm({ AlgorithmSpecification }: TrainingRequest): void {
  const { TrainingInputMode, ContainerEntrypoint, ContainerArguments } = AlgorithmSpecification;
  const { MetricDefinitions = [] } = AlgorithmSpecification;
  if (TrainingInputMode === "Pipe") throw noPipeMode();
  if (ContainerEntrypoint !== undefined || ContainerArguments !== undefined)
    throw validationError(
      "The local SageMaker server runs script mode: it has no ContainerEntrypoint and no ContainerArguments.",
    );
  readMetricDefinitions(MetricDefinitions);
}

function checkResources({ ResourceConfig }: TrainingRequest): void {
  const { InstanceType, InstanceCount, InstanceGroups } = ResourceConfig;
  if (InstanceGroups !== undefined) {
    throw validationError("The local SageMaker server has no InstanceGroups: use InstanceCount.");
  }
  if (InstanceType === undefined) throw validationError("ResourceConfig needs InstanceType.");
  if (InstanceCount < 1)
    throw validationError("ResourceConfig.InstanceCount must be greater than or equal to 1.");
}

function checkStoppingCondition(request: TrainingRequest): void {
  const { MaxRuntimeInSeconds = defaultMaxRuntimeSeconds, MaxWaitTimeInSeconds } =
    request.StoppingCondition;
  if (MaxRuntimeInSeconds > maxRuntimeLimitSeconds)
    throw validationError(
      `MaxRuntimeInSeconds ${MaxRuntimeInSeconds} is over the maximum of ${maxRuntimeLimitSeconds} (28 days).`,
    );
  if (request.EnableManagedSpotTraining === true) {
    if ((request.ResourceConfig.KeepAlivePeriodInSeconds ?? 0) > 0)
      throw validationError(
        "KeepAlivePeriodInSeconds is not supported when EnableManagedSpotTraining is set.",
      );
    if (MaxWaitTimeInSeconds === undefined)
      throw validationError(
        "MaxWaitTimeInSeconds is required when EnableManagedSpotTraining is set.",
      );
    if (MaxWaitTimeInSeconds < MaxRuntimeInSeconds)
      throw validationError(
        "MaxWaitTimeInSeconds must be equal to or greater than MaxRuntimeInSeconds.",
      );
  } else if (MaxWaitTimeInSeconds !== undefined)
    throw validationError("MaxWaitTimeInSeconds is only for jobs with EnableManagedSpotTraining.");
}

function checkChannels(channels: readonly Channel[]): void {
  const names = new Set(channels.map(({ ChannelName }) => ChannelName));
  if (names.size < channels.length)
    throw validationError("The names of the channels in InputDataConfig must be unique.");
  for (const { ChannelName, DataSource, InputMode } of channels) {
    if (InputMode === "Pipe") throw noPipeMode();
    const type = DataSource.S3DataSource?.S3DataType;
    if (type !== "S3Prefix" && type !== "ManifestFile")
      throw validationError(
        `Channel ${ChannelName}: the local SageMaker server reads an S3DataSource of type S3Prefix or ManifestFile.`,
      );
  }
}

/** Every input must be there before the job: AWS lists it with the job's role. */
async function checkData(
  objects: Objects,
  call: Call,
  request: TrainingRequest,
  { DataSource }: Channel,
): Promise<void> {
  const { S3Uri = "", S3DataType } = DataSource.S3DataSource ?? {};
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

const noPipeMode = () =>
  validationError("The local SageMaker server has no Pipe mode: use File or FastFile.");
