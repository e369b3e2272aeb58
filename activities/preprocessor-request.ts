/** Builds what fits a preprocessor, and what prepares rows with it: pure functions of what the ledger holds. */
import {
  TransformInstanceType,
  type CreateModelInput,
  type CreateTrainingJobRequest,
  type CreateTransformJobRequest,
  type Tag,
} from "@aws-sdk/client-sagemaker";
import { SpecError } from "../fleet/errors.js";
import { containerImage } from "../fleet/images.js";
import { preprocessorCode } from "../fleet/model-hash.js";
import {
  CYCLE_KEY,
  preprocessorModelName,
  requestHash,
  s3Keys,
  trainingJobName,
} from "../fleet/names.js";
import type { FleetSpec, TrainingSpec } from "../fleet/spec.schema.js";
import { preprocessorContainer } from "./inference-container.js";
import { inputChannel, instanceType, TAGS, uri } from "./training-job-request.js";

export type PipelineTraining = Extract<TrainingSpec, { readonly kind: "pipeline" }>;
export type PreprocessorSpec = PipelineTraining["preprocessor"];

export interface PreprocessorPlace {
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
}

/** What makes it another preprocessor: its code and hyperparameters, its image, and the columns that it is given. */
export const preprocessorHash = (preprocessor: PreprocessorSpec, columns: unknown): string =>
  requestHash({ ...preprocessorCode(preprocessor), columns });

export interface FitPlan extends PreprocessorPlace {
  readonly spec: FleetSpec;
  readonly preprocessor: PreprocessorSpec;
  readonly cycle: string;
  readonly round: number;
  /** Of the manifest that lists the rows of all customers. */
  readonly rowsUri: string;
  /** S3 key of the schema's folder. */
  readonly schema: string;
  /** Of the rows themselves. */
  readonly dataHash: string;
}

/** A training job without metrics: nobody judges a preprocessor by itself. */
export function fitRequest(plan: FitPlan): CreateTrainingJobRequest & {
  readonly TrainingJobName: string;
} {
  const { spec, preprocessor, cycle, round, region, bucket, roleArn } = plan;
  const fleet = spec.name;
  const work = {
    AlgorithmSpecification: {
      TrainingImage: containerImage(preprocessor, region),
      TrainingInputMode: "File" as const,
    },
    HyperParameters: {
      ...preprocessor.hyperparameters,
      sagemaker_program: preprocessor.entryPoint,
      sagemaker_submit_directory: uri(bucket, s3Keys.code(fleet, preprocessor.sourceHash)),
    },
    InputDataConfig: [
      inputChannel("train", { uri: plan.rowsUri, contentType: "text/csv", manifest: true }),
      inputChannel("schema", { uri: uri(bucket, plan.schema), contentType: "application/json" }),
    ],
    OutputDataConfig: { S3OutputPath: uri(bucket, s3Keys.output(fleet, cycle)) },
    ResourceConfig: {
      InstanceType: instanceType(preprocessor.instanceType),
      InstanceCount: 1,
      VolumeSizeInGB: preprocessor.volumeSizeInGb,
    },
    RoleArn: roleArn,
    StoppingCondition: { MaxRuntimeInSeconds: preprocessor.maxRuntimeSeconds },
  };
  const hash = requestHash({ ...work, dataHash: plan.dataHash });
  const key = { fleet, customerKey: "preprocessor", cycle, round, requestHash: hash };
  return { TrainingJobName: trainingJobName(key), ...work, Tags: tags(fleet, cycle, hash) };
}

export interface TransformPlan extends PreprocessorPlace {
  readonly fleet: string;
  readonly cycle: string;
  readonly round: number;
  readonly generation: number;
  /** As it was when the generation was fitted. */
  readonly preprocessor: PreprocessorSpec;
  /** How the job is run, which may have changed since. */
  readonly transform: PreprocessorSpec["transform"];
  readonly artifactUri: string;
  /** What the rows are, such as `train`. */
  readonly part: string;
  readonly rowsUri: string;
  /** S3 key of the folder that the outputs are written to. */
  readonly folder: string;
}

/** Megabytes of all requests to the container under way: AWS API model, MaxConcurrentTransforms. */
const PAYLOADS_IN_MB = 100;
const REQUESTS_AT_A_TIME = 4;

export function transformRequest(plan: TransformPlan): CreateTransformJobRequest & {
  readonly TransformJobName: string;
} {
  const { fleet, cycle, round, part, generation, transform, bucket } = plan;
  const { maxPayloadInMb } = transform;
  const most = Math.floor(PAYLOADS_IN_MB / maxPayloadInMb);
  const work = {
    ModelName: preprocessorModel(plan).ModelName,
    MaxConcurrentTransforms: Math.max(1, Math.min(REQUESTS_AT_A_TIME, most)),
    MaxPayloadInMB: maxPayloadInMb,
    BatchStrategy: "MultiRecord" as const,
    TransformInput: {
      DataSource: { S3DataSource: { S3DataType: "ManifestFile" as const, S3Uri: plan.rowsUri } },
      ContentType: "text/csv",
      SplitType: "Line" as const,
      CompressionType: "None" as const,
    },
    TransformOutput: {
      // Paths are put behind a slash.
      S3OutputPath: uri(bucket, plan.folder.replace(/\/$/, "")),
      Accept: "text/csv",
      AssembleWith: "Line" as const,
    },
    TransformResources: {
      InstanceType: transformInstanceType(transform.instanceType),
      InstanceCount: transform.instances,
    },
  };
  const hash = requestHash(work);
  const customerKey = `${part}-g${generation}`;
  return {
    TransformJobName: trainingJobName({ fleet, customerKey, cycle, round, requestHash: hash }),
    ...work,
    Tags: tags(fleet, cycle, hash),
  };
}

/** The fitted preprocessor as a model of its own, named after its content. */
export function preprocessorModel(
  plan: Omit<TransformPlan, "round" | "part" | "rowsUri" | "folder">,
): CreateModelInput & { readonly ModelName: string } {
  const { fleet, preprocessor, generation, artifactUri, region, bucket, roleArn } = plan;
  const content = {
    ExecutionRoleArn: roleArn,
    PrimaryContainer: {
      ...preprocessorContainer(fleet, preprocessor, { region, bucket }),
      ModelDataUrl: artifactUri,
    },
  };
  return {
    ModelName: preprocessorModelName(fleet, generation, requestHash(content)),
    ...content,
    Tags: [{ Key: TAGS.fleet, Value: fleet }],
  };
}

const tags = (fleet: string, cycle: string, hash: string): Tag[] => [
  { Key: TAGS.fleet, Value: fleet },
  { Key: TAGS.customerKey, Value: CYCLE_KEY },
  { Key: TAGS.cycle, Value: cycle },
  { Key: TAGS.requestHash, Value: hash },
];

function transformInstanceType(name: string): TransformInstanceType {
  const known = Object.values(TransformInstanceType).find((type) => type === name);
  if (known !== undefined) return known;
  throw new SpecError(
    `training.preprocessor.transform.instanceType "${name}" is no instance type of batch transform`,
    "choose one from https://aws.amazon.com/sagemaker/pricing/, such as ml.m5.large",
  );
}
