import { createHash } from "node:crypto";
import { DescribeTrainingJobCommand } from "@aws-sdk/client-sagemaker";
import { describe, expect, test } from "vitest";
import { createCohortEvaluationActivities } from "../../activities/cohort-evaluation.js";
import { createCycleActivities } from "../../activities/cycles.js";
import { createShardedTrainingActivities } from "../../activities/sharded-training.js";
import { CHANNELS, COHORT_KEY, s3Keys } from "../../fleet/names.js";
import { CYCLE } from "./a-fleet.js";
import { readObject, run, useParts } from "./parts.js";
import {
  exportedCycle,
  lineOf,
  plannedCohort,
  put,
  putResults,
  shardedFleet,
  type ShardedFleetOptions,
} from "./sharded-fleet.js";

const parts = useParts(19480);

const watched = () => ({ ...parts(), watchSeconds: 0.05 });
const sharded = (o: { maxTrainingJobs?: number } = {}) =>
  createShardedTrainingActivities({ ...watched(), ...o });
const evaluation = () => createCohortEvaluationActivities(parts());

interface CycleOf {
  readonly fleet: string;
  readonly cycle: string;
}

const refOf = ({ fleet, cycle }: CycleOf) => ({ fleet, cycle });
const start = (cycle: CycleOf, round = 0) =>
  run(sharded().startShardedJob, { ...refOf(cycle), round });
const describeJob = (name: string) =>
  parts().sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: name }));

const uriText = (uri: string) => readObject(parts(), uri.replace(`s3://${parts().bucket}/`, ""));

const customersOf = async ({ fleet, cycle }: CycleOf) =>
  (
    await parts().ledger.query<Record<string, unknown>>(
      "select * from customers where fleet = $1 and cycle = $2 order by customer_key",
      [fleet, cycle],
    )
  ).rows;

/** By channel's name: the URI, and how it is dealt out. */
async function channelsOf(trainingJobName: string) {
  const { InputDataConfig } = await describeJob(trainingJobName);
  return Object.fromEntries(
    (InputDataConfig ?? []).map(({ ChannelName, DataSource }) => [
      ChannelName ?? "",
      DataSource?.S3DataSource,
    ]),
  );
}

describe("exporting a sharded fleet", () => {
  test("writes an object for each customer, its rows after their channels", async () => {
    const cycle = await exportedCycle(parts(), { name: "one-object", customers: 2 });
    const key = { fleet: "one-object", cycle: CYCLE, customerKey: "site-2" };
    const text = (await readObject(parts(), s3Keys.customerRows(key))) ?? "";
    const rows = text.split("\n").slice(0, -1);
    const byChannel = (channel: string) =>
      rows
        .filter((row) => row.startsWith(`${channel},`))
        .map((row) => row.slice(channel.length + 1));
    const [customer] = (await customersOf(cycle)).slice(1);
    expect(rows).toHaveLength(100);
    expect(rows).toEqual(CHANNELS.flatMap((one) => byChannel(one).map((row) => `${one},${row}`)));
    expect(rows[0]).toMatch(/^train,\d+,\d+,"a, ""b"""$/);
    expect(CHANNELS.map((one) => byChannel(one).length)).toEqual(
      [customer?.train_rows, customer?.validation_rows, customer?.test_rows].map(Number),
    );
    expect(customer?.verification).toEqual(
      byChannel("test")
        .slice(0, 3)
        .map((row) => row.slice(row.indexOf(",") + 1)),
    );
    const digests = CHANNELS.map((one) =>
      createHash("sha256")
        .update(
          byChannel(one)
            .map((row) => `${row}\n`)
            .join(""),
        )
        .digest(),
    );
    expect(customer?.data_hash).toBe(
      createHash("sha256").update(Buffer.concat(digests)).digest("hex"),
    );
    expect(await readObject(parts(), s3Keys.rows({ ...key, channel: "train" }))).toBeNull();
  });

  test("gives the same bytes and hashes at every export of the same rows, and names them in the manifest", async () => {
    const key = { fleet: "again", cycle: CYCLE, customerKey: "site-1" };
    const first = await exportedCycle(parts(), { name: "again" });
    const [text, rows] = [
      await readObject(parts(), s3Keys.customerRows(key)),
      await customersOf(first),
    ];
    const second = await exportedCycle(parts(), { name: "again" });
    expect(await readObject(parts(), s3Keys.customerRows(key))).toBe(text);
    expect((await customersOf(second)).map((row) => row.data_hash)).toEqual(
      rows.map((row) => row.data_hash),
    );
    const manifest = JSON.parse(
      (await readObject(parts(), s3Keys.manifest("again", CYCLE))) ?? "",
    ) as {
      customers: { objects: string[] }[];
    };
    expect(manifest.customers[0]?.objects).toEqual([
      `s3://${parts().bucket}/${s3Keys.customerRows(key)}`,
    ]);
  });
});

