/** The tuning job operations: what the API says about searches, and what it refuses. */
import {
  AddTagsCommand,
  CreateHyperParameterTuningJobCommand,
  DeleteHyperParameterTuningJobCommand,
  DeleteTrainingJobCommand,
  ListHyperParameterTuningJobsCommand,
  ListTagsCommand,
  ListTrainingJobsForHyperParameterTuningJobCommand,
  paginateListHyperParameterTuningJobs,
  StopHyperParameterTuningJobCommand,
} from "@aws-sdk/client-sagemaker";
import type {
  HyperParameterTrainingJobDefinition,
  HyperParameterTuningJobConfig,
  ParameterRanges,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { beforeAll, describe, expect, test } from "vitest";
import {
  account,
  bucket,
  otherKeys,
  region,
  sagemakerClient,
  useCloud,
  useServer,
} from "./cloud.js";
import { aTuningJob, unique } from "./requests.js";
import { tunedValues, tuningClient } from "./tuning-client.js";

const cloud = useCloud(17600);
const url = useServer(cloud);
let client: SageMakerClient;
beforeAll(() => {
  client = sagemakerClient(url());
});
const { completed, describeJob, describeTrainingJob, start, trials, until } = tuningClient(
  () => client,
);

const limits = (MaxNumberOfTrainingJobs: number, MaxParallelTrainingJobs = 1) => ({
  ResourceLimits: { MaxNumberOfTrainingJobs, MaxParallelTrainingJobs },
});
const continuous = (Name: string, MinValue: string, MaxValue: string, ScalingType?: "Auto") => ({
  ContinuousParameterRanges: [{ Name, MinValue, MaxValue, ...(ScalingType && { ScalingType }) }],
});
const categorical = (Name: string, ...Values: string[]) => ({
  CategoricalParameterRanges: [{ Name, Values }],
});
/** A grid whose objective is the value itself. */
const gridOf = (...values: string[]): Partial<HyperParameterTuningJobConfig> => ({
  Strategy: "Grid",
  ParameterRanges: categorical("metric:rmse", ...values),
  ResourceLimits: { MaxParallelTrainingJobs: 2 },
});

describe("a search", () => {
  test("launches ordinary training jobs and names the best of them", async () => {
    const Tags = [{ Key: "fleet", Value: "flights" }];
    const StaticHyperParameters = { eta: "0.1" };
    const job = await completed(gridOf("5", "2.5", "9"), { StaticHyperParameters }, { Tags });
    const name = job.HyperParameterTuningJobName ?? "";
    const arn = `arn:aws:sagemaker:${region}:${account}:hyper-parameter-tuning-job/${name}`;
    expect(job).toMatchObject({
      HyperParameterTuningJobArn: arn,
      TrainingJobStatusCounters: {
        ...{ Completed: 3, InProgress: 0, Stopped: 0 },
        ...{ RetryableError: 0, NonRetryableError: 0 },
      },
      ObjectiveStatusCounters: { Succeeded: 3, Pending: 0, Failed: 0 },
      BestTrainingJob: {
        TunedHyperParameters: { "metric:rmse": "2.5" },
        FinalHyperParameterTuningJobObjectiveMetric: {
          ...{ Type: "Minimize", MetricName: "rmse", Value: 2.5 },
        },
        ObjectiveStatus: "Succeeded",
        TrainingJobStatus: "Completed",
      },
      TuningJobCompletionDetails: {
        NumberOfTrainingJobsObjectiveNotImproving: expect.any(Number) as number,
      },
    });
    expect(job.HyperParameterTuningEndTime).toBeInstanceOf(Date);
    expect(job.ConsumedResources?.RuntimeInSeconds).toBeGreaterThan(0);
    expect(job).not.toHaveProperty("OverallBestTrainingJob");

    const [first] = await trials(name);
    expect(first?.TrainingJobName).toMatch(new RegExp(`^${name}-001-[0-9a-f]{8}$`));
    expect(first?.TrainingJobArn).toContain(":training-job/");
    const training = await describeTrainingJob(first?.TrainingJobName);
    expect(training).toMatchObject({
      TuningJobArn: arn,
      HyperParameters: {
        ...{ eta: "0.1", "metric:rmse": "5", _tuning_objective_metric: "rmse" },
      },
    });
    const tags = await client.send(new ListTagsCommand({ ResourceArn: first?.TrainingJobArn }));
    expect(tags.Tags).toEqual(Tags);
  });

  test("maximizes as well", async () => {
    const job = await completed({
      ...gridOf("5", "2.5", "9"),
      HyperParameterTuningJobObjective: { Type: "Maximize", MetricName: "rmse" },
    });
    expect(job.BestTrainingJob?.TunedHyperParameters).toEqual({ "metric:rmse": "9" });
  });

  test("of a grid tries every combination once", async () => {
    const job = await completed({
      Strategy: "Grid",
      ResourceLimits: { MaxParallelTrainingJobs: 3, MaxNumberOfTrainingJobs: 6 },
      ParameterRanges: {
        CategoricalParameterRanges: [
          { Name: "metric:rmse", Values: ["1", "2"] },
          { Name: "booster", Values: ["gbtree", "dart", "gblinear"] },
        ],
      },
    });
    const tried = (await trials(job.HyperParameterTuningJobName ?? "")).map((trial) =>
      JSON.stringify(trial.TunedHyperParameters),
    );
    expect(tried).toHaveLength(6);
    expect(new Set(tried).size).toBe(6);
  });

  test.each(["Bayesian", "Random"] as const)(
    "of strategy %s with a seed and one job at a time is the same again",
    async (Strategy) => {
      const config = { Strategy, RandomSeed: 7, ...limits(14) };
      const ParameterRanges: ParameterRanges = {
        ContinuousParameterRanges: [
          { Name: "metric:rmse", MinValue: "0.0001", MaxValue: "1", ScalingType: "Logarithmic" },
          {
            Name: "momentum",
            MinValue: "0.5",
            MaxValue: "0.999",
            ScalingType: "ReverseLogarithmic",
          },
        ],
        IntegerParameterRanges: [{ Name: "depth", MinValue: "-3", MaxValue: "10" }],
        ...categorical("booster", "gbtree", "dart"),
      };
      const points = async (RandomSeed: number) => {
        const job = await completed({ ...config, RandomSeed, ParameterRanges });
        const found = await trials(job.HyperParameterTuningJobName ?? "");
        return found.map(({ TunedHyperParameters }) => TunedHyperParameters);
      };
      const first = await points(7);
      expect(await points(7)).toEqual(first);
      expect(await points(8)).not.toEqual(first);
      for (const point of first) {
        const within = (name: string, low: number, high: number) => {
          const value = Number(point?.[name]);
          expect(value).toBeGreaterThanOrEqual(low);
          expect(value).toBeLessThanOrEqual(high);
        };
        within("metric:rmse", 0.0001, 1);
        within("momentum", 0.5, 0.999);
        within("depth", -3, 10);
        expect(point?.["depth"]).toMatch(/^-?\d+$/);
        expect(["gbtree", "dart"]).toContain(point?.["booster"]);
      }
    },
  );

  test("never tries a point twice, and uses up a space that is just large enough", async () => {
    const ParameterRanges = {
      IntegerParameterRanges: [{ Name: "metric:rmse", MinValue: "1", MaxValue: "12" }],
    };
    const job = await completed({ Strategy: "Bayesian", ParameterRanges, ...limits(12, 3) });
    const values = tunedValues(await trials(job.HyperParameterTuningJobName ?? ""));
    expect([...values].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test("ends when its target is reached, or when it does not get better", async () => {
    const reached = await completed({
      ...gridOf("5", "1", "9", "8", "7"),
      ResourceLimits: { MaxParallelTrainingJobs: 1 },
      TuningJobCompletionCriteria: { TargetObjectiveMetricValue: 2 },
    });
    expect(reached.TrainingJobStatusCounters?.Completed).toBe(2);
    const stuck = await completed({
      ...gridOf("5", "4.99", "9", "6", "1", "2"),
      ResourceLimits: { MaxParallelTrainingJobs: 1 },
      TuningJobCompletionCriteria: {
        BestObjectiveNotImproving: { MaxNumberOfTrainingJobsNotImproving: 3 },
      },
    });
    expect(stuck.TrainingJobStatusCounters?.Completed).toBe(4);
    expect(stuck.BestTrainingJob?.TunedHyperParameters).toEqual({ "metric:rmse": "4.99" });
    expect(stuck.TuningJobCompletionDetails?.NumberOfTrainingJobsObjectiveNotImproving).toBe(3);
  });

  test("that finds no objective anywhere fails, and says why", async () => {
    const name = await start({ ParameterRanges: continuous("eta", "0", "1"), ...limits(9) });
    const job = await until(name, { HyperParameterTuningJobStatus: "Failed" });
    expect(job.FailureReason).toMatch(
      /^No objective metrics found after running 5 training jobs\./,
    );
    expect(job.ObjectiveStatusCounters).toEqual({ Succeeded: 0, Pending: 0, Failed: 5 });
    expect(job).not.toHaveProperty("BestTrainingJob");
  });
});

describe("names", () => {
  test("are used up, in any case of letters", async () => {
    const name = unique("Tune-A");
    await completed(gridOf("1", "2"), {}, { HyperParameterTuningJobName: name });
    expect((await describeJob(name.toLowerCase())).HyperParameterTuningJobName).toBe(name);
    const again = name.toUpperCase();
    await expect(
      start(gridOf("1"), {}, { HyperParameterTuningJobName: again }),
    ).rejects.toMatchObject({
      name: "ResourceInUse",
      message: `A hyperparameter tuning job with the name, ${again}, already exists. Choose a different name.`,
    });
  });

  test("are free again once the tuning job is deleted; its training jobs stay, as nobody's", async () => {
    const name = unique("again");
    const request = { HyperParameterTuningJobName: name };
    const { BestTrainingJob } = await completed(gridOf("1", "2"), {}, request);
    await client.send(new DeleteHyperParameterTuningJobCommand(request));
    await expect(describeJob(name)).rejects.toMatchObject({ name: "ResourceNotFound" });
    const best = await describeTrainingJob(BestTrainingJob?.TrainingJobName);
    expect(best.TrainingJobStatus).toBe("Completed");
    await expect(
      start(
        {},
        {},
        {
          WarmStartConfig: {
            WarmStartType: "TransferLearning",
            ParentHyperParameterTuningJobs: [request],
          },
        },
      ),
    ).rejects.toThrow(`can't find the parent tuning job ${name}.`);
    const again = await completed(gridOf("3", "4"), {}, request);
    expect(again.TrainingJobStatusCounters?.Completed).toBe(2);
    expect(tunedValues(await trials(name))).toEqual([3, 4]);
  });

  test("belong to an account: another one has its own", async () => {
    const { HyperParameterTuningJobName } = await completed(gridOf("1", "2"));
    const there = tuningClient(() => sagemakerClient(url(), otherKeys));
    await expect(there.describeJob(HyperParameterTuningJobName ?? "")).rejects.toMatchObject({
      name: "ResourceNotFound",
    });
  });
});

describe("unknown and finished tuning jobs", () => {
  test("an unknown one is a ResourceNotFound, unlike a training job", async () => {
    const HyperParameterTuningJobName = unique("nobody");
    const refusal = {
      name: "ResourceNotFound",
      message: `Amazon SageMaker can't find a tuning job called ${HyperParameterTuningJobName}. Type another name.`,
    };
    const input = { HyperParameterTuningJobName };
    await expect(describeJob(HyperParameterTuningJobName)).rejects.toMatchObject(refusal);
    await expect(client.send(new StopHyperParameterTuningJobCommand(input))).rejects.toMatchObject(
      refusal,
    );
    await expect(
      client.send(new ListTrainingJobsForHyperParameterTuningJobCommand(input)),
    ).rejects.toMatchObject(refusal);
  });

  test("a finished one cannot be stopped", async () => {
    const { HyperParameterTuningJobName } = await completed(gridOf("1", "2"));
    const stop = new StopHyperParameterTuningJobCommand({ HyperParameterTuningJobName });
    await expect(client.send(stop)).rejects.toMatchObject({
      name: "ValidationException",
      message:
        "The request was rejected because the hyperparameter tuning job is in status Completed.",
    });
  });

  test("its training jobs can be deleted once it has ended", async () => {
    const { HyperParameterTuningJobName: name = "", BestTrainingJob } = await completed(
      gridOf("1", "2"),
    );
    const { TrainingJobName } = BestTrainingJob ?? {};
    await client.send(new DeleteTrainingJobCommand({ TrainingJobName }));
    expect((await describeJob(name)).BestTrainingJob).toEqual(BestTrainingJob);
    expect(await trials(name)).toHaveLength(1);
  });
});

const range = (range: object): Partial<HyperParameterTuningJobConfig> => ({
  ParameterRanges: {
    ContinuousParameterRanges: [{ Name: "x", MinValue: "0", MaxValue: "1", ...range }],
  },
});
const integers = (range: object): Partial<HyperParameterTuningJobConfig> => ({
  ParameterRanges: {
    IntegerParameterRanges: [{ Name: "x", MinValue: "0", MaxValue: "9", ...range }],
  },
});
const manyRanges = Array.from({ length: 16 }, (_, index) => index);
type Refused = [
  what: string,
  config: Partial<HyperParameterTuningJobConfig>,
  definition: Partial<HyperParameterTrainingJobDefinition>,
  message: RegExp,
];

describe("what is refused at creation", () => {
  test.each<Refused>([
    [
      "bounds that are no numbers",
      range({ MinValue: "low" }),
      {},
      /MinValue "low", which is not a number/,
    ],
    [
      "bounds of an integer with a fraction",
      integers({ MaxValue: "2.5" }),
      {},
      /"2.5", which is not an integer/,
    ],
    ["an empty range", range({ MaxValue: "0" }), {}, /must be less than MaxValue/],
    ["a logarithm of 0", range({ ScalingType: "Logarithmic" }), {}, /greater than 0/],
    [
      "a reverse logarithm up to 1",
      range({ ScalingType: "ReverseLogarithmic" }),
      {},
      /0 <= x < 1\.0/,
    ],
    [
      "a reverse logarithm of integers",
      integers({ ScalingType: "ReverseLogarithmic" }),
      {},
      /only continuous/,
    ],
    ["no ranges", { ParameterRanges: {} }, {}, /at least one range/],
    [
      "more than 30 ranges",
      {
        ParameterRanges: {
          ContinuousParameterRanges: manyRanges.map((n) => ({
            Name: `a${n}`,
            MinValue: "0",
            MaxValue: "1",
          })),
          IntegerParameterRanges: manyRanges.map((n) => ({
            Name: `b${n}`,
            MinValue: "0",
            MaxValue: "9",
          })),
        },
      },
      {},
      /at most 30 hyperparameters, not 32/,
    ],
    [
      "two ranges of one name",
      { ParameterRanges: { ...continuous("x", "0", "1"), ...categorical("x", "a", "b") } },
      {},
      /x has more than one range/,
    ],
    ["a category twice", { ParameterRanges: categorical("x", "a", "a") }, {}, /"a" twice/],
    [
      "a static value for what is tuned",
      range({}),
      { StaticHyperParameters: { x: "1" } },
      /both static and tunable/,
    ],
    [
      "the tuner's own hyperparameter",
      range({}),
      { StaticHyperParameters: { _tuning_objective_metric: "rmse" } },
      /is set by the tuning job/,
    ],
    [
      "more than 100 hyperparameters, the tuner's own included",
      range({}),
      {
        StaticHyperParameters: Object.fromEntries(
          Array.from({ length: 99 }, (_, n) => [`s${n}`, ""]),
        ),
      },
      /at most 100 hyperparameters: 100 static and tunable/,
    ],
    [
      "a metric that no definition captures",
      { HyperParameterTuningJobObjective: { Type: "Minimize", MetricName: "validation:rmse" } },
      {},
      /^A metric is required for this hyperparameter tuning job objective\. Provide a metric in the metric definitions\.$/,
    ],
    [
      "no objective",
      { HyperParameterTuningJobObjective: undefined },
      {},
      /HyperParameterTuningJobObjective/,
    ],
    [
      "fewer combinations than jobs",
      { ...integers({ MaxValue: "2" }), ...limits(10) },
      {},
      /^You don't have enough combinations of hyperparameter ranges\. The total number of hyperparameter combinations for the provided ranges \[3\.0\] must be equal or greater than the value of MaxNumberOfJobs, \[10\]\. Provide additional ranges\.$/,
    ],
    ["more parallel jobs than jobs", limits(2, 3), {}, /MaxParallelTrainingJobs 3/],
    [
      "a search without an end",
      { ResourceLimits: { MaxParallelTrainingJobs: 1 } },
      {},
      /needs MaxNumberOfTrainingJobs/,
    ],
    [
      "a grid of numbers",
      { ...range({}), Strategy: "Grid" },
      {},
      /categorical hyperparameters only: x is continuous/,
    ],
    [
      "half a grid",
      { ...gridOf("1", "2", "3"), ...limits(2) },
      {},
      /number of combinations, 3: it is 2/,
    ],
    ["Hyperband without a resource", { Strategy: "Hyperband" }, {}, /needs MaxResource/],
    [
      "Hyperband with early stopping",
      { Strategy: "Hyperband", TrainingJobEarlyStoppingType: "Auto" },
      { StaticHyperParameters: { epochs: "10" } },
      /must be Off for the strategy Hyperband/,
    ],
    [
      "too much of a resource",
      { Strategy: "Hyperband" },
      { StaticHyperParameters: { num_epochs: "20001" } },
      /over the maximum of 20000/,
    ],
    [
      "less resource than the least",
      {
        Strategy: "Hyperband",
        StrategyConfig: { HyperbandStrategyConfig: { MinResource: 5, MaxResource: 4 } },
      },
      {},
      /MinResource 5 must not be greater/,
    ],
    [
      "Hyperband's settings for another strategy",
      { StrategyConfig: { HyperbandStrategyConfig: { MaxResource: 4 } } },
      {},
      /only for the strategy Hyperband/,
    ],
    ["no instances", {}, { ResourceConfig: undefined }, /needs ResourceConfig/],
    [
      "input data that is not there",
      {},
      {
        InputDataConfig: [
          {
            ChannelName: "train",
            DataSource: {
              S3DataSource: { S3DataType: "S3Prefix", S3Uri: `s3://${bucket}/nothing/` },
            },
          },
        ],
      },
      /^No S3 objects found under S3 URL/,
    ],
  ])("%s", async (_, config, definition, message) => {
    await expect(start(config, definition)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringMatching(message) as string,
    });
  });

  test.each([
    [{ Autotune: { Mode: "Enabled" as const } }, /no Autotune/],
    [{ TrainingJobDefinition: undefined }, /needs TrainingJobDefinition/],
    [
      { HyperParameterTuningJobName: "a-name-of-more-than-32-characters" },
      /at 'hyperParameterTuningJobName'/,
    ],
    [{ Tags: [1, 2].map(() => ({ Key: "k", Value: "" })) }, /Duplicate tag/],
  ])("%j", async (changes, message) => {
    const request = { ...aTuningJob(), ...changes };
    await expect(
      client.send(new CreateHyperParameterTuningJobCommand(request)),
    ).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringMatching(message) as string,
    });
  });

  test.each([
    [
      limits(20, 11),
      /'Maximum number of parallel training jobs per hyperparameter tuning job' is 10/,
    ],
    [
      { ...limits(751, 1), Strategy: "Bayesian" as const },
      /'Maximum number of training jobs per hyperparameter tuning job' is 750/,
    ],
    [
      { ResourceLimits: { MaxParallelTrainingJobs: 1, MaxRuntimeInSeconds: 31 * 24 * 3600 } },
      /'Maximum run time of a hyperparameter tuning job' is 2592000 Seconds/,
    ],
  ])("over the account's quota: %j", async (config, message) => {
    await expect(start(config)).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringMatching(message) as string,
    });
  });
});

