/** What the server keeps of each kind of resource. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Kind, ResourceKey } from "./arns.js";
import type { ModelPackageDescription, Wire } from "./operations.js";

/** The public part of a resource: exactly what its Describe operation answers. */
export interface Documents {
  "training-job": Wire<sagemaker.DescribeTrainingJobResponse>;
  "processing-job": Wire<sagemaker.DescribeProcessingJobResponse>;
  "transform-job": Wire<sagemaker.DescribeTransformJobResponse>;
  "hyper-parameter-tuning-job": Wire<sagemaker.DescribeHyperParameterTuningJobResponse>;
  model: Wire<sagemaker.DescribeModelOutput>;
  "model-package-group": Wire<sagemaker.DescribeModelPackageGroupOutput>;
  "model-package": ModelPackageDescription;
  "endpoint-config": Wire<sagemaker.DescribeEndpointConfigOutput>;
  endpoint: Wire<sagemaker.DescribeEndpointOutput>;
}

/** The part that no operation shows. */
export interface Hidden {
  "training-job": {
    readonly instances: InstanceCounts;
    /** Only of jobs that a tuning job launched. */
    readonly trial?: Trial;
  };
  "processing-job": { readonly instances: InstanceCounts };
  "transform-job": { readonly instances: InstanceCounts };
  "hyper-parameter-tuning-job": {
    /** Instances for as many jobs as may run at a time: held until the tuning job ends. */
    readonly instances: InstanceCounts;
    readonly seed: number;
  };
  model: Readonly<Record<string, never>>;
  "model-package-group": { readonly nextVersion: number; readonly policy?: string | null };
  "model-package": { readonly clientToken?: string; readonly requestHash?: string };
  "endpoint-config": Readonly<Record<string, never>>;
  endpoint: {
    readonly instances: InstanceCounts;
    /** What its fleet was made of; the configuration itself may have been deleted since. */
    readonly serving?: Deployment | null;
    /** What it is being created with or updated to. */
    readonly next?: Deployment | null;
  };
}

/** What a tuning job remembers of a training job that it launched. */
export interface Trial {
  /** 1, 2, …: the place in the search, and in the name of the job. */
  readonly number: number;
  /** The hyperparameters that were searched, as the job got them. */
  readonly tuned: Readonly<Record<string, string>>;
  /** The last value of the objective metric; only of a job that ended with one. */
  readonly objective?: number;
  /** Why the search ended the job before its script did: early stopping, a rung of Hyperband, or its MaxResource. */
  readonly cut?: "median" | "rung" | "max-resource";
  /** Every value of the objective metric, in order; kept where later jobs are judged by them. */
  readonly reported?: readonly number[];
}

/** A configuration with what the endpoint has on top of it. */
export interface Deployment {
  readonly config: Documents["endpoint-config"];
  readonly capacities: readonly VariantCapacity[];
}

/** Weight and instance count that an endpoint keeps for a variant, whatever its configuration says. */
export interface VariantCapacity {
  readonly variant: string;
  readonly weight?: number;
  readonly instances?: number;
}

/** How many instances of each type a job or endpoint holds. */
export type InstanceCounts = Readonly<Record<string, number>>;

export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

export interface Resource<K extends Kind> {
  readonly id: number;
  readonly key: ResourceKey<K>;
  readonly arn: string;
  readonly document: Documents[K];
  readonly hidden: Hidden[K];
  readonly tags: readonly Tag[];
}