describe("starting a cohort's job", () => {
  test("asks for instances that share out the customers' files, and for checkpoints", async () => {
    const cycle = await plannedCohort(parts(), {
      name: "asked-sharded",
      training: { instances: 2, spot: { maxWaitSeconds: 3600 } },
    });
    const { trainingJobName } = await start(cycle);
    const job = await describeJob(trainingJobName);
    expect(job).toMatchObject({
      ResourceConfig: { InstanceCount: 2 },
      EnableManagedSpotTraining: true,
      StoppingCondition: { MaxRuntimeInSeconds: 1800, MaxWaitTimeInSeconds: 3600 },
    });
    expect(job.CheckpointConfig?.S3Uri).toMatch(
      /\/fleets\/asked-sharded\/cycles\/2013-07-01\/cohort\/[0-9a-f]{12}\/$/,
    );
    const channels = await channelsOf(trainingJobName);
    expect(Object.keys(channels)).toEqual(["customers", "schema"]);
    expect(channels.customers).toMatchObject({
      S3DataType: "ManifestFile",
      S3DataDistributionType: "ShardedByS3Key",
    });
    expect(JSON.parse((await uriText(channels.customers?.S3Uri ?? "")) ?? "")).toEqual([
      { prefix: `s3://${parts().bucket}/${s3Keys.customers("asked-sharded", CYCLE)}` },
      "site-1.csv",
      "site-2.csv",
      "site-3.csv",
    ]);
    const { rows } = await parts().ledger.query(
      "select customer_key, slots, workflow_id from jobs where job_name = $1",
      [trainingJobName],
    );
    expect(rows).toEqual([
      {
        customer_key: COHORT_KEY,
        slots: 2,
        workflow_id: "retrain-cohort/asked-sharded/2013-07-01",
      },
    ]);
    expect((await customersOf(cycle)).map((row) => row.state)).toEqual(Array(3).fill("training"));
  });

  test("another attempt adopts the job; another round is another job over the same checkpoints", async () => {
    const cycle = await plannedCohort(parts(), { name: "rounds-sharded" });
    const first = await start(cycle);
    const again = await start(cycle);
    const second = await start(cycle, 1);
    const folders = await Promise.all(
      [first, second].map(async (one) => (await describeJob(one.trainingJobName)).CheckpointConfig),
    );
    expect(again.trainingJobName).toBe(first.trainingJobName);
    expect(second.trainingJobName).not.toBe(first.trainingJobName);
    expect(folders[1]).toEqual(folders[0]);
  });

  test("other rows are other work: nothing of the old is taken for new", async () => {
    const cycle = await plannedCohort(parts(), { name: "other-rows" });
    const first = await start(cycle);
    await parts().ledger.query(
      "update customers set data_hash = 'other' where fleet = 'other-rows' and customer_key = 'site-2'",
    );
    const second = await start(cycle);
    const [one, other] = await Promise.all(
      [first, second].map(async (job) => (await describeJob(job.trainingJobName)).CheckpointConfig),
    );
    expect(other?.S3Uri).not.toBe(one?.S3Uri);
  });

  test("gives the champions' artifacts, and tells whose each is", async () => {
    const cycle = await plannedCohort(parts(), { name: "champions-sharded" });
    await serve(cycle, "site-2", 7);
    await parts().ledger.query(
      "update customers set champion_version = 7 where fleet = $1 and customer_key = 'site-2'",
      [cycle.fleet],
    );
    const { trainingJobName } = await start(cycle);
    const uri = (await channelsOf(trainingJobName)).champions?.S3Uri ?? "";
    const [head, paths, artifact] = JSON.parse((await uriText(uri)) ?? "") as [
      object,
      string,
      string,
    ];
    expect(head).toEqual({ prefix: `s3://${parts().bucket}/` });
    expect(artifact).toBe("models/site-2.tar.gz");
    expect(JSON.parse((await readObject(parts(), paths)) ?? "")).toEqual({
      "site-2": "models/site-2.tar.gz",
    });
  });

  test("is refused when there are fewer files than instances, at the plan already", async () => {
    const options = { name: "too-few", customers: 2, training: { instances: 3 } };
    const cycle = await exportedCycle(parts(), options);
    const plan = run(createCycleActivities(parts()).planCycle, {
      ...refOf(cycle),
      shardSize: 250,
      force: false,
    });
    await expect(plan).rejects.toMatchObject({
      type: "SpecInvalid",
      nonRetryable: true,
      message:
        "training.instances asks 3 instances, and this cycle trains 2 customers: some instances would have no file to train on",
    });
  });

  test("is refused before anything is recorded when the quota has no room for its instances", async () => {
    const cycles = createCycleActivities({ ...parts(), maxTrainingJobs: 1 });
    const spec = shardedFleet({ name: "too-wide", training: { instances: 2 } });
    const window = { floor: "2013-01-01T00:00:00.000Z", ceiling: "2013-07-01T00:00:00.000Z" };
    await expect(
      cycles.openCycle({ spec, cycle: CYCLE, window, workflowId: "w", force: false }),
    ).rejects.toMatchObject({
      type: "SpecInvalid",
      message: "training.instances asks 2 instances, the worker's quota is 1",
    });
  });
});

