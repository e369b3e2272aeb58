/** The operations that the server offers, typed by the SDK's own request and answer types. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Scope } from "./arns.js";
import type { Principal } from "./accounts.js";

/** A type of the SDK as it looks on the wire: epoch seconds for dates, absent for undefined. */
export type Wire<T> = T extends Date
  ? number
  : T extends readonly (infer Element)[]
    ? Wire<Element>[]
    : T extends object
      ? { [Key in keyof T]: Wire<Exclude<T[Key], undefined>> }
      : T;

/** Who asks, where, and under which request id. */
export interface Call extends Scope {
  readonly operation: string;
  readonly principal: Principal;
  readonly requestId: string;
}

export type Operation<Input, Output = void> = (call: Call, input: Wire<Input>) => Promise<Output>;

type Answer<T> = Wire<Omit<T, "$metadata">>;

export interface TrainingJobOperations {
  CreateTrainingJob: Operation<
    sagemaker.CreateTrainingJobRequest,
    Answer<sagemaker.CreateTrainingJobResponse>
  >;
  DescribeTrainingJob: Operation<
    sagemaker.DescribeTrainingJobRequest,
    Answer<sagemaker.DescribeTrainingJobResponse>
  >;
  ListTrainingJobs: Operation<
    sagemaker.ListTrainingJobsRequest,
    Answer<sagemaker.ListTrainingJobsResponse>
  >;
  UpdateTrainingJob: Operation<
    sagemaker.UpdateTrainingJobRequest,
    Answer<sagemaker.UpdateTrainingJobResponse>
  >;
  StopTrainingJob: Operation<sagemaker.StopTrainingJobRequest>;
  DeleteTrainingJob: Operation<sagemaker.DeleteTrainingJobRequest>;
}

export interface TuningJobOperations {
  CreateHyperParameterTuningJob: Operation<
    sagemaker.CreateHyperParameterTuningJobRequest,
    Answer<sagemaker.CreateHyperParameterTuningJobResponse>
  >;
  DescribeHyperParameterTuningJob: Operation<
    sagemaker.DescribeHyperParameterTuningJobRequest,
    Answer<sagemaker.DescribeHyperParameterTuningJobResponse>
  >;
  ListHyperParameterTuningJobs: Operation<
    sagemaker.ListHyperParameterTuningJobsRequest,
    Answer<sagemaker.ListHyperParameterTuningJobsResponse>
  >;
  StopHyperParameterTuningJob: Operation<sagemaker.StopHyperParameterTuningJobRequest>;
  DeleteHyperParameterTuningJob: Operation<sagemaker.DeleteHyperParameterTuningJobRequest>;
  ListTrainingJobsForHyperParameterTuningJob: Operation<
    sagemaker.ListTrainingJobsForHyperParameterTuningJobRequest,
    Answer<sagemaker.ListTrainingJobsForHyperParameterTuningJobResponse>
  >;
}

export interface ProcessingJobOperations {
  CreateProcessingJob: Operation<
    sagemaker.CreateProcessingJobRequest,
    Answer<sagemaker.CreateProcessingJobResponse>
  >;
  DescribeProcessingJob: Operation<
    sagemaker.DescribeProcessingJobRequest,
    Answer<sagemaker.DescribeProcessingJobResponse>
  >;
  ListProcessingJobs: Operation<
    sagemaker.ListProcessingJobsRequest,
    Answer<sagemaker.ListProcessingJobsResponse>
  >;
  StopProcessingJob: Operation<sagemaker.StopProcessingJobRequest>;
  DeleteProcessingJob: Operation<sagemaker.DeleteProcessingJobRequest>;
}

export interface TransformJobOperations {
  CreateTransformJob: Operation<
    sagemaker.CreateTransformJobRequest,
    Answer<sagemaker.CreateTransformJobResponse>
  >;
  DescribeTransformJob: Operation<
    sagemaker.DescribeTransformJobRequest,
    Answer<sagemaker.DescribeTransformJobResponse>
  >;
  ListTransformJobs: Operation<
    sagemaker.ListTransformJobsRequest,
    Answer<sagemaker.ListTransformJobsResponse>
  >;
  StopTransformJob: Operation<sagemaker.StopTransformJobRequest>;
}

export interface ModelOperations {
  CreateModel: Operation<sagemaker.CreateModelInput, Answer<sagemaker.CreateModelOutput>>;
  DescribeModel: Operation<sagemaker.DescribeModelInput, Answer<sagemaker.DescribeModelOutput>>;
  ListModels: Operation<sagemaker.ListModelsInput, Answer<sagemaker.ListModelsOutput>>;
  DeleteModel: Operation<sagemaker.DeleteModelInput>;
}

