/** Tuning jobs whose training jobs run Python: stopped early, failing, stopped by hand, taken up after a restart. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  CreateHyperParameterTuningJobCommand,
  DeleteHyperParameterTuningJobCommand,
  DescribeHyperParameterTuningJobCommand,
  StopHyperParameterTuningJobCommand,
} from "@aws-sdk/client-sagemaker";
import type {
  HyperParameterTuningJobConfig,
  ParameterRanges,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import pg from "pg";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { startServer } from "../../local/sagemaker/server.js";
import { tarGz } from "../hosting/artifacts.js";
import { bucket, keysUnder, putObject, roleArn, sagemakerClient, setting } from "./cloud.js";
import { useCloud, useServer, userKeys } from "./cloud.js";
import { aTuningJob, unique, xgboostImage } from "./requests.js";
import { tuningClient } from "./tuning-client.js";

const cloud = useCloud(17624);
const url = useServer(cloud, { stopGraceSeconds: 0.5 });
let client: SageMakerClient;
beforeAll(() => {
  client = sagemakerClient(url());
});
const { completed, describeTrainingJob, start, trials, until } = tuningClient(() => client);

const limits = (MaxNumberOfTrainingJobs: number, MaxParallelTrainingJobs = 1) => ({
  ResourceLimits: { MaxNumberOfTrainingJobs, MaxParallelTrainingJobs },
});
/** The scripts do what their one tuned hyperparameter says. */
const variants = (...Values: string[]): ParameterRanges => ({
  CategoricalParameterRanges: [{ Name: "variant", Values }],
});
const gridOf = (...values: string[]): Partial<HyperParameterTuningJobConfig> => ({
  Strategy: "Grid",
  ParameterRanges: variants(...values),
  ResourceLimits: { MaxParallelTrainingJobs: 1 },
});

async function running(script: string) {
  const archive = await tarGz({ "train.py": script });
  const code = await putObject(cloud(), `${unique("code")}/sourcedir.tar.gz`, archive);
  const { TrainingJobDefinition } = aTuningJob();
  const { MetricDefinitions = [] } = TrainingJobDefinition?.AlgorithmSpecification ?? {};
  return {
    AlgorithmSpecification: {
      ...{ TrainingImage: xgboostImage, TrainingInputMode: "File" as const, MetricDefinitions },
    },
    StaticHyperParameters: { sagemaker_program: "train.py", sagemaker_submit_directory: code },
  };
}

const header = `
import os, pathlib, sys, time
variant = dict(zip(sys.argv[1::2], sys.argv[2::2])).get("--variant", "")
def report(value):
    print(f"rmse={value};", flush=True)
def save():
    pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(variant)
`;

describe("jobs that are stopped early", () => {
  /** Each reports its variant ten times; from the bad one on it waits to be stopped. */
  const script = `${header}
for epoch in range(10):
    report(float(variant) + 1 / (epoch + 1))
    time.sleep(20 if float(variant) > 50 and epoch > 0 else 0.01)
save()
`;

  test("by the median of the earlier ones, and their objective is known all the same", async () => {
    const config = gridOf("1", "2", "3", "4", "5", "99", "0.5");
    const job = await completed(
      { ...config, TrainingJobEarlyStoppingType: "Auto" },
      await running(script),
    );
    expect(job.TrainingJobStatusCounters).toMatchObject({ Completed: 6, Stopped: 1 });
    expect(job.ObjectiveStatusCounters).toEqual({ Succeeded: 7, Pending: 0, Failed: 0 });
    expect(job.BestTrainingJob?.TunedHyperParameters).toEqual({ variant: "0.5" });
    const stopped = (await trials(job.HyperParameterTuningJobName ?? ""))[5];
    expect(stopped).toMatchObject({ TrainingJobStatus: "Stopped", ObjectiveStatus: "Succeeded" });
    const best = job.BestTrainingJob?.TrainingJobName ?? "";
    expect(await keysUnder(cloud(), `output/${best}/`)).toEqual([
      `output/${best}/output/model.tar.gz`,
    ]);
  });

  test("or not at all, without early stopping", async () => {
    const quick = script.replace("time.sleep(20", "time.sleep(0.01");
    const job = await completed(gridOf("1", "2", "3", "4", "5", "99"), await running(quick));
    expect(job.TrainingJobStatusCounters?.Completed).toBe(6);
  });

  test("by Hyperband at its rungs: what is not among the best stays cheap", async () => {
    const epochs = `${header}
for epoch in range(9):
    report(float(variant) + 1 / (epoch + 1))
    time.sleep(0.15)
save()
`;
    const job = await completed(
      {
        Strategy: "Hyperband",
        RandomSeed: 1,
        ParameterRanges: {
          ContinuousParameterRanges: [{ Name: "variant", MinValue: "0", MaxValue: "10" }],
        },
        StrategyConfig: { HyperbandStrategyConfig: { MinResource: 1, MaxResource: 9 } },
        ...limits(12, 2),
      },
      await running(epochs),
    );
    const counters = job.TrainingJobStatusCounters;
    expect(counters?.Stopped).toBeGreaterThanOrEqual(3);
    expect(counters?.Completed).toBeGreaterThanOrEqual(1);
    expect((counters?.Stopped ?? 0) + (counters?.Completed ?? 0)).toBe(12);
    expect(job.BestTrainingJob?.TrainingJobStatus).toBe("Completed");
  });
});

