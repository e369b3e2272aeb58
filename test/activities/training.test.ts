import {
  AddTagsCommand,
  CreateTrainingJobCommand,
  DescribeTrainingJobCommand,
  ListTagsCommand,
} from "@aws-sdk/client-sagemaker";
import { ListObjectsV2Command, DeleteObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { createCycleActivities } from "../../activities/cycles.js";
import { createJobWatcherActivities } from "../../activities/job-watcher.js";
import { openLedger } from "../../activities/ledger/pool.js";
import { createTrainingActivities } from "../../activities/training.js";
import { TAGS } from "../../activities/training-job-request.js";
import { s3Keys } from "../../fleet/names.js";
import { jobEnded, workflowIds } from "../../workflows/messages.js";
import { plannedCycle } from "./noop-fleet.js";
import { activityEnvironment, run, useParts } from "./parts.js";

const parts = useParts(17720);

const activities = (o: { maxTrainingJobs?: number } = {}) =>
  createTrainingActivities({ ...parts(), maxTrainingJobs: 1000, watchSeconds: 0.05, ...o });
const watcher = () => createJobWatcherActivities({ ...parts(), watchSeconds: 0.02 });

const start = (
  cycle: { fleet: string; cycle: string },
  o: { round?: number; customerKey?: string; maxTrainingJobs?: number } = {},
) => {
  const { round = 0, customerKey = "site-1", ...rest } = o;
  const { fleet } = cycle;
  return run(activities(rest).startTrainingJob, {
    fleet,
    cycle: cycle.cycle,
    customerKey,
    round,
  });
};

/** How often the server accepted the creation of each job of the fleet. */
async function creations(fleet: string): Promise<Record<string, number>> {
  const response = await fetch(`${parts().sagemakerUrl}/_local/calls?operation=CreateTrainingJob`);
  const calls = (await response.json()) as Record<string, number>;
  return Object.fromEntries(
    Object.entries(calls).filter(([name]) => name.startsWith(`mf-${fleet}-`)),
  );
}

const describeJob = (name: string) =>
  parts().sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: name }));

const jobRow = async (name: string) =>
  (await parts().ledger.query("select * from jobs where job_name = $1", [name])).rows[0] as
    Record<string, unknown> | undefined;

const isCompleted = (name: string) =>
  expect.poll(async () => (await describeJob(name)).TrainingJobStatus).toBe("Completed");

/** The watcher's place is the account: tests that look at one fleet's jobs end the others'. */
const endOtherJobs = (fleet: string) =>
  parts().ledger.query("update jobs set state = 'ended' where fleet <> $1", [fleet]);

describe("starting a training job", () => {
  test("asks SageMaker for what the spec, the dataset and the ledger say", async () => {
    const cycle = await plannedCycle(parts(), { name: "asked" });
    const { trainingJobName } = await start(cycle);
    const job = await describeJob(trainingJobName);
    expect(job).toMatchObject({
      RoleArn: parts().roleArn,
      HyperParameters: {
        sagemaker_program: "train.py",
        sagemaker_submit_directory: `s3://${parts().bucket}/${s3Keys.code("asked", "a".repeat(64))}`,
        "metric:test:rmse": "10",
      },
      StoppingCondition: { MaxRuntimeInSeconds: 1800 },
      OutputDataConfig: {
        S3OutputPath: `s3://${parts().bucket}/${s3Keys.output("asked", cycle.cycle)}`,
      },
    });
    expect(job.InputDataConfig?.map((channel) => channel.ChannelName)).toEqual([
      "train",
      "validation",
      "test",
      "schema",
    ]);
    const { Tags } = await parts().sagemaker.send(
      new ListTagsCommand({ ResourceArn: job.TrainingJobArn, MaxResults: 50 }),
    );
    expect(Tags).toContainEqual({ Key: TAGS.customerKey, Value: "site-1" });
    expect(Tags?.map((tag) => tag.Key)).toContain(TAGS.requestHash);
  });

  test("gives the champion's artifact to be scored on the same rows", async () => {
    const cycle = await plannedCycle(parts(), { name: "challenged" });
    await parts().ledger.query(
      `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name, artifact_uri, state, workflow_id)
       values ('challenged', 'site-1', 7, 'earlier', 'arn:challenged', 'job', $1, 'serving', 'w')`,
      [`s3://${parts().bucket}/${s3Keys.columns("challenged", cycle.cycle)}`],
    );
    await parts().ledger.query(
      "update customers set champion_version = 7 where fleet = 'challenged'",
    );
    const { trainingJobName } = await start(cycle);
    const { InputDataConfig } = await describeJob(trainingJobName);
    expect(InputDataConfig?.at(-1)).toMatchObject({
      ChannelName: "champion",
      DataSource: {
        S3DataSource: {
          S3Uri: `s3://${parts().bucket}/${s3Keys.columns("challenged", cycle.cycle)}`,
        },
      },
    });
  });

  test("another round is another job, the same round the same", async () => {
    const cycle = await plannedCycle(parts(), { name: "rounds" });
    const first = await start(cycle);
    const again = await start(cycle);
    const second = await start(cycle, { round: 1 });
    expect(again.trainingJobName).toBe(first.trainingJobName);
    expect(second.trainingJobName).not.toBe(first.trainingJobName);
    expect(Object.values(await creations("rounds"))).toEqual([1, 1]);
  });

  test("moves the customer to training and wakes the watcher", async () => {
    await parts().ledger.query("delete from watchers");
    const cycle = await plannedCycle(parts(), { name: "woken" });
    await start(cycle);
    const { rows } = await parts().ledger.query(
      "select state from customers where fleet = 'woken'",
    );
    expect(rows).toEqual([{ state: "training" }]);
    const { account, region } = parts();
    const workflow = parts().temporal.workflow.getHandle(workflowIds.watchJobs(account, region));
    await expect(workflow.describe()).resolves.toMatchObject({ type: "watchJobs" });
  });
});