export interface ModelPackageGroupOperations {
  CreateModelPackageGroup: Operation<
    sagemaker.CreateModelPackageGroupInput,
    Answer<sagemaker.CreateModelPackageGroupOutput>
  >;
  DescribeModelPackageGroup: Operation<
    sagemaker.DescribeModelPackageGroupInput,
    Answer<sagemaker.DescribeModelPackageGroupOutput>
  >;
  ListModelPackageGroups: Operation<
    sagemaker.ListModelPackageGroupsInput,
    Answer<sagemaker.ListModelPackageGroupsOutput>
  >;
  DeleteModelPackageGroup: Operation<sagemaker.DeleteModelPackageGroupInput>;
  PutModelPackageGroupPolicy: Operation<
    sagemaker.PutModelPackageGroupPolicyInput,
    Answer<sagemaker.PutModelPackageGroupPolicyOutput>
  >;
  GetModelPackageGroupPolicy: Operation<
    sagemaker.GetModelPackageGroupPolicyInput,
    Answer<sagemaker.GetModelPackageGroupPolicyOutput>
  >;
  DeleteModelPackageGroupPolicy: Operation<sagemaker.DeleteModelPackageGroupPolicyInput>;
}

/** The model requires ModelPackageName, but AWS leaves it out for the versions of a group. */
export type ModelPackageDescription = Omit<
  Wire<sagemaker.DescribeModelPackageOutput>,
  "ModelPackageName"
> & { ModelPackageName?: string };

export interface ModelPackageOperations {
  CreateModelPackage: Operation<
    sagemaker.CreateModelPackageInput,
    Answer<sagemaker.CreateModelPackageOutput>
  >;
  DescribeModelPackage: Operation<sagemaker.DescribeModelPackageInput, ModelPackageDescription>;
  ListModelPackages: Operation<
    sagemaker.ListModelPackagesInput,
    Answer<sagemaker.ListModelPackagesOutput>
  >;
  UpdateModelPackage: Operation<
    sagemaker.UpdateModelPackageInput,
    Answer<sagemaker.UpdateModelPackageOutput>
  >;
  DeleteModelPackage: Operation<sagemaker.DeleteModelPackageInput>;
  BatchDescribeModelPackage: Operation<
    sagemaker.BatchDescribeModelPackageInput,
    Answer<sagemaker.BatchDescribeModelPackageOutput>
  >;
}

export interface EndpointConfigOperations {
  CreateEndpointConfig: Operation<
    sagemaker.CreateEndpointConfigInput,
    Answer<sagemaker.CreateEndpointConfigOutput>
  >;
  DescribeEndpointConfig: Operation<
    sagemaker.DescribeEndpointConfigInput,
    Answer<sagemaker.DescribeEndpointConfigOutput>
  >;
  ListEndpointConfigs: Operation<
    sagemaker.ListEndpointConfigsInput,
    Answer<sagemaker.ListEndpointConfigsOutput>
  >;
  DeleteEndpointConfig: Operation<sagemaker.DeleteEndpointConfigInput>;
}

export interface EndpointOperations {
  CreateEndpoint: Operation<sagemaker.CreateEndpointInput, Answer<sagemaker.CreateEndpointOutput>>;
  DescribeEndpoint: Operation<
    sagemaker.DescribeEndpointInput,
    Answer<sagemaker.DescribeEndpointOutput>
  >;
  ListEndpoints: Operation<sagemaker.ListEndpointsInput, Answer<sagemaker.ListEndpointsOutput>>;
  UpdateEndpoint: Operation<sagemaker.UpdateEndpointInput, Answer<sagemaker.UpdateEndpointOutput>>;
  UpdateEndpointWeightsAndCapacities: Operation<
    sagemaker.UpdateEndpointWeightsAndCapacitiesInput,
    Answer<sagemaker.UpdateEndpointWeightsAndCapacitiesOutput>
  >;
  DeleteEndpoint: Operation<sagemaker.DeleteEndpointInput>;
}

export interface TagOperations {
  AddTags: Operation<sagemaker.AddTagsInput, Answer<sagemaker.AddTagsOutput>>;
  ListTags: Operation<sagemaker.ListTagsInput, Answer<sagemaker.ListTagsOutput>>;
  DeleteTags: Operation<sagemaker.DeleteTagsInput, Answer<sagemaker.DeleteTagsOutput>>;
}

export type Operations = TrainingJobOperations &
  TuningJobOperations &
  ProcessingJobOperations &
  TransformJobOperations &
  ModelOperations &
  ModelPackageGroupOperations &
  ModelPackageOperations &
  EndpointConfigOperations &
  EndpointOperations &
  TagOperations;