describe("jobs without an objective", () => {
  test("NaN in every job fails the search, and says why", async () => {
    const name = await start(
      gridOf("1", "2", "3"),
      await running(`${header}report("nan"); save()`),
    );
    const job = await until(name, { HyperParameterTuningJobStatus: "Failed" });
    expect(job.FailureReason).toBe(
      "No objective metrics found after running 3 training jobs. Please ensure that the custom algorithm is " +
        "emitting the objective metric as defined by the regular expression provided.",
    );
    expect(job.TrainingJobStatusCounters?.Completed).toBe(3);
  });

  test("NaN at the end counts, whatever was before; others are searched on", async () => {
    const script = `${header}
report(1.0)
report(float("nan") if variant == "bad" else 2.0)
save()
`;
    const job = await completed(gridOf("bad", "good"), await running(script));
    expect(job.ObjectiveStatusCounters).toEqual({ Succeeded: 1, Pending: 0, Failed: 1 });
    expect(job.BestTrainingJob?.TunedHyperParameters).toEqual({ variant: "good" });
  });

  test("jobs that fail are counted, and the last of five ends the search", async () => {
    const script = `${header}
raise ValueError("this cannot be learned")
`;
    const config = { ...gridOf("1", "2", "3", "4", "5", "6", "7") };
    const name = await start(config, await running(script));
    const job = await until(name, { HyperParameterTuningJobStatus: "Failed" });
    expect(job.FailureReason).toMatch(/^No training job succeeded after 5 attempts\./);
    expect(job.TrainingJobStatusCounters).toMatchObject({ NonRetryableError: 5, Completed: 0 });
    const [trial] = await trials(name);
    expect(trial?.FailureReason).toContain("this cannot be learned");
  });

  test("a failure that is injected is one that can be tried again", async () => {
    const name = unique("fault");
    await fetch(`${url()}/_local/faults`, {
      method: "PUT",
      body: JSON.stringify({ failJob: { match: `${name}-001` } }),
    });
    const request = { HyperParameterTuningJobName: name };
    const job = await completed(
      gridOf("1", "2"),
      await running(`${header}report(variant); save()`),
      request,
    );
    expect(job.TrainingJobStatusCounters).toMatchObject({ RetryableError: 1, Completed: 1 });
  });
});

const sleeping = `${header}
report(1.0)
time.sleep(300)
`;