describe("an attempt that died half way", () => {
  test("after SageMaker created the job: the next attempt adopts it", async () => {
    const cycle = await plannedCycle(parts(), { name: "died-after" });
    const { trainingJobName } = await start(cycle);
    await parts().ledger.query(
      "update jobs set state = 'admitted', created_at = null where job_name = $1",
      [trainingJobName],
    );
    await expect(start(cycle)).resolves.toMatchObject({ trainingJobName });
    expect(await creations("died-after")).toEqual({ [trainingJobName]: 1 });
    expect((await jobRow(trainingJobName))?.state).not.toBe("admitted");
  });

  test("and whose ledger row is gone: the job is recognized by its tag", async () => {
    const cycle = await plannedCycle(parts(), { name: "row-lost" });
    const { trainingJobName } = await start(cycle);
    await parts().ledger.query("delete from jobs where job_name = $1", [trainingJobName]);
    await expect(start(cycle)).resolves.toMatchObject({ trainingJobName });
    expect(await creations("row-lost")).toEqual({ [trainingJobName]: 1 });
  });

  test("is told how the adopted job ended, if it has", async () => {
    const cycle = await plannedCycle(parts(), { name: "ended" });
    const { trainingJobName } = await start(cycle);
    await isCompleted(trainingJobName);
    await expect(start(cycle)).resolves.toEqual({
      trainingJobName,
      ended: { jobName: trainingJobName, status: "Completed" },
    });
    expect(await jobRow(trainingJobName)).toMatchObject({ state: "ended", status: "Completed" });
  });

  test("never takes over a job that another request made", async () => {
    const cycle = await plannedCycle(parts(), { name: "taken" });
    const { trainingJobName } = await start(cycle);
    const { TrainingJobArn } = await describeJob(trainingJobName);
    await parts().ledger.query("delete from jobs where job_name = $1", [trainingJobName]);
    await parts().sagemaker.send(
      new AddTagsCommand({
        ResourceArn: TrainingJobArn,
        Tags: [{ Key: TAGS.requestHash, Value: "somebody-else" }],
      }),
    );
    await expect(start(cycle)).rejects.toMatchObject({
      type: "JobNameTaken",
      nonRetryable: true,
      message: expect.stringContaining(trainingJobName) as string,
    });
  });
});

