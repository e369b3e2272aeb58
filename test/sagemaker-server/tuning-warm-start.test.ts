/** Warm starts: what may change between a tuning job and its parents, and what the parents are good for. */
import type {
  HyperParameterTrainingJobDefinition,
  HyperParameterTuningJobConfig,
  HyperParameterTuningJobWarmStartConfig,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { beforeAll, describe, expect, test } from "vitest";
import { bucket, putObject, sagemakerClient, useCloud, useServer } from "./cloud.js";
import { aTuningJob, xgboostImage } from "./requests.js";
import { tunedValues, tuningClient } from "./tuning-client.js";

const cloud = useCloud(17612);
const url = useServer(cloud, { quotas: { trainingJobs: 30 } });
let client: SageMakerClient;
beforeAll(async () => {
  client = sagemakerClient(url());
  for (const folder of ["old", "new"]) await putObject(cloud(), `${folder}/data.csv`, "1\n");
});
const { completed, start, trials } = tuningClient(() => client);

type Config = Partial<HyperParameterTuningJobConfig>;
type Definition = Partial<HyperParameterTrainingJobDefinition>;
type WarmStartType = HyperParameterTuningJobWarmStartConfig["WarmStartType"];

const limits = (MaxNumberOfTrainingJobs: number, MaxParallelTrainingJobs = 1) => ({
  ResourceLimits: { MaxNumberOfTrainingJobs, MaxParallelTrainingJobs },
});
const data = (folder: string): Definition => ({
  InputDataConfig: [
    {
      ChannelName: "train",
      DataSource: { S3DataSource: { S3DataType: "S3Prefix", S3Uri: `s3://${bucket}/${folder}/` } },
    },
  ],
});
const warmStart = (WarmStartType: WarmStartType, ...parents: string[]) => ({
  WarmStartConfig: {
    WarmStartType,
    ParentHyperParameterTuningJobs: parents.map((name) => ({ HyperParameterTuningJobName: name })),
  },
});

describe("what is refused", () => {
  const statics = Object.fromEntries(Array.from({ length: 11 }, (_, n) => [`s${n}`, "a"]));
  const parentConfig: Config = {
    Strategy: "Random",
    ParameterRanges: {
      ContinuousParameterRanges: [{ Name: "metric:rmse", MinValue: "0", MaxValue: "10" }],
      CategoricalParameterRanges: [{ Name: "booster", Values: ["gbtree", "dart"] }],
    },
    ...limits(2),
  };
  const parentDefinition: Definition = {
    StaticHyperParameters: statics,
    Environment: { COLOUR: "green" },
    ...data("old"),
  };
  let parent: string;
  beforeAll(async () => {
    parent = (await completed(parentConfig, parentDefinition)).HyperParameterTuningJobName ?? "";
  });
  const child = (type: WarmStartType, config: Config = {}, definition: Definition = {}) =>
    start(
      { ...parentConfig, ...config },
      { ...parentDefinition, ...definition },
      warmStart(type, parent),
    );
  const changed = (count: number) =>
    Object.fromEntries(Object.keys(statics).map((name, n) => [name, n < count ? "b" : "a"]));
  const { ContinuousParameterRanges = [] } = parentConfig.ParameterRanges ?? {};
  const boosterIsStatic: Config = { ParameterRanges: { ContinuousParameterRanges } };

  test.each<[string, WarmStartType, Config, Definition, RegExp]>([
    [
      "another metric",
      "TransferLearning",
      { HyperParameterTuningJobObjective: { Type: "Maximize", MetricName: "rmse" } },
      {},
      /objective metric of a warm start tuning job must be the same/,
    ],
    [
      "a hyperparameter more",
      "TransferLearning",
      {},
      { StaticHyperParameters: { ...statics, extra: "1" } },
      /^The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs\. Please ensure/,
    ],
    [
      "another environment",
      "TransferLearning",
      {},
      { Environment: { COLOUR: "red" } },
      /^Only the following fields in TrainingJobDefinition are allowed to change: \[algorithmSpecification, inputDataConfig, outputDataConfig, staticHyperParameters, roleArn, resourceConfig, stoppingCondition, vpcConfig, enableManagedSpotTraining, checkpointConfig\]\.$/,
    ],
    [
      "retries",
      "TransferLearning",
      {},
      { RetryStrategy: { MaximumRetryAttempts: 1 } },
      /^Only the following fields/,
    ],
    [
      "isolation",
      "TransferLearning",
      {},
      { EnableNetworkIsolation: true },
      /^Only the following fields/,
    ],
    [
      "another type of a hyperparameter",
      "TransferLearning",
      {
        ParameterRanges: {
          IntegerParameterRanges: [{ Name: "metric:rmse", MinValue: "0", MaxValue: "10" }],
          CategoricalParameterRanges: [{ Name: "booster", Values: ["gbtree", "dart"] }],
        },
      },
      {},
      /type of hyperparameter metric:rmse must not change: it is integer, .* it was continuous/,
    ],
    [
      "eleven changed static values",
      "TransferLearning",
      {},
      { StaticHyperParameters: changed(11) },
      /more than 10: .* it is 11/,
    ],
    [
      "nine changed static values and a category of two that becomes static",
      "TransferLearning",
      boosterIsStatic,
      { StaticHyperParameters: { ...changed(9), booster: "dart" } },
      /more than 10: .* it is 11/,
    ],
    [
      "other data as identical",
      "IdenticalDataAndAlgorithm",
      {},
      data("new"),
      /needs the same input data/,
    ],
    [
      "another image as identical",
      "IdenticalDataAndAlgorithm",
      {},
      { AlgorithmSpecification: algorithm("registry/modelfleet-noop:2") },
      /needs the same training image/,
    ],
    [
      "too many jobs together with the parents'",
      "TransferLearning",
      { Strategy: "Bayesian", ...limits(29) },
      {},
      /maximum of 30 training jobs .* would be 31/,
    ],
  ])("%s", async (_, type, config, definition, message) => {
    await expect(child(type, config, definition)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringMatching(message) as string,
    });
  });

  test.each<[string, WarmStartType, Config, Definition]>([
    [
      "other data, image, role's output and volume for TransferLearning",
      "TransferLearning",
      {},
      { ...data("new"), AlgorithmSpecification: algorithm("registry/modelfleet-noop:2") },
    ],
    ["ten changed static values", "TransferLearning", {}, { StaticHyperParameters: changed(10) }],
    [
      "eight changed static values and a category of two that becomes static",
      "TransferLearning",
      boosterIsStatic,
      { StaticHyperParameters: { ...changed(8), booster: "dart" } },
    ],
    [
      "other ranges and scales for identical data",
      "IdenticalDataAndAlgorithm",
      {
        ParameterRanges: {
          ContinuousParameterRanges: [
            { Name: "metric:rmse", MinValue: "1", MaxValue: "2", ScalingType: "Logarithmic" },
          ],
          CategoricalParameterRanges: [{ Name: "booster", Values: ["dart"] }],
        },
      },
      {},
    ],
    [
      "switches that are off, given or not",
      "IdenticalDataAndAlgorithm",
      {},
      { EnableNetworkIsolation: false },
    ],
  ])("but not %s", async (_, type, config, definition) => {
    await expect(child(type, config, definition)).resolves.toBeTypeOf("string");
  });

  test("parents that are unknown, given twice, more than five, or still searching", async () => {
    const refused = (...parents: string[]) =>
      expect(start(parentConfig, parentDefinition, warmStart("TransferLearning", ...parents)))
        .rejects;
    await refused("nobody").toMatchObject({
      name: "ValidationException",
      message: "Amazon SageMaker can't find the parent tuning job nobody.",
    });
    await refused(parent, parent.toUpperCase()).toThrow("more than once");
    await refused(...["a", "b", "c", "d", "e", "f"]).toThrow("length less than or equal to 5");
    const put = (faults: object) =>
      fetch(`${url()}/_local/faults`, { method: "PUT", body: JSON.stringify(faults) });
    await put({ slowStartSeconds: 30 });
    const specification = { AlgorithmSpecification: algorithm(xgboostImage) };
    const slow = await start(parentConfig, { ...parentDefinition, ...specification });
    await refused(slow).toThrow(/is in status InProgress: all parent tuning jobs must be/);
    await put({});
  });
});