/** A version that serves, made by an earlier cycle. */
async function serve({ fleet }: CycleOf, customerKey: string, version: number) {
  const uri = `s3://${parts().bucket}/models/${customerKey}.tar.gz`;
  await put(parts(), uri, "a model");
  await parts().ledger.query(
    `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name, artifact_uri, state, workflow_id, cohort)
     values ($1, $2, $3, 'earlier', $4, 'job', $5, 'serving', 'w', true)`,
    [fleet, customerKey, version, `arn:${fleet}:${customerKey}:${version}`, uri],
  );
}

/** Starts the job, waits for it, and puts what it would have told and made. */
async function told(
  options: ShardedFleetOptions,
  hosts: Readonly<Record<string, string>>,
  artifacts: readonly string[] = ["site-1", "site-2", "site-3"],
) {
  const cycle = await plannedCohort(parts(), options);
  const { trainingJobName } = await start(cycle);
  await expect
    .poll(async () => (await describeJob(trainingJobName)).TrainingJobStatus, { timeout: 20_000 })
    .toBe("Completed");
  const job = await describeJob(trainingJobName);
  const outputPath = job.OutputDataConfig?.S3OutputPath ?? "";
  await putResults(parts(), { outputPath, name: trainingJobName }, hosts);
  const folder = job.CheckpointConfig?.S3Uri ?? "";
  for (const customer of artifacts) await put(parts(), `${folder}${customer}.tar.gz`, "a model");
  const evaluate = () => run(evaluation().evaluateCohort, { ...refOf(cycle), trainingJobName });
  return { ...cycle, trainingJobName, folder, evaluate };
}

