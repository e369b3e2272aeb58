/** Warm pools: instances that a job leaves are there at once for the next one like it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  DeleteTrainingJobCommand,
  ListTrainingJobsCommand,
  StopTrainingJobCommand,
  UpdateTrainingJobCommand,
} from "@aws-sdk/client-sagemaker";
import type { DescribeTrainingJobCommandOutput } from "@aws-sdk/client-sagemaker";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { startServer } from "../../local/sagemaker/server.js";
import { account, region, setting, useCloud, useServer, userKeys } from "./cloud.js";
import { unique } from "./requests.js";
import { checkpointsIn, instances, scriptJobs } from "./script-jobs.js";
import type { ScriptJob } from "./script-jobs.js";

const cloud = useCloud(19166);
const url = useServer(cloud, { stopGraceSeconds: 1 });
const jobs = scriptJobs(cloud, url);
beforeEach(() => jobs.inject({}));

/** Jobs of one test match each other and those of no other test, by the size of their disk. */
let volume = 10;
const kept = (KeepAlivePeriodInSeconds: number, changes: object = {}) =>
  instances(1, { KeepAlivePeriodInSeconds, VolumeSizeInGB: volume, ...changes });

beforeEach(() => void (volume += 1));

const start = (changes: Partial<ScriptJob> = {}) => jobs.start({ script: "pass", ...changes });

async function finished(changes: Partial<ScriptJob> = {}): Promise<string> {
  const name = await start(changes);
  await jobs.until(name, { TrainingJobStatus: "Completed" });
  return name;
}

const pool = async (name: string) => (await jobs.describe(name)).WarmPoolStatus;

/** How long the job stood in Starting. */
function startSeconds({
  SecondaryStatusTransitions = [],
}: DescribeTrainingJobCommandOutput): number {
  const step = SecondaryStatusTransitions.find(({ Status }) => Status === "Starting");
  return ((step?.EndTime?.getTime() ?? 0) - (step?.StartTime?.getTime() ?? 0)) / 1000;
}

describe("instances that a job keeps", () => {
  test("are the next job's at once, and each of the two says so", async () => {
    await jobs.inject({ slowStartSeconds: 3 });
    const first = await finished({ ResourceConfig: kept(600) });
    expect(startSeconds(await jobs.describe(first))).toBeGreaterThanOrEqual(2.9);
    expect(await pool(first)).toEqual({ Status: "Available" });

    const second = await start({
      ...{ script: "import time\ntime.sleep(1)", ResourceConfig: kept(600) },
    });
    expect(await pool(first)).toEqual({
      Status: "Reused",
      ReusedByJob: second,
      ResourceRetainedBillableTimeInSeconds: expect.any(Number) as number,
    });
    expect(await pool(second)).toEqual({ Status: "InUse" });
    const done = await jobs.until(second, { TrainingJobStatus: "Completed" });
    expect(startSeconds(done)).toBeLessThan(1.5);
    expect(done.WarmPoolStatus).toEqual({ Status: "Available" });
  });

  test("end with a job that does not ask for them again", async () => {
    const first = await finished({ ResourceConfig: kept(600) });
    const second = await finished({ ResourceConfig: kept(0) });
    expect(await pool(first)).toMatchObject({ Status: "Reused", ReusedByJob: second });
    expect(await pool(second)).toEqual({ Status: "Terminated" });
  });

  test("end when their time is over", async () => {
    const name = await finished({ ResourceConfig: kept(1) });
    await vi.waitFor(
      async () =>
        expect(await pool(name)).toEqual({
          Status: "Terminated",
          ResourceRetainedBillableTimeInSeconds: expect.any(Number) as number,
        }),
      10_000,
    );
    const next = await finished({ ResourceConfig: kept(0) });
    expect(await pool(next)).toBeUndefined();
  });

  test.each([
    ["another disk", { VolumeSizeInGB: 500 }, {}],
    ["another number of instances", { InstanceCount: 2 }, {}],
    ["another kind of instance", { InstanceType: "ml.m5.xlarge" }, {}],
    ["another network", {}, { EnableNetworkIsolation: true }],
  ])("are not for a job with %s", async (_what, resources, changes) => {
    const first = await finished({ ResourceConfig: kept(600) });
    const other = await finished({ ResourceConfig: kept(0, resources), ...changes });
    expect(await pool(other)).toBeUndefined();
    expect(await pool(first)).toEqual({ Status: "Available" });
  });

  test("stay after a script's own failure and after a stop, not after a fault of the platform", async () => {
    const failed = await start({ script: "raise SystemExit('no')", ResourceConfig: kept(600) });
    await jobs.until(failed, {
      TrainingJobStatus: "Failed",
      WarmPoolStatus: { Status: "Available" },
    });
    const stopped = await start({
      ...{ script: "import time\ntime.sleep(60)", ResourceConfig: kept(600) },
    });
    await jobs.until(stopped, { SecondaryStatus: "Training" });
    await jobs.client().send(new StopTrainingJobCommand({ TrainingJobName: stopped }));
    const used = { TrainingJobStatus: "Stopped", WarmPoolStatus: { Status: "Available" } } as const;
    await jobs.until(stopped, used);
    await jobs.inject({ loseInstance: { match: "hurt" } });
    const hurt = await start({
      ...{ script: "import time\ntime.sleep(60)", ResourceConfig: kept(600) },
      TrainingJobName: unique("hurt"),
    });
    const lost = { TrainingJobStatus: "Failed", WarmPoolStatus: { Status: "Terminated" } } as const;
    await jobs.until(hurt, lost);
  });
});