function algorithm(TrainingImage: string) {
  const { TrainingJobDefinition } = aTuningJob();
  const { MetricDefinitions = [] } = TrainingJobDefinition?.AlgorithmSpecification ?? {};
  return { TrainingImage, TrainingInputMode: "File" as const, MetricDefinitions };
}

describe("what parents are good for", () => {
  /** The no-op image reports the tuned value: the nearer to 0, the better. */
  const search = (jobs: number): Config => ({
    Strategy: "Bayesian",
    RandomSeed: 3,
    ...limits(jobs),
  });

  test("on other data the parents' best point is tried first", async () => {
    const parent = await completed(search(12), data("old"));
    const best = parent.BestTrainingJob?.TunedHyperParameters;
    const child = await completed(
      search(6),
      data("new"),
      warmStart("TransferLearning", parent.HyperParameterTuningJobName ?? ""),
    );
    const found = await trials(child.HyperParameterTuningJobName ?? "");
    expect(found[0]?.TunedHyperParameters).toEqual(best);
    expect(child).not.toHaveProperty("OverallBestTrainingJob");
  });

  test("on the same data the search goes on near the best, tries nothing again, and names the best of all", async () => {
    const parent = await completed(search(15), data("old"));
    const child = await completed(
      search(8),
      data("old"),
      warmStart("IdenticalDataAndAlgorithm", parent.HyperParameterTuningJobName ?? ""),
    );
    const before = tunedValues(await trials(parent.HyperParameterTuningJobName ?? ""));
    const after = tunedValues(await trials(child.HyperParameterTuningJobName ?? ""));
    expect(before.filter((value) => after.includes(value))).toEqual([]);
    const mean = (values: number[]) =>
      values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(after.slice(0, 4))).toBeLessThan(mean(before.slice(0, 4)));
    const value = ({ BestTrainingJob }: typeof parent) =>
      BestTrainingJob?.FinalHyperParameterTuningJobObjectiveMetric?.Value ?? Infinity;
    const overall = child.OverallBestTrainingJob;
    expect(overall?.FinalHyperParameterTuningJobObjectiveMetric?.Value).toBe(
      Math.min(value(parent), value(child)),
    );
    expect(overall?.TuningJobName).toBe(
      (value(parent) <= value(child) ? parent : child).HyperParameterTuningJobName,
    );
  });

  test("a space that the parents have used up ends at once, with their best", async () => {
    const grid: Config = {
      Strategy: "Grid",
      ResourceLimits: { MaxParallelTrainingJobs: 1 },
      ParameterRanges: {
        CategoricalParameterRanges: [{ Name: "metric:rmse", Values: ["2", "1"] }],
      },
    };
    const parent = await completed(grid, data("old"));
    const identical = warmStart(
      "IdenticalDataAndAlgorithm",
      parent.HyperParameterTuningJobName ?? "",
    );
    const child = await completed(grid, data("old"), identical);
    expect(child.TrainingJobStatusCounters?.Completed).toBe(0);
    expect(child.OverallBestTrainingJob).toEqual(parent.BestTrainingJob);
  });
});
