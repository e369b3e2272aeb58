/** Builds the CreateProcessingJob request that prepares a cycle's rows: a pure function of what the ledger holds. */
import {
  ProcessingInstanceType,
  type CreateProcessingJobRequest,
  type ProcessingInput,
} from "@aws-sdk/client-sagemaker";
import { SpecError } from "../fleet/errors.js";
import { containerImage } from "../fleet/images.js";
import { CYCLE_KEY, requestHash, s3Keys, trainingJobName } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { TAGS, uri } from "./training-job-request.js";

export type Preparation = NonNullable<FleetSpec["preparation"]>;

export interface ProcessingJobPlan {
  readonly spec: FleetSpec;
  readonly preparation: Preparation;
  readonly cycle: string;
  readonly round: number;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
  /** Of all rows that were exported. */
  readonly dataHash: string;
}

const INPUT = "/opt/ml/processing/input";
const OUTPUT = "/opt/ml/processing/output";

/** Where the job writes, as a key; of the same work, every round writes the same there. */
export const preparedFolder = (plan: ProcessingJobPlan): string =>
  s3Keys.prepared(plan.spec.name, plan.cycle, workHash(plan));

/** With its name and tags, in which the hash of everything else stands. */
export function processingJobRequest(plan: ProcessingJobPlan): CreateProcessingJobRequest & {
  readonly ProcessingJobName: string;
} {
  const { spec, cycle, round, bucket } = plan;
  const fleet = spec.name;
  const hash = workHash(plan);
  const key = { fleet, customerKey: "preparation", cycle, round, requestHash: hash };
  return {
    ProcessingJobName: trainingJobName(key),
    ...work(plan),
    ProcessingOutputConfig: {
      Outputs: [
        {
          OutputName: "prepared",
          S3Output: {
            // Paths are put behind a slash.
            S3Uri: uri(bucket, preparedFolder(plan).replace(/\/$/, "")),
            LocalPath: OUTPUT,
            S3UploadMode: "EndOfJob",
          },
        },
      ],
    },
    Tags: [
      { Key: TAGS.fleet, Value: fleet },
      { Key: TAGS.customerKey, Value: CYCLE_KEY },
      { Key: TAGS.cycle, Value: cycle },
      { Key: TAGS.requestHash, Value: hash },
    ],
  };
}

const workHash = (plan: ProcessingJobPlan): string =>
  requestHash({ ...work(plan), dataHash: plan.dataHash });

function work(plan: ProcessingJobPlan) {
  const { preparation, region, roleArn } = plan;
  const { entryPoint, environment } = preparation;
  return {
    AppSpecification: {
      ImageUri: containerImage(preparation, region),
      ContainerEntrypoint: ["python3", `${INPUT}/code/${entryPoint}`],
      ContainerArguments: [
        ...["--data", `${INPUT}/data`, "--schema", `${INPUT}/schema`, "--output", OUTPUT],
        ...(preparation.arguments ?? []),
      ],
    },
    ...(environment === undefined ? {} : { Environment: environment }),
    ProcessingInputs: inputs(plan),
    ProcessingResources: {
      ClusterConfig: {
        InstanceType: instanceType(preparation.instanceType),
        InstanceCount: preparation.instances,
        VolumeSizeInGB: preparation.volumeSizeInGb,
      },
    },
    StoppingCondition: { MaxRuntimeInSeconds: preparation.maxRuntimeSeconds },
    RoleArn: roleArn,
  };
}

function inputs({ spec, preparation, cycle, bucket }: ProcessingJobPlan): ProcessingInput[] {
  const fleet = spec.name;
  const rows =
    spec.training.kind === "sharded"
      ? s3Keys.customers(fleet, cycle)
      : s3Keys.data(s3Keys.cycle(fleet, cycle));
  return [
    input("code", uri(bucket, s3Keys.codeFiles(fleet, preparation.sourceHash))),
    input("data", uri(bucket, rows), { sharded: preparation.instances > 1 }),
    input("schema", uri(bucket, s3Keys.schema(fleet, cycle))),
  ];
}

const input = (name: string, S3Uri: string, { sharded = false } = {}): ProcessingInput => ({
  InputName: name,
  S3Input: {
    S3Uri,
    LocalPath: `${INPUT}/${name}`,
    S3DataType: "S3Prefix",
    S3InputMode: "File",
    S3DataDistributionType: sharded ? "ShardedByS3Key" : "FullyReplicated",
  },
});

function instanceType(name: string): ProcessingInstanceType {
  const known = Object.values(ProcessingInstanceType).find((type) => type === name);
  if (known !== undefined) return known;
  throw new SpecError(
    `preparation.instanceType "${name}" is no instance type of SageMaker Processing`,
    "choose one from https://aws.amazon.com/sagemaker/pricing/, such as ml.m5.large",
  );
}