describe("the account's quota of training jobs", () => {
  const running = async () => {
    const { rows } = await parts().ledger.query<{ jobs: number }>(
      "select count(*)::int as jobs from jobs where state <> 'ended'",
    );
    return rows[0]?.jobs ?? 0;
  };

  test("is kept by two workers that race for the last place", async () => {
    const cycle = await plannedCycle(parts(), { name: "race", customers: 8 });
    const other = openLedger({ url: parts().ledgerUrl, maxConnections: 4 });
    try {
      const places = (await running()) + 3;
      const workers = [parts().ledger, other].map((ledger) =>
        createTrainingActivities({
          ...parts(),
          ledger,
          maxTrainingJobs: places,
          watchSeconds: 0.05,
        }),
      );
      const starts = Array.from({ length: 8 }, (_none, index) =>
        run((workers[index % 2] ?? activities()).startTrainingJob, {
          fleet: "race",
          cycle: cycle.cycle,
          customerKey: `site-${index + 1}`,
          round: 0,
        }),
      );
      const results = await Promise.allSettled(starts);
      const refused = results.filter((result) => result.status === "rejected");
      expect(results.length - refused.length).toBe(3);
      expect(Object.keys(await creations("race"))).toHaveLength(3);
      for (const { reason } of refused)
        expect(reason).toMatchObject({
          type: "QuotaFull",
          nonRetryable: false,
          category: "BENIGN",
        });
    } finally {
      await other.end();
    }
  });

  test("has a place again when a job has ended", async () => {
    const cycle = await plannedCycle(parts(), { name: "freed", customers: 2 });
    await endOtherJobs("none");
    const { trainingJobName } = await start(cycle, { maxTrainingJobs: 1 });
    const second = () => start(cycle, { maxTrainingJobs: 1, customerKey: "site-2" });
    await expect(second()).rejects.toMatchObject({ type: "QuotaFull" });
    await isCompleted(trainingJobName);
    await run(activities().findEndedJob, { trainingJobName });
    await expect(second()).resolves.toHaveProperty("trainingJobName");
  });

  test("gets the place back of a job that SageMaker refuses, and the customer fails", async () => {
    const cycle = await plannedCycle(parts(), { name: "refused" });
    const { Contents } = await parts().s3.send(
      new ListObjectsV2Command({
        Bucket: parts().bucket,
        Prefix: s3Keys.channel({ ...cycle, customerKey: "site-1", channel: "train" }),
      }),
    );
    for (const { Key } of Contents ?? [])
      await parts().s3.send(new DeleteObjectCommand({ Bucket: parts().bucket, Key }));
    await expect(start(cycle)).rejects.toMatchObject({
      type: "TrainingClientError",
      nonRetryable: true,
      message: expect.stringContaining("No S3 objects found") as string,
    });
    const { rows } = await parts().ledger.query("select * from jobs where fleet = 'refused'");
    expect(rows).toEqual([]);
  });

  test("of AWS itself holds a job back without keeping its place", async () => {
    const cycle = await plannedCycle(parts(), { name: "limited" });
    await setFaults({ resourceLimit: { "ml.m5.large": 0 } });
    try {
      await expect(start(cycle)).rejects.toMatchObject({ type: "QuotaFull", category: "BENIGN" });
      const { rows } = await parts().ledger.query("select * from jobs where fleet = 'limited'");
      expect(rows).toEqual([]);
    } finally {
      await setFaults({});
    }
    await expect(start(cycle)).resolves.toHaveProperty("trainingJobName");
  });
});

describe("looking for a job's end", () => {
  test("finds nothing while it runs, and the reason when it failed", async () => {
    await setFaults({ failJob: { match: "reasons", reason: "AlgorithmError: no luck", times: 1 } });
    try {
      const cycle = await plannedCycle(parts(), { name: "reasons" });
      const { trainingJobName } = await start(cycle);
      const look = () => run(activities().findEndedJob, { trainingJobName });
      await expect.poll(look).toEqual({
        jobName: trainingJobName,
        status: "Failed",
        failureReason: "AlgorithmError: no luck",
      });
      expect(await jobRow(trainingJobName)).toMatchObject({ state: "ended", status: "Failed" });
    } finally {
      await setFaults({});
    }
  });

  test("takes a job that SageMaker has forgotten for its own fault", async () => {
    await expect(
      run(activities().findEndedJob, { trainingJobName: "mf-never-was" }),
    ).resolves.toMatchObject({
      status: "Failed",
      failureReason: expect.stringMatching(/^InternalServerError/) as string,
    });
  });
});

describe("stopping a customer's jobs", () => {
  test("does nothing to ended ones, and gives back what was only admitted", async () => {
    const cycle = await plannedCycle(parts(), { name: "stopped" });
    const { trainingJobName } = await start(cycle);
    await isCompleted(trainingJobName);
    await parts().ledger.query(
      `insert into jobs (job_name, account, region, kind, fleet, cycle, customer_key, round, request_hash, request, workflow_id, state)
       values ('mf-stopped-never-created', $1, $2, 'training', 'stopped', $3, 'site-1', 1, 'h', '{}', 'w', 'admitted')`,
      [parts().account, parts().region, cycle.cycle],
    );
    const stop = { fleet: "stopped", cycle: cycle.cycle, customerKey: "site-1" };
    await run(activities().stopTrainingJob, stop);
    expect(await jobRow("mf-stopped-never-created")).toBeUndefined();
    expect((await describeJob(trainingJobName)).TrainingJobStatus).toBe("Completed");
  });
});

