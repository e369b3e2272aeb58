/** Builds the CreateTrainingJob request of a whole cohort: a pure function of what the ledger holds. */
import type { Channel as InputChannel, CreateTrainingJobRequest } from "@aws-sdk/client-sagemaker";
import { comparisonRequest } from "../fleet/comparison.js";
import { containerImage } from "../fleet/images.js";
import { COHORT_KEY, requestHash, s3Keys, trainingJobName } from "../fleet/names.js";
import type { FleetSpec, TrainingSpec } from "../fleet/spec.schema.js";
import { inputChannel, instanceType, TAGS, uri } from "./training-job-request.js";

export type ShardedTraining = Extract<TrainingSpec, { readonly kind: "sharded" }>;

export interface ShardedJobPlan {
  readonly spec: FleetSpec;
  readonly training: ShardedTraining;
  readonly cycle: string;
  readonly round: number;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
  /** S3 key of the folder that a preparation wrote in place of the cycle's own. */
  readonly prepared: string | null;
  /** Of all that the job reads of its customers: rows, champions, earlier trials. */
  readonly cohortHash: string;
  /** Some customer has a champion to be scored beside the new model. */
  readonly hasChampions: boolean;
}

/** Names of the files in the folder of the cohort's inputs. */
export const INPUTS = {
  customers: "customers.manifest",
  champions: "champions.manifest",
  championPaths: "champions.json",
  /** A folder, the channel `trials`. */
  trials: "trials/",
  tuning: "trials/tuning.json",
  trialLines: "trials/trials.jsonl",
} as const;

/**
 * Tells the work from any other: what the models come from, but neither on what machines nor in which round. Its
 * artifacts lie in a folder of its own, which every round and every run of the cycle over the same work shares.
 */
export function shardedWorkHash(plan: Omit<ShardedJobPlan, "round">): string {
  const { training, spec, region, cohortHash } = plan;
  return requestHash({
    image: containerImage(training, region),
    hyperparameters: hyperparameters(plan),
    comparison: comparisonRequest(spec.gate),
    tuning: spec.tuning ?? null,
    cohort: cohortHash,
  });
}

/** With its name and tags, in which the hash of everything else stands. */
export function shardedJobRequest(plan: ShardedJobPlan): CreateTrainingJobRequest & {
  readonly TrainingJobName: string;
} {
  const { spec, cycle, round } = plan;
  const work = requestWithoutName(plan);
  const hash = requestHash(work);
  const fleet = spec.name;
  const key = { fleet, customerKey: COHORT_KEY, cycle, round, requestHash: hash };
  return {
    TrainingJobName: trainingJobName(key),
    ...work,
    Tags: [
      { Key: TAGS.fleet, Value: fleet },
      { Key: TAGS.customerKey, Value: COHORT_KEY },
      { Key: TAGS.cycle, Value: cycle },
      { Key: TAGS.requestHash, Value: hash },
    ],
  };
}

function requestWithoutName(
  plan: ShardedJobPlan,
): Omit<CreateTrainingJobRequest, "TrainingJobName"> {
  const { spec, training, cycle, region, bucket, roleArn } = plan;
  const { spot } = training;
  return {
    AlgorithmSpecification: {
      TrainingImage: containerImage(training, region),
      TrainingInputMode: "File",
    },
    HyperParameters: hyperparameters(plan),
    InputDataConfig: inputChannels(plan),
    OutputDataConfig: { S3OutputPath: uri(bucket, s3Keys.output(spec.name, cycle)) },
    CheckpointConfig: { S3Uri: uri(bucket, s3Keys.cohort(cohortOf(plan))) },
    ResourceConfig: {
      InstanceType: instanceType(training.instanceType),
      InstanceCount: training.instances,
      VolumeSizeInGB: training.volumeSizeInGb,
    },
    RoleArn: roleArn,
    ...(spot === undefined ? {} : { EnableManagedSpotTraining: true }),
    StoppingCondition: {
      MaxRuntimeInSeconds: training.maxRuntimeSeconds,
      ...(spot === undefined ? {} : { MaxWaitTimeInSeconds: spot.maxWaitSeconds }),
    },
  };
}

export const cohortOf = (plan: Omit<ShardedJobPlan, "round">) => ({
  fleet: plan.spec.name,
  cycle: plan.cycle,
  workHash: shardedWorkHash(plan),
});

const hyperparameters = ({
  spec,
  training,
  bucket,
}: Pick<ShardedJobPlan, "spec" | "training" | "bucket">): Record<string, string> => ({
  ...training.hyperparameters,
  sagemaker_program: training.entryPoint,
  sagemaker_submit_directory: uri(bucket, s3Keys.code(spec.name, training.sourceHash)),
});

function inputChannels(plan: ShardedJobPlan): InputChannel[] {
  const { spec, cycle, bucket } = plan;
  const inputs = uri(bucket, s3Keys.cohortInputs(cohortOf(plan)));
  const json = "application/json";
  return [
    inputChannel("customers", {
      uri: inputs + INPUTS.customers,
      contentType: "text/csv",
      manifest: true,
      sharded: true,
    }),
    inputChannel("schema", {
      uri: uri(bucket, s3Keys.schema(spec.name, cycle, plan.prepared)),
      contentType: json,
    }),
    ...(plan.hasChampions
      ? [
          inputChannel("champions", {
            uri: inputs + INPUTS.champions,
            contentType: "application/x-tar",
            manifest: true,
          }),
        ]
      : []),
    ...(spec.tuning === undefined
      ? []
      : [inputChannel("trials", { uri: inputs + INPUTS.trials, contentType: json })]),
  ];
}