describe("a search that is ended", () => {
  test("by hand stops its training jobs", async () => {
    const name = await start(
      { ...gridOf("1", "2", "3"), ...limits(3, 2) },
      await running(sleeping),
    );
    await vi.waitFor(async () => {
      const found = await trials(name);
      expect(found).toHaveLength(2);
      for (const { TrainingJobName } of found)
        expect(await describeTrainingJob(TrainingJobName)).toMatchObject({
          SecondaryStatus: "Training",
        });
    }, 40_000);
    const stop = new StopHyperParameterTuningJobCommand({ HyperParameterTuningJobName: name });
    const remove = new DeleteHyperParameterTuningJobCommand({ HyperParameterTuningJobName: name });
    await expect(client.send(remove)).rejects.toThrow(/in status InProgress\.$/);
    await client.send(stop);
    await expect(client.send(stop)).rejects.toThrow(/in status (Stopping|Stopped)\.$/);
    const job = await until(name, { HyperParameterTuningJobStatus: "Stopped" });
    expect(job.TrainingJobStatusCounters).toMatchObject({ Stopped: 2, InProgress: 0 });
    for (const trial of await trials(name)) expect(trial.TrainingJobStatus).toBe("Stopped");
  });

  test("by its target stops the jobs that still run", async () => {
    const script = `${header}
report(variant)
time.sleep(300 if variant == "9" else 0)
save()
`;
    const job = await completed(
      {
        ...gridOf("9", "1"),
        ...limits(2, 2),
        TuningJobCompletionCriteria: { TargetObjectiveMetricValue: 1 },
      },
      await running(script),
    );
    expect(job.TrainingJobStatusCounters).toMatchObject({ Completed: 1, Stopped: 1 });
  });
});

test("after a restart of the server the search goes on with what it had", async () => {
  const server = await startServer({ ...cloud().config, port: 0, cores: 1, stopGraceSeconds: 0.5 });
  const script = `${header}
report(variant)
time.sleep(300 if variant == "2" else 0)
save()
`;
  const request = aTuningJob(gridOf("1", "2", "3"), await running(script));
  const { HyperParameterTuningJobName: name } = request;
  await sagemakerClient(server.url).send(new CreateHyperParameterTuningJobCommand(request));
  const there = tuningClient(() => sagemakerClient(server.url));
  await vi.waitFor(async () => {
    const second = (await there.trials(name))[1];
    expect(await there.describeTrainingJob(second?.TrainingJobName)).toMatchObject({
      SecondaryStatus: "Training",
    });
  }, 40_000);
  await server.close();

  const successor = await startServer({ ...cloud().config, port: 0, cores: 1 });
  try {
    const after = tuningClient(() => sagemakerClient(successor.url));
    const job = await after.until(name, { HyperParameterTuningJobStatus: "Completed" });
    expect(job.TrainingJobStatusCounters).toMatchObject({ Completed: 2, RetryableError: 1 });
    expect(job.BestTrainingJob?.TunedHyperParameters).toEqual({ variant: "1" });
    const found = await after.trials(name);
    expect(found.map(({ TunedHyperParameters }) => TunedHyperParameters?.["variant"])).toEqual([
      ...["1", "2", "3"],
    ]);
    expect(found[1]?.FailureReason).toContain("instance lost");
  } finally {
    await successor.close();
  }
});

test("after a restart a search that was being stopped is stopped, and one whose time is over ends", async () => {
  const settings = { ...cloud().config, port: 0, cores: 3 };
  const server = await startServer(settings);
  const stubborn = `${header}
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if variant == "1":
    report(variant)
    save()
else:
    time.sleep(300)
`;
  const before = tuningClient(() => sagemakerClient(server.url));
  const launch = async (config: Partial<HyperParameterTuningJobConfig>, trial: number) => {
    const name = await before.start(config, await running(stubborn));
    await vi.waitFor(async () => {
      const last = (await before.trials(name))[trial - 1];
      expect(await before.describeTrainingJob(last?.TrainingJobName)).toMatchObject({
        SecondaryStatus: "Training",
      });
    }, 40_000);
    return name;
  };
  const inTime = { ResourceLimits: { MaxParallelTrainingJobs: 1, MaxRuntimeInSeconds: 120 } };
  const halfDone = await launch({ ...gridOf("1", "2", "3", "4"), ...inTime }, 2);
  const inVain = await launch({ ...gridOf("5", "6", "7"), ...inTime }, 1);
  const stopping = await launch(gridOf("8", "9"), 1);
  await sagemakerClient(server.url).send(
    new StopHyperParameterTuningJobCommand({ HyperParameterTuningJobName: stopping }),
  );
  expect(await before.describeJob(stopping)).toMatchObject({
    HyperParameterTuningJobStatus: "Stopping",
  });
  await server.close();
  await pretendToBeOlder(120, halfDone, inVain);

  const successor = await startServer(settings);
  try {
    const after = tuningClient(() => sagemakerClient(successor.url));
    const stopped = await after.until(stopping, { HyperParameterTuningJobStatus: "Stopped" });
    expect(stopped.TrainingJobStatusCounters?.InProgress).toBe(0);
    const ended = await after.until(halfDone, { HyperParameterTuningJobStatus: "Completed" });
    expect(ended.TrainingJobStatusCounters).toMatchObject({ Completed: 1, InProgress: 0 });
    expect(ended.BestTrainingJob?.TunedHyperParameters).toEqual({ variant: "1" });
    const failed = await after.until(inVain, { HyperParameterTuningJobStatus: "Failed" });
    expect(failed.FailureReason).toBe("No training job succeeded within MaxRuntimeInSeconds.");
  } finally {
    await successor.close();
  }
});