describe("watching jobs", () => {
  const place = () => ({ account: parts().account, region: parts().region });

  /** A workflow without a worker keeps its signals for whoever reads its history. */
  async function owner(fleet: string, customerKey: string, cycle: string) {
    const handle = await parts().temporal.workflow.start("retrainModel", {
      workflowId: workflowIds.retrainModel(fleet, customerKey, cycle),
      taskQueue: "nobody",
      args: [],
    });
    return {
      signals: async () =>
        ((await handle.fetchHistory()).events ?? []).filter(
          (event) => event.workflowExecutionSignaledEventAttributes?.signalName === jobEnded.name,
        ).length,
      end: () => handle.terminate(),
    };
  }

  test("signals every owner once, marks the jobs, and leaves when nobody waits any more", async () => {
    const cycle = await plannedCycle(parts(), { name: "watched", customers: 3 });
    await endOtherJobs("watched");
    const owners = await Promise.all(
      ["site-1", "site-2", "site-3"].map(async (customerKey) => {
        await start(cycle, { customerKey });
        return owner("watched", customerKey, cycle.cycle);
      }),
    );
    await expect(run(watcher().watchJobs, place())).resolves.toEqual({ idle: true });
    for (const { signals, end } of owners) {
      expect(await signals()).toBe(1);
      await end();
    }
    const { rows } = await parts().ledger.query(
      "select state, status, notified_at is not null as notified from jobs where fleet = 'watched'",
    );
    expect(rows).toEqual(Array(3).fill({ state: "ended", status: "Completed", notified: true }));
    const { rowCount } = await parts().ledger.query("select from watchers");
    expect(rowCount).toBe(0);
  });

  test("goes on where a watcher died, and does not mind an owner that is gone", async () => {
    const cycle = await plannedCycle(parts(), { name: "taken-over", customers: 2 });
    await endOtherJobs("taken-over");
    const names = await Promise.all(
      ["site-1", "site-2"].map((customerKey) => start(cycle, { customerKey })),
    );
    const left = await owner("taken-over", "site-1", cycle.cycle);
    const dying = activityEnvironment();
    const died = dying.run(watcher().watchJobs, place());
    dying.cancel();
    await expect(died).rejects.toThrow();
    await expect(run(watcher().watchJobs, place())).resolves.toEqual({ idle: true });
    expect(await left.signals()).toBeGreaterThan(0);
    for (const { trainingJobName } of names)
      expect(await jobRow(trainingJobName)).toMatchObject({ state: "ended", status: "Completed" });
    await left.end();
  });

  test("finds awaited jobs among many others of the account", async () => {
    const cycle = await plannedCycle(parts(), { name: "crowded" });
    await endOtherJobs("crowded");
    const { trainingJobName } = await start(cycle);
    const { request } = (await jobRow(trainingJobName)) as { request: object };
    const others = Array.from({ length: 120 }, (_none, index) => `crowd-${index}`);
    for (const name of others)
      await parts().sagemaker.send(
        new CreateTrainingJobCommand({
          ...(request as ConstructorParameters<typeof CreateTrainingJobCommand>[0]),
          TrainingJobName: name,
        }),
      );
    await expect(run(watcher().watchJobs, place())).resolves.toEqual({ idle: true });
    expect(await jobRow(trainingJobName)).toMatchObject({ state: "ended", status: "Completed" });
  });

  test("gives back the place of an admission whose activity died before it created a job", async () => {
    await endOtherJobs("none");
    await parts().ledger.query(
      `insert into jobs (job_name, account, region, kind, fleet, cycle, customer_key, round, request_hash, request, workflow_id, state, admitted_at)
       values ('mf-dead-admission', $1, $2, 'training', 'dead', 'c', 'site-1', 0, 'h', '{}', 'w', 'admitted', now() - interval '1 hour')`,
      [parts().account, parts().region],
    );
    await expect(run(watcher().watchJobs, place())).resolves.toEqual({ idle: true });
    expect(await jobRow("mf-dead-admission")).toBeUndefined();
  });
});

describe("a shard", () => {
  test("lists the customers that are not done, and no others", async () => {
    const cycle = await plannedCycle(parts(), { name: "shard", customers: 4 });
    await parts().ledger.query(
      "update customers set state = 'pending' where fleet = 'shard' and customer_key = 'site-2'",
    );
    const { readShard } = createCycleActivities(parts());
    await expect(run(readShard, { fleet: "shard", cycle: cycle.cycle, shard: 0 })).resolves.toEqual(
      { customerKeys: ["site-1", "site-3", "site-4"] },
    );
  });
});

async function setFaults(faults: object): Promise<void> {
  const response = await fetch(`${parts().sagemakerUrl}/_local/faults`, {
    method: "PUT",
    body: JSON.stringify(faults),
  });
  expect(response.ok).toBe(true);
}
