/** The requests of jobs that work for a whole cycle, and of the training jobs after them. */
import { expect, test } from "vitest";
import {
  preprocessorHash,
  preprocessorModel,
  transformRequest,
  type PipelineTraining,
} from "../../activities/preprocessor-request.js";
import { preparedFolder, processingJobRequest } from "../../activities/processing-request.js";
import { AS_EXPORTED, trainingJobRequest } from "../../activities/training-job-request.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { aFleetSpec } from "../workflows/builders.js";

const sourceHash = "0".repeat(64);
const place = {
  region: "us-east-1",
  bucket: "bucket",
  roleArn: "arn:aws:iam::111111111111:role/modelfleet-execution",
};
const preparation = {
  kind: "processing" as const,
  source: "prepare",
  sourceHash,
  arguments: ["--rate", "2"],
};

function processing(changes: Readonly<Record<string, unknown>> = {}, round = 0) {
  const spec = fleetSpecSchema.parse({
    ...aFleetSpec({ name: "prices" }),
    preparation: { ...preparation, ...changes },
  });
  if (spec.preparation === undefined) throw new Error("it has just been declared");
  const cycle = { cycle: "2026-01-01", round, dataHash: "d" };
  return { spec, preparation: spec.preparation, ...cycle, ...place };
}

test("a processing job reads code, rows and schema, and writes a folder that is named after its work", () => {
  const plan = processing();
  const request = processingJobRequest(plan);
  expect(request.AppSpecification).toEqual({
    ImageUri: "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    ContainerEntrypoint: ["python3", "/opt/ml/processing/input/code/prepare.py"],
    ContainerArguments: [
      ...["--data", "/opt/ml/processing/input/data"],
      ...["--schema", "/opt/ml/processing/input/schema", "--output", "/opt/ml/processing/output"],
      ...["--rate", "2"],
    ],
  });
  expect(request.ProcessingInputs?.map(({ S3Input }) => S3Input?.S3Uri)).toEqual([
    `s3://bucket/fleets/prices/code/${sourceHash}/files/`,
    "s3://bucket/fleets/prices/cycles/2026-01-01/data/",
    "s3://bucket/fleets/prices/cycles/2026-01-01/schema/",
  ]);
  const [output] = request.ProcessingOutputConfig?.Outputs ?? [];
  expect(`${output?.S3Output?.S3Uri}/`).toBe(`s3://bucket/${preparedFolder(plan)}`);
  expect(request.ProcessingJobName).toMatch(/^mf-prices-preparation-2026-01-01-0-[0-9a-f]{12}$/);
});

test("another round of a preparation is another job that writes to the same place", () => {
  const [first, second] = [processing(), processing({}, 1)];
  expect(preparedFolder(second)).toBe(preparedFolder(first));
  expect(processingJobRequest(second).ProcessingJobName).not.toBe(
    processingJobRequest(first).ProcessingJobName,
  );
  expect(preparedFolder({ ...first, dataHash: "other rows" })).not.toBe(preparedFolder(first));
});

test("several instances share the files out", () => {
  const request = processingJobRequest(processing({ instances: 2 }));
  expect(request.ProcessingInputs?.map(({ S3Input }) => S3Input?.S3DataDistributionType)).toEqual([
    "FullyReplicated",
    "ShardedByS3Key",
    "FullyReplicated",
  ]);
});

function aPipeline(changes: Readonly<Record<string, unknown>> = {}): {
  spec: FleetSpec;
  training: PipelineTraining;
} {
  const spec = fleetSpecSchema.parse({
    ...aFleetSpec({ name: "prices" }),
    training: {
      kind: "pipeline",
      source: "model",
      sourceHash,
      keepAliveSeconds: 60,
      preprocessor: { source: "preprocessor", sourceHash, ...changes },
    },
    endpoint: { kind: "pipeline" },
  });
  if (spec.training.kind !== "pipeline") throw new Error("it has just been declared");
  return { spec, training: spec.training };
}

test("another preprocessor is one of other code, hyperparameters or columns, not of other instances", () => {
  const hash = (changes: Readonly<Record<string, unknown>>, columns: unknown = ["x"]) =>
    preprocessorHash(aPipeline(changes).training.preprocessor, columns);
  const same = hash({});
  expect(hash({ instanceType: "ml.m5.xlarge", transform: { maxPayloadInMb: 1 } })).toBe(same);
  expect(hash({ sourceHash: "1".repeat(64) })).not.toBe(same);
  expect(hash({ hyperparameters: { degree: "2" } })).not.toBe(same);
  expect(hash({}, ["x", "y"])).not.toBe(same);
});

test("a batch transform sends whole lines in requests that fit, to the fitted preprocessor", () => {
  const { preprocessor } = aPipeline({ transform: { maxPayloadInMb: 40 } }).training;
  const plan = {
    ...place,
    fleet: "prices",
    cycle: "2026-01-01",
    round: 0,
    generation: 2,
    preprocessor,
    transform: preprocessor.transform,
    artifactUri: "s3://bucket/model.tar.gz",
    part: "train",
    rowsUri: "s3://bucket/rows.manifest",
    folder: "made/data/",
  };
  expect(transformRequest(plan)).toMatchObject({
    TransformJobName: expect.stringMatching(/^mf-prices-train-g2-2026-01-01-0-/) as unknown,
    ModelName: preprocessorModel(plan).ModelName,
    MaxPayloadInMB: 40,
    MaxConcurrentTransforms: 2, // AWS: together at most 100 MB.
    BatchStrategy: "MultiRecord",
    TransformInput: { SplitType: "Line" },
    TransformOutput: { S3OutputPath: "s3://bucket/made/data", AssembleWith: "Line" },
  });
  expect(preprocessorModel(plan).PrimaryContainer).toMatchObject({
    ModelDataUrl: "s3://bucket/model.tar.gz",
    Environment: { SAGEMAKER_PROGRAM: "inference.py" },
  });
});

test("training reads what was prepared, and scores a champion of an older generation on its own rows", () => {
  const request = (championGeneration: number | null) =>
    trainingJobRequest({
      spec: aPipeline().spec,
      ...{ cycle: "2026-01-01", customerKey: "xna", round: 0, dataHash: "d", ...place },
      championUri: "s3://bucket/champion.tar.gz",
      places: { ...AS_EXPORTED, transformed: "made/", generation: 2, championGeneration },
    });
  const channels = (one: ReturnType<typeof request>) =>
    one.InputDataConfig?.map(({ ChannelName, DataSource }) => [
      ChannelName,
      DataSource?.S3DataSource?.S3Uri,
    ]);
  expect(channels(request(2))).toEqual([
    ["train", "s3://bucket/made/data/xna/train/"],
    ["validation", "s3://bucket/made/data/xna/validation/"],
    ["test", "s3://bucket/made/data/xna/test/"],
    ["schema", "s3://bucket/fleets/prices/cycles/2026-01-01/schema/"],
    ["champion", "s3://bucket/champion.tar.gz"],
  ]);
  expect(channels(request(1))?.at(-1)).toEqual([
    "champion_test",
    "s3://bucket/made/champions/g1/xna/test/",
  ]);
  expect(request(2).ResourceConfig).toMatchObject({ KeepAlivePeriodInSeconds: 60 });
});