describe("lists", () => {
  test("tuning jobs come by name, and are found whatever the case of letters", async () => {
    const infix = unique("List");
    for (const letter of ["c", "a", "b"])
      await completed(gridOf("1", "2"), {}, { HyperParameterTuningJobName: `${letter}-${infix}` });
    const found: (string | undefined)[] = [];
    const pages = paginateListHyperParameterTuningJobs(
      { client, pageSize: 2 },
      { NameContains: infix.toUpperCase(), StatusEquals: "Completed" },
    );
    for await (const { HyperParameterTuningJobSummaries = [] } of pages) {
      for (const summary of HyperParameterTuningJobSummaries) {
        found.push(summary.HyperParameterTuningJobName);
        expect(summary).toMatchObject({
          ...{ Strategy: "Grid", HyperParameterTuningJobStatus: "Completed" },
          TrainingJobStatusCounters: { Completed: 2 },
          ResourceLimits: { MaxParallelTrainingJobs: 2 },
        });
      }
    }
    expect(found).toEqual(["a", "b", "c"].map((letter) => `${letter}-${infix}`));
    const none = new ListHyperParameterTuningJobsCommand({
      NameContains: infix,
      StatusEquals: "Failed",
    });
    expect((await client.send(none)).HyperParameterTuningJobSummaries).toEqual([]);
  });

  test("training jobs come by name, 10 at a time, or by their objective, then only those that have one", async () => {
    const values = ["3", "1", "none", "2", "5", "4", "6", "7", "8", "9", "10"];
    const { HyperParameterTuningJobName } = await completed(gridOf(...values));
    const list = async (changes: object) => {
      const input = { HyperParameterTuningJobName, ...changes };
      const { TrainingJobSummaries = [], NextToken } = await client.send(
        new ListTrainingJobsForHyperParameterTuningJobCommand(input),
      );
      const summaries = TrainingJobSummaries.map((summary) => ({
        value: summary.TunedHyperParameters?.["metric:rmse"],
        status: summary.ObjectiveStatus,
      }));
      return { summaries, NextToken };
    };
    const byName = await list({});
    expect(byName.summaries.map(({ value }) => value)).toEqual(values.slice(0, 10));
    expect(byName.summaries[2]).toEqual({ value: "none", status: "Failed" });
    const rest = await list({ NextToken: byName.NextToken });
    expect(rest).toEqual({
      summaries: [{ value: "10", status: "Succeeded" }],
      NextToken: undefined,
    });

    const byValue = { SortBy: "FinalObjectiveMetricValue", SortOrder: "Descending", MaxResults: 6 };
    const best = await list(byValue);
    expect(best.summaries.map(({ value }) => value)).toEqual(["10", "9", "8", "7", "6", "5"]);
    const others = await list({ ...byValue, NextToken: best.NextToken });
    expect(others.summaries.map(({ value }) => value)).toEqual(["4", "3", "2", "1"]);
    expect((await list({ StatusEquals: "Failed" })).summaries).toEqual([]);
  });
});