async function pretendToBeOlder(seconds: number, ...names: string[]): Promise<void> {
  const db = new pg.Client(cloud().config.database);
  await db.connect();
  await db.query(
    "update sagemaker.resources set created_at = created_at - $1 where name = any($2)",
    [seconds, names],
  );
  await db.end();
}

test("boto3 creates, waits for, describes and lists a search as it does on AWS", async () => {
  const name = unique("boto3");
  const program = `
import json, sys, time, boto3
settings = json.loads(sys.argv[1])
sagemaker = boto3.Session(
    aws_access_key_id=settings["accessKeyId"], aws_secret_access_key=settings["secretAccessKey"],
    region_name="us-east-1",
).client("sagemaker", endpoint_url=settings["url"])
sagemaker.create_hyper_parameter_tuning_job(**settings["request"])
while True:
    job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=settings["name"])
    if job["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping"):
        break
    time.sleep(0.1)
pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
    HyperParameterTuningJobName=settings["name"], SortBy="FinalObjectiveMetricValue",
    PaginationConfig={"PageSize": 2},
)
summaries = [summary for page in pages for summary in page["TrainingJobSummaries"]]
try:
    sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="nobody")
except sagemaker.exceptions.ResourceNotFound as error:
    missing = error.response["Error"]["Message"]
print(json.dumps({
    "status": job["HyperParameterTuningJobStatus"],
    "best": job["BestTrainingJob"]["TunedHyperParameters"],
    "year": job["HyperParameterTuningEndTime"].year,
    "values": [s["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for s in summaries],
    "missing": missing,
}))
`;
  const values = { CategoricalParameterRanges: [{ Name: "metric:rmse", Values: ["3", "1", "2"] }] };
  const config = { ...gridOf(), ParameterRanges: values };
  const request = aTuningJob(config, {}, { HyperParameterTuningJobName: name });
  const settings = JSON.stringify({ url: url(), name, request, bucket, roleArn, ...userKeys });
  const python = setting("MODELFLEET_TEST_PYTHON");
  const { stdout } = await promisify(execFile)(python, ["-c", program, settings]);
  expect(JSON.parse(stdout)).toEqual({
    status: "Completed",
    best: { "metric:rmse": "1" },
    year: new Date().getUTCFullYear(),
    values: [1, 2, 3],
    missing: "Amazon SageMaker can't find a tuning job called nobody. Type another name.",
  });
});

test("a search outlives the death of the process that chooses its points", async () => {
  const name = await start({ Strategy: "Bayesian", RandomSeed: 5, ...limits(30) });
  await vi.waitFor(async () => expect((await trials(name)).length).toBeGreaterThan(3), 30_000);
  const { stdout } = await promisify(execFile)("pgrep", [
    ...["-P", String(process.pid), "-f", "tuning_search.py"],
  ]);
  process.kill(Number(stdout.trim()), "SIGKILL");
  const job = await client.send(
    new DescribeHyperParameterTuningJobCommand({ HyperParameterTuningJobName: name }),
  );
  expect(job.HyperParameterTuningJobStatus).toBe("InProgress");
  const ended = await until(name, { HyperParameterTuningJobStatus: "Completed" });
  expect(ended.TrainingJobStatusCounters?.Completed).toBe(30);
});