describe("quotas", () => {
  test("count what a pool holds, but not twice for the job that takes it over", async () => {
    const type = "ml.c5.xlarge" as const;
    await jobs.inject({ resourceLimit: { [type]: 1 } });
    const first = await finished({ ResourceConfig: kept(600, { InstanceType: type }) });
    expect(await pool(first)).toEqual({ Status: "Available" });
    const unlike = { InstanceType: type, VolumeSizeInGB: 900 };
    await expect(start({ ResourceConfig: kept(0, unlike) })).rejects.toMatchObject({
      name: "ResourceLimitExceeded",
      message: expect.stringContaining("current utilization of 1 Instances") as string,
    });
    expect(await pool(first)).toEqual({ Status: "Available" });
    await finished({ ResourceConfig: kept(0, { InstanceType: type }) });
    await finished({ ResourceConfig: kept(0, unlike) });
  });
});

describe("what can be asked and changed", () => {
  test("a list shows the jobs whose pools are in one status", async () => {
    const name = await finished({ ResourceConfig: kept(600) });
    const list = async (WarmPoolStatusEquals: "Available" | "Reused") => {
      const command = new ListTrainingJobsCommand({ NameContains: name, WarmPoolStatusEquals });
      return (await jobs.client().send(command)).TrainingJobSummaries ?? [];
    };
    expect(await list("Available")).toMatchObject([
      { TrainingJobName: name, WarmPoolStatus: { Status: "Available" } },
    ]);
    expect(await list("Reused")).toEqual([]);
  });

  test("a pool ends when UpdateTrainingJob says so; only then its job can be deleted", async () => {
    const name = await finished({ ResourceConfig: kept(600) });
    const remove = () =>
      jobs.client().send(new DeleteTrainingJobCommand({ TrainingJobName: name }));
    const keepFor = (KeepAlivePeriodInSeconds: number) =>
      jobs.client().send(
        new UpdateTrainingJobCommand({
          ...{ TrainingJobName: name, ResourceConfig: { KeepAlivePeriodInSeconds } },
        }),
      );
    await expect(remove()).rejects.toMatchObject({ name: "ResourceInUse" });
    await keepFor(1200);
    expect(await pool(name)).toEqual({ Status: "Available" });
    await keepFor(0);
    expect(await pool(name)).toMatchObject({ Status: "Terminated" });
    await expect(keepFor(60)).rejects.toMatchObject({ name: "ValidationException" });
    await remove();
  });

  test("boto3 shows the pool, the checkpoints and the times", async () => {
    const folder = unique("checkpoints");
    const name = await finished({
      ResourceConfig: kept(600),
      CheckpointConfig: checkpointsIn(folder),
    });
    const script = new URL("boto3_warm_pool.py", import.meta.url).pathname;
    const settings = JSON.stringify({ url: url(), name, ...userKeys });
    const run = promisify(execFile)(setting("MODELFLEET_TEST_PYTHON"), [script, settings]);
    expect(JSON.parse((await run).stdout)).toEqual({
      pool: { Status: "Available" },
      checkpoints: checkpointsIn(folder),
      seconds: [expect.any(Number), expect.any(Number)],
      listed: [{ Status: "Available" }],
      updated: `arn:aws:sagemaker:${region}:${account}:training-job/${name}`,
      ended: {
        Status: "Terminated",
        ResourceRetainedBillableTimeInSeconds: expect.any(Number) as number,
      },
    });
  });
});

describe("a server", () => {
  const beside = async (quota: number) => {
    const quotas = { warmPoolInstances: quota };
    const stateDir = `${cloud().config.stateDir}-beside`;
    const server = await startServer({ ...cloud().config, port: 0, quotas, stateDir });
    return { server, jobs: scriptJobs(cloud, () => server.url) };
  };

  test("with AWS's default quota of none ignores what is asked for", async () => {
    const { server, jobs } = await beside(0);
    const name = await jobs.start({ script: "pass", ResourceConfig: kept(600) });
    await jobs.until(name, { TrainingJobStatus: "Completed" });
    expect((await jobs.describe(name)).WarmPoolStatus).toBeUndefined();
    await server.close();
  });

  test("that starts again has no pools left", async () => {
    const { server, jobs } = await beside(20);
    const name = await jobs.start({ script: "pass", ResourceConfig: kept(600) });
    await jobs.until(name, { WarmPoolStatus: { Status: "Available" } });
    await server.close();
    const next = await beside(20);
    expect((await next.jobs.describe(name)).WarmPoolStatus).toEqual({
      Status: "Terminated",
      ResourceRetainedBillableTimeInSeconds: expect.any(Number) as number,
    });
    await next.server.close();
  });
});
