/** Requests with everything that AWS asks for, of which a test changes what it is about. */
import type {
  CreateEndpointConfigCommandInput,
  CreateHyperParameterTuningJobCommandInput,
  CreateModelCommandInput,
  CreateModelPackageCommandInput,
  CreateProcessingJobCommandInput,
  CreateTrainingJobCommandInput,
  CreateTransformJobCommandInput,
  HyperParameterTrainingJobDefinition,
  HyperParameterTuningJobConfig,
} from "@aws-sdk/client-sagemaker";
import { account, bucket, region, roleArn } from "./cloud.js";

const registry = `${account}.dkr.ecr.${region}.amazonaws.com`;
export const noopImage = `${registry}/modelfleet-noop:1`;
export const xgboostImage = `${registry}/sagemaker-xgboost:1.7-1`;
export const sklearnImage = `${registry}/sagemaker-scikit-learn:1.2-1-cpu-py3`;

/** A name that no other test uses. */
export function unique(prefix: string): string {
  return `${prefix}-${Date.now().toString(36)}-${(counter += 1)}`;
}
let counter = 0;

export function aTrainingJob(
  changes: Partial<CreateTrainingJobCommandInput> = {},
): CreateTrainingJobCommandInput {
  return {
    TrainingJobName: unique("job"),
    RoleArn: roleArn,
    AlgorithmSpecification: { TrainingImage: noopImage, TrainingInputMode: "File" },
    OutputDataConfig: { S3OutputPath: `s3://${bucket}/output/` },
    ResourceConfig: { InstanceType: "ml.m5.large", InstanceCount: 1, VolumeSizeInGB: 5 },
    StoppingCondition: { MaxRuntimeInSeconds: 600 },
    ...changes,
  };
}

export function aProcessingJob(
  changes: Partial<CreateProcessingJobCommandInput> = {},
): CreateProcessingJobCommandInput & { ProcessingJobName: string } {
  return {
    RoleArn: roleArn,
    AppSpecification: { ImageUri: noopImage },
    ProcessingResources: {
      ClusterConfig: { InstanceType: "ml.m5.large", InstanceCount: 1, VolumeSizeInGB: 5 },
    },
    ...changes,
    ProcessingJobName: changes.ProcessingJobName ?? unique("prepare"),
  };
}

/** Sends the lines of every object below the prefix to the model. */
export function aTransformJob(
  { model, input, output }: { model: string; input: string; output: string },
  changes: Partial<CreateTransformJobCommandInput> = {},
): CreateTransformJobCommandInput & { TransformJobName: string } {
  return {
    ModelName: model,
    TransformInput: {
      DataSource: { S3DataSource: { S3DataType: "S3Prefix", S3Uri: input } },
      ContentType: "text/csv",
      SplitType: "Line",
    },
    TransformOutput: { S3OutputPath: output, Accept: "text/csv", AssembleWith: "Line" },
    TransformResources: { InstanceType: "ml.m5.large", InstanceCount: 1 },
    ...changes,
    TransformJobName: changes.TransformJobName ?? unique("transform"),
  };
}

/** Searches `metric:rmse` between 0 and 10, which the no-op image reports as its objective. */
export function aTuningJob(
  config: Partial<HyperParameterTuningJobConfig> = {},
  definition: Partial<HyperParameterTrainingJobDefinition> = {},
  changes: Partial<CreateHyperParameterTuningJobCommandInput> = {},
): CreateHyperParameterTuningJobCommandInput & { HyperParameterTuningJobName: string } {
  const { TrainingJobName, AlgorithmSpecification, ...shared } = aTrainingJob();
  return {
    HyperParameterTuningJobConfig: {
      Strategy: "Random",
      HyperParameterTuningJobObjective: { Type: "Minimize", MetricName: "rmse" },
      ResourceLimits: { MaxNumberOfTrainingJobs: 4, MaxParallelTrainingJobs: 2 },
      ParameterRanges: {
        ContinuousParameterRanges: [{ Name: "metric:rmse", MinValue: "0", MaxValue: "10" }],
      },
      ...config,
    },
    TrainingJobDefinition: {
      ...shared,
      AlgorithmSpecification: {
        TrainingImage: noopImage,
        TrainingInputMode: "File",
        MetricDefinitions: [{ Name: "rmse", Regex: "rmse=(\\S+);" }],
      },
      RoleArn: roleArn,
      OutputDataConfig: { S3OutputPath: `s3://${bucket}/output/` },
      StoppingCondition: { MaxRuntimeInSeconds: 600 },
      ...definition,
    },
    ...changes,
    HyperParameterTuningJobName: changes.HyperParameterTuningJobName ?? unique("tune"),
  };
}

export function aModel(changes: Partial<CreateModelCommandInput> = {}): CreateModelCommandInput {
  return {
    ModelName: unique("model"),
    ExecutionRoleArn: roleArn,
    PrimaryContainer: { Image: xgboostImage },
    ...changes,
  };
}

export function anEndpointConfig(
  modelName: string,
  changes: Partial<CreateEndpointConfigCommandInput> = {},
): CreateEndpointConfigCommandInput {
  return {
    EndpointConfigName: unique("config"),
    ProductionVariants: [
      {
        VariantName: "all",
        ModelName: modelName,
        InstanceType: "ml.m5.large",
        InitialInstanceCount: 1,
      },
    ],
    ...changes,
  };
}

export function aModelPackage(
  group: string,
  changes: Partial<CreateModelPackageCommandInput> = {},
): CreateModelPackageCommandInput {
  return {
    ModelPackageGroupName: group,
    InferenceSpecification: {
      Containers: [{ Image: xgboostImage, ModelDataUrl: `s3://${bucket}/model.tar.gz` }],
      SupportedContentTypes: ["text/csv"],
      SupportedResponseMIMETypes: ["text/csv"],
    },
    ...changes,
  };
}