describe("evaluating a cohort", () => {
  test("judges every customer by the lines of all hosts, and a second time to the same end", async () => {
    const cycle = await told(
      { name: "judged", gate: { bounds: { rmse: { max: 15 } } } },
      {
        "algo-1": `${lineOf("site-1")}\n${lineOf("site-2", { metrics: undefined, failure: "ValueError: flat" })}\n`,
        "algo-2": lineOf("site-3").replace('"test:rmse":10', '"test:rmse":16'),
      },
    );
    const totals = { evaluated: 1, championKept: 1, failed: 1 };
    expect(await cycle.evaluate()).toEqual(totals);
    expect(await cycle.evaluate()).toEqual(totals);
    expect(await customersOf(cycle)).toMatchObject([
      { customer_key: "site-1", state: "evaluated" },
      {
        customer_key: "site-2",
        state: "failed",
        error_type: "TrainingAlgorithmError",
        reason: "ValueError: flat",
      },
      { customer_key: "site-3", state: "champion-kept" },
    ]);
    const { rows } = await parts().ledger.query(
      "select * from evaluations where fleet = 'judged' order by customer_key",
    );
    expect(rows).toMatchObject([
      {
        customer_key: "site-1",
        decision: "ask",
        artifact_uri: `${cycle.folder}site-1.tar.gz`,
        training_job_name: cycle.trainingJobName,
        metrics: { rmse: 10, mae: 8, stdev_error: 9 },
        champion_metrics: null,
        predictions: [1.5, 2.5, 3.5],
        objective_value: 10.5,
        test_rows: "10",
      },
      { customer_key: "site-3", decision: "keep-champion" },
    ]);
  });

  test("a customer without a line, with two, with NaN or without its model has failed, and nobody else", async () => {
    const lines = [
      lineOf("site-1"),
      lineOf("site-2"),
      "no JSON at all",
      lineOf("site-2"),
      '{"customer":"site-3","metrics":{"test:rmse":NaN}}',
      lineOf("site-5"),
      lineOf("stranger"),
      `{"customer":"site-4","failure":"${"x".repeat(2 * 1024 * 1024)}"}`,
      lineOf("site-6"),
    ];
    const cycle = await told({ name: "hostile", customers: 6 }, { "algo-1": lines.join("\n") }, [
      "site-1",
      "site-2",
      "site-6",
    ]);
    expect(await cycle.evaluate()).toEqual({ evaluated: 2, championKept: 0, failed: 4 });
    const reasons = Object.fromEntries(
      (await customersOf(cycle)).map((row) => [String(row.customer_key), [row.state, row.reason]]),
    );
    expect(reasons).toEqual({
      "site-1": ["evaluated", expect.any(String)],
      "site-2": ["failed", "the job tells of it twice: which of its models is meant?"],
      "site-3": ["failed", expect.stringMatching(/no JSON object \(NaN/)],
      "site-4": ["failed", "the job completed without a word about it"],
      "site-5": ["failed", expect.stringMatching(/site-5\.tar\.gz does not exist$/)],
      "site-6": ["evaluated", expect.any(String)],
    });
  });

  test("a customer whose model could not be verified has failed, before anybody decides about it", async () => {
    const withOnly = (customer: string, ...numbers: number[]) => {
      const { metrics } = JSON.parse(lineOf(customer)) as { metrics: Record<string, number> };
      const kept = Object.entries(metrics).filter(
        ([name]) => !/^verification/.test(name) || numbers.includes(Number(name.at(-1))),
      );
      return lineOf(customer, { metrics: Object.fromEntries(kept) });
    };
    const cycle = await told(
      { name: "unverifiable" },
      { "algo-1": [withOnly("site-1", 1, 3), withOnly("site-2"), lineOf("site-3")].join("\n") },
    );
    expect(await cycle.evaluate()).toEqual({ evaluated: 1, championKept: 0, failed: 2 });
    expect(await customersOf(cycle)).toMatchObject([
      {
        state: "failed",
        error_type: "TrainingAlgorithmError",
        reason:
          "the training script printed 2 figures verification:N for 3 verification rows, so the served model could not be verified",
      },
      {
        state: "failed",
        reason:
          "the training script printed no verification:1, so the served model could not be verified",
      },
      { state: "evaluated" },
    ]);
  });

  test("a script that passes over the champions loses, and one that compares wins or keeps them", async () => {
    const options = { name: "compared-sharded" };
    const earlier = await plannedCohort(parts(), { ...options, cycle: "earlier" });
    for (const customer of ["site-1", "site-2", "site-3"]) await serve(earlier, customer, 1);
    // Made from other rows: with the same ones nobody would be trained again.
    await parts().ledger.query("update customers set data_hash = 'other' where fleet = $1", [
      options.name,
    ]);
    const champion = (rmse: number) => ({
      "champion:rmse": rmse,
      "champion:mae": 8,
      "champion:stdev_error": 9,
    });
    const withChampion = (customer: string, rmse: number) => {
      const { metrics } = JSON.parse(lineOf(customer)) as { metrics: object };
      return lineOf(customer, { metrics: { ...metrics, ...champion(rmse) } });
    };
    const cycle = await told(options, {
      "algo-1": [withChampion("site-1", 12), withChampion("site-2", 9), lineOf("site-3")].join(
        "\n",
      ),
    });
    expect(await cycle.evaluate()).toEqual({ evaluated: 1, championKept: 1, failed: 1 });
    expect(await customersOf(cycle)).toMatchObject([
      { state: "evaluated", champion_version: 1 },
      { state: "champion-kept", champion_version: 1 },
      { state: "failed", reason: expect.stringMatching(/did not score the champion/) as string },
    ]);
  });

  test("no output, or a broken one, is the job's failure and not a customer's", async () => {
    const cycle = await plannedCohort(parts(), { name: "speechless" });
    const { trainingJobName } = await start(cycle);
    await expect
      .poll(async () => (await describeJob(trainingJobName)).TrainingJobStatus, { timeout: 20_000 })
      .toBe("Completed");
    const input = { ...refOf(cycle), trainingJobName };
    await expect(run(evaluation().evaluateCohort, input)).rejects.toMatchObject({
      type: "TrainingAlgorithmError",
      message: expect.stringMatching(/without telling of any customer/) as string,
    });
    const { OutputDataConfig } = await describeJob(trainingJobName);
    const uri = `${OutputDataConfig?.S3OutputPath ?? ""}${trainingJobName}/output/output.tar.gz`;
    await put(parts(), uri, "no archive");
    await expect(run(evaluation().evaluateCohort, input)).rejects.toMatchObject({
      type: "TrainingAlgorithmError",
      message: expect.stringMatching(/cannot be read/) as string,
    });
  });
});

describe("a search inside of the job", () => {
  const tuning = {
    ranges: { scale: { type: "continuous", min: 0.1, max: 1 } },
    maxJobs: 2,
    seed: 1,
    warmStart: { parents: 1 },
  };
  const trials = [
    { hyperparameters: { scale: "0.5" }, value: 11 },
    { hyperparameters: { scale: "0.2" }, value: 10.5 },
    { hyperparameters: { scale: "0.9" }, value: null, failure: "no" },
  ];

  test("is told its ranges, is history like any other, and the next begins with its best trials", async () => {
    const cycle = await told(
      { name: "packed", customers: 2, tuning },
      {
        "algo-1": `${lineOf("site-1", { trials })}\n${lineOf("site-2", { metrics: undefined, failure: "flat" })}`,
      },
    );
    const uri = (await channelsOf(cycle.trainingJobName)).trials?.S3Uri ?? "";
    expect(JSON.parse((await uriText(`${uri}tuning.json`)) ?? "")).toMatchObject({
      ranges: { scale: { type: "continuous", min: 0.1, max: 1 } },
      objective: "validation:rmse",
      direction: "minimize",
      strategy: "Bayesian",
      seed: 1,
    });
    expect(await linesOf(`${uri}trials.jsonl`)).toEqual([
      { customer: "site-1", maxTrials: 2, trials: [] },
      { customer: "site-2", maxTrials: 2, trials: [] },
    ]);
    expect(await cycle.evaluate()).toEqual({ evaluated: 1, championKept: 0, failed: 1 });
    await cycle.evaluate();
    const { rows } = await parts().ledger.query(
      "select * from tuning_jobs where fleet = 'packed' order by customer_key",
    );
    expect(rows).toMatchObject([
      {
        packed: true,
        status: "Completed",
        best_value: 10.5,
        best_hyperparameters: { scale: "0.2" },
        trial_statuses: { completed: 2, failed: 1 },
        warm_start_because: "no earlier search to start from",
      },
      { status: "Failed", failure_reason: "flat", best_value: null },
    ]);

    const next = await plannedCohort(parts(), {
      name: "packed",
      customers: 2,
      tuning,
      cycle: "2013-08-01",
    });
    const { trials: channel } = await channelsOf((await start(next)).trainingJobName);
    expect(await linesOf(`${channel?.S3Uri ?? ""}trials.jsonl`)).toEqual([
      {
        customer: "site-1",
        maxTrials: 2,
        trials: [
          { hyperparameters: { scale: "0.2" }, value: 10.5 },
          { hyperparameters: { scale: "0.5" }, value: 11 },
        ],
      },
      { customer: "site-2", maxTrials: 2, trials: [] },
    ]);
  });

  const linesOf = async (uri: string): Promise<unknown[]> =>
    ((await uriText(uri)) ?? "")
      .split("\n")
      .filter((line) => line !== "")
      .map((line): unknown => JSON.parse(line));
});