test("a tag added to a tuning job does not reach the training jobs that it has launched already", async () => {
  const { HyperParameterTuningJobArn, HyperParameterTuningJobName = "" } = await completed(
    gridOf("1", "2"),
  );
  const Tags = [{ Key: "later", Value: "yes" }];
  await client.send(new AddTagsCommand({ ResourceArn: HyperParameterTuningJobArn, Tags }));
  const [trial] = await trials(HyperParameterTuningJobName);
  const tags = await client.send(new ListTagsCommand({ ResourceArn: trial?.TrainingJobArn }));
  expect(tags.Tags).toEqual([]);
});

describe("quotas", () => {
  const withoutTuning = useServer(cloud, { port: 0, quotas: { tuningJobs: 0 } });

  test("a tuning job needs the instances of all training jobs that may run at a time", async () => {
    const put = (faults: object) =>
      fetch(`${url()}/_local/faults`, { method: "PUT", body: JSON.stringify(faults) });
    await put({ resourceLimit: { "ml.m5.large": 3 } });
    await expect(start(limits(8, 4))).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringContaining(
        "'ml.m5.large for training job usage' is 3 Instances, with current utilization of 0 Instances " +
          "and a request delta of 4 Instances.",
      ) as string,
    });
    const job = await completed(limits(8, 3));
    expect(job.TrainingJobStatusCounters?.Completed).toBe(8);
    await put({});
  });

  test("only so many tuning jobs are under way at a time", async () => {
    const there = tuningClient(() => sagemakerClient(withoutTuning()));
    await expect(there.start()).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringContaining(
        "'Number of concurrent hyperparameter tuning jobs' is 0",
      ) as string,
    });
  });
});
