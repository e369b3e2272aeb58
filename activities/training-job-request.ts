/** Builds the CreateTrainingJob request of one customer in one cycle: a pure function of what the ledger holds. */
import {
  TrainingInstanceType,
  type Channel as InputChannel,
  type CreateTrainingJobRequest,
  type Tag,
} from "@aws-sdk/client-sagemaker";
import { comparisonRequest } from "../fleet/comparison.js";
import { SpecError } from "../fleet/errors.js";
import { containerImage } from "../fleet/images.js";
import { METRIC_DEFINITIONS } from "../fleet/metrics.js";
import { CHANNELS, requestHash, s3Keys, trainingJobName } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";

export interface TrainingJobPlan {
  readonly spec: FleetSpec;
  readonly cycle: string;
  readonly customerKey: string;
  readonly round: number;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
  /** Part of the request, so that a cycle run again over other rows makes another job. */
  readonly dataHash: string | null;
  /** Artifact of the model that serves, to be scored on the same rows. */
  readonly championUri: string | null;
  readonly places: DataPlaces;
}

/** Where the rows are, when it is not where the export has put them. S3 keys of folders. */
export interface DataPlaces {
  /** What the preparation wrote in place of the cycle's own. */
  readonly prepared: string | null;
  /** What the preprocessor of a pipeline prepared. */
  readonly transformed: string | null;
  /** Of that preprocessor, and of the one that the champion was made with. */
  readonly generation: number | null;
  readonly championGeneration: number | null;
}

/** The export's own. */
export const AS_EXPORTED: DataPlaces = {
  prepared: null,
  transformed: null,
  generation: null,
  championGeneration: null,
};

/** With its name and tags, in which the hash of everything else stands. */
export function trainingJobRequest(plan: TrainingJobPlan): CreateTrainingJobRequest & {
  readonly TrainingJobName: string;
} {
  const { spec, cycle, customerKey, round } = plan;
  const work = requestWithoutName(plan);
  const hash = hashOfWork(work, plan);
  const fleet = spec.name;
  return {
    TrainingJobName: trainingJobName({ fleet, customerKey, cycle, round, requestHash: hash }),
    ...work,
    Tags: tagsOf(plan, hash),
  };
}

/** With what the job reads from its channels: other rows, or another comparison, make another job. */
export const hashOfWork = (work: object, { dataHash, spec }: TrainingJobPlan): string =>
  requestHash({ ...work, dataHash, comparison: comparisonRequest(spec.gate) });

/** What a job belongs to, and the hash by which an attempt knows its own. */
export const tagsOf = ({ spec, cycle, customerKey }: TrainingJobPlan, hash: string): Tag[] => [
  { Key: TAGS.fleet, Value: spec.name },
  { Key: TAGS.customerKey, Value: customerKey },
  { Key: TAGS.cycle, Value: cycle },
  { Key: TAGS.requestHash, Value: hash },
];

export const TAGS = {
  fleet: "modelfleet:fleet",
  customerKey: "modelfleet:customer-key",
  cycle: "modelfleet:cycle",
  requestHash: "modelfleet:request-hash",
} as const;

/** The request's own hash, as its tag tells it. */
export const hashOf = (request: { readonly Tags?: Tag[] | undefined }): string | undefined =>
  request.Tags?.find((tag) => tag.Key === TAGS.requestHash)?.Value;

const requestWithoutName = (
  plan: TrainingJobPlan,
): Omit<CreateTrainingJobRequest, "TrainingJobName"> => ({
  ...trainingDefinition(plan),
  HyperParameters: fixedHyperparameters(plan),
});

/** The script, and what the fleet file fixes: the same names in every job, or warm start finds no parent. */
export const fixedHyperparameters = ({
  spec,
  bucket,
}: TrainingJobPlan): Record<string, string> => ({
  ...spec.training.hyperparameters,
  sagemaker_program: spec.training.entryPoint,
  sagemaker_submit_directory: uri(bucket, s3Keys.code(spec.name, spec.training.sourceHash)),
});

/** What a training job and the training jobs of a search have in common. */
export function trainingDefinition(plan: TrainingJobPlan) {
  const { spec, cycle, region, bucket, roleArn } = plan;
  const { training } = spec;
  return {
    AlgorithmSpecification: {
      TrainingImage: containerImage(training, region),
      TrainingInputMode: "File" as const,
      MetricDefinitions: METRIC_DEFINITIONS.map((definition) => ({ ...definition })),
    },
    InputDataConfig: inputChannels(plan),
    OutputDataConfig: { S3OutputPath: uri(bucket, s3Keys.output(spec.name, cycle)) },
    ResourceConfig: {
      InstanceType: instanceType(training.instanceType),
      InstanceCount: 1,
      VolumeSizeInGB: training.volumeSizeInGb,
      ...keepAlive(training),
    },
    RoleArn: roleArn,
    StoppingCondition: { MaxRuntimeInSeconds: training.maxRuntimeSeconds },
  };
}

/** The instance is kept for the next job; every job has to ask again, those of a search as well. */
const keepAlive = (training: FleetSpec["training"]) =>
  training.kind === "sharded" || training.keepAliveSeconds === undefined
    ? {}
    : { KeepAlivePeriodInSeconds: training.keepAliveSeconds };

function inputChannels(plan: TrainingJobPlan): InputChannel[] {
  const { spec, cycle, customerKey, bucket, championUri, places } = plan;
  const fleet = spec.name;
  const { prepared, transformed } = places;
  const data = s3Keys.data(transformed ?? prepared ?? s3Keys.cycle(fleet, cycle));
  const rowsIn = (folder: string): string => uri(bucket, `${folder}${customerKey}/`);
  const rows = CHANNELS.map((channel) =>
    inputChannel(channel, { uri: `${rowsIn(data)}${channel}/`, contentType: "text/csv" }),
  );
  const schema = inputChannel("schema", {
    uri: uri(bucket, s3Keys.schema(fleet, cycle, prepared)),
    contentType: "application/json",
  });
  if (championUri === null) return [...rows, schema];
  const champion = { uri: championUri, contentType: "application/x-tar" };
  return [...rows, schema, inputChannel("champion", champion), ...championRows(places, rowsIn)];
}

/** A champion of an older generation is scored on the same rows as its own preprocessor prepares them. */
function championRows(
  { transformed, generation, championGeneration }: DataPlaces,
  rowsIn: (folder: string) => string,
): InputChannel[] {
  if (transformed === null || championGeneration === null || championGeneration === generation)
    return [];
  const folder = s3Keys.championRows(transformed, championGeneration);
  return [
    inputChannel("champion_test", { uri: `${rowsIn(folder)}test/`, contentType: "text/csv" }),
  ];
}

export const inputChannel = (
  name: string,
  o: { uri: string; contentType: string; manifest?: true; sharded?: true },
): InputChannel => ({
  ChannelName: name,
  ContentType: o.contentType,
  DataSource: {
    S3DataSource: {
      S3DataType: o.manifest ? "ManifestFile" : "S3Prefix",
      S3Uri: o.uri,
      S3DataDistributionType: o.sharded ? "ShardedByS3Key" : "FullyReplicated",
    },
  },
});

export function instanceType(name: string): TrainingInstanceType {
  const known = Object.values(TrainingInstanceType).find((type) => type === name);
  if (known !== undefined) return known;
  throw new SpecError(
    `training.instanceType "${name}" is no instance type of SageMaker training`,
    "choose one from https://aws.amazon.com/sagemaker/pricing/, such as ml.m5.large",
  );
}

export const uri = (bucket: string, key: string): string => `s3://${bucket}/${key}`;
