/** Spot capacity that is taken back, instances that are lost: the same job goes on from its checkpoints. */
import { CreateTrainingJobCommand } from "@aws-sdk/client-sagemaker";
import type { CreateTrainingJobCommandInput } from "@aws-sdk/client-sagemaker";
import { beforeEach, describe, expect, test } from "vitest";
import { keysUnder, readObject, useCloud, useServer } from "./cloud.js";
import { aTrainingJob, unique } from "./requests.js";
import { checkpointsIn, instances, scriptJobs, untar } from "./script-jobs.js";

const cloud = useCloud(19154);
const url = useServer(cloud, { stopGraceSeconds: 2, cores: 2 });
const jobs = scriptJobs(cloud, url);
beforeEach(() => jobs.inject({}));

const spot = (MaxWaitTimeInSeconds = 600, MaxRuntimeInSeconds = MaxWaitTimeInSeconds) => ({
  EnableManagedSpotTraining: true,
  StoppingCondition: { MaxRuntimeInSeconds, MaxWaitTimeInSeconds },
});

/** Trains ten pieces, some time each, those that are not there yet; tells which it trained. */
const pieces = `
import json, os, pathlib, sys, time
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
folder = base / "checkpoints"
host, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
mine = [i for i in range(10) if i % len(hosts) == hosts.index(host)]
there = [i for i in mine if (folder / f"{i}.txt").exists()]
print(f"found {len(there)}", flush=True)
for piece in mine:
    if piece in there: continue
    time.sleep(float(os.environ.get("PIECE", "0.5")))
    part = folder / f"{piece}.part"
    part.write_text(host)
    part.rename(folder / f"{piece}.txt")
pathlib.Path(os.environ["SM_MODEL_DIR"], f"{host}.json").write_text(json.dumps(mine))
`;

const allPieces = Array.from({ length: 10 }, (_, piece) => `${piece}.txt`);

async function saved(folder: string): Promise<string[]> {
  const keys = await keysUnder(cloud(), `${folder}/`);
  return keys.map((key) => key.slice(folder.length + 1)).sort();
}

/** How many pieces each run of a host found. */
const foundIn = (log: string) =>
  [...log.matchAll(/found (\d+)/g)].map(([, count]) => Number(count));

describe("managed spot training", () => {
  test("a job that is interrupted starts again under its name and trains only what is missing", async () => {
    const folder = unique("checkpoints");
    await jobs.inject({ interrupt: { match: "spot", afterFiles: 2 } });
    const name = await jobs.start({
      ...{ script: pieces, TrainingJobName: unique("spot"), ...spot() },
      CheckpointConfig: checkpointsIn(folder),
    });
    const job = await jobs.until(name, { TrainingJobStatus: "Completed" });
    expect(jobs.steps(job)).toEqual([
      ...["Pending", "Starting", "Downloading", "Training", "Interrupted"],
      ...["Starting", "Downloading", "Training", "Uploading", "Completed"],
    ]);
    const [first, second = 0] = foundIn(await jobs.log(name));
    expect(first).toBe(0);
    expect(second).toBeGreaterThanOrEqual(2);
    expect(second).toBeLessThan(10);
    expect(await saved(folder)).toEqual(allPieces);
    const { TrainingTimeInSeconds = 0, BillableTimeInSeconds = 0 } = job;
    expect(BillableTimeInSeconds).toBeGreaterThanOrEqual(1);
    expect(BillableTimeInSeconds).toBeLessThan(TrainingTimeInSeconds);
  });

  test("every run that is interrupted is a new one; a script has its time to save", async () => {
    const folder = unique("checkpoints");
    await jobs.inject({ interrupt: { match: "spot", afterSeconds: 0.5, times: 2 } });
    const script = `
import os, pathlib, signal, sys, time
folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "checkpoints"
runs = len(list(folder.iterdir()))
def save(*_):
    (folder / f"run-{runs}.txt").write_text("interrupted")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
time.sleep(60 if runs < 2 else 0)
`;
    const name = await jobs.start({
      ...{ script, TrainingJobName: unique("spot"), ...spot() },
      CheckpointConfig: checkpointsIn(folder),
    });
    const job = await jobs.until(name, { TrainingJobStatus: "Completed" });
    expect(jobs.steps(job).filter((step) => step === "Interrupted")).toHaveLength(2);
    expect(await saved(folder)).toEqual(["run-0.txt", "run-1.txt"]);
  });

  test("who pays for an instance keeps it", async () => {
    await jobs.inject({ interrupt: { match: "steady" } });
    const script = "import time\ntime.sleep(0.5)";
    const name = await jobs.start({ script, TrainingJobName: unique("steady") });
    const job = await jobs.until(name, { TrainingJobStatus: "Completed" });
    expect(jobs.steps(job)).not.toContain("Interrupted");
  });

  test("a job that waits for capacity for too long is stopped, with what it has saved", async () => {
    const folder = unique("checkpoints");
    await jobs.inject({ interrupt: { match: "spot", afterFiles: 1 } });
    const name = await jobs.start({
      ...{ script: pieces, TrainingJobName: unique("spot"), ...spot(8, 6) },
      CheckpointConfig: checkpointsIn(folder),
      Environment: { PIECE: "1" },
    });
    await jobs.until(name, { SecondaryStatus: "Training" });
    await jobs.inject({ interrupt: { match: "spot", afterFiles: 1 }, slowStartSeconds: 60 });
    const job = await jobs.until(name, { TrainingJobStatus: "Stopped" });
    expect(job.SecondaryStatus).toBe("MaxWaitTimeExceeded");
    expect(jobs.steps(job)).toEqual(
      expect.arrayContaining(["Interrupted", "Stopping", "MaxWaitTimeExceeded"]),
    );
    expect((await saved(folder)).length).toBeGreaterThan(0);
  });

  const create = (changes: Partial<CreateTrainingJobCommandInput>) =>
    jobs.client().send(new CreateTrainingJobCommand(aTrainingJob(changes)));

  test.each([
    [{ EnableManagedSpotTraining: true }, /MaxWaitTimeInSeconds is required/],
    [spot(10, 20), /MaxWaitTimeInSeconds must be equal to or greater than MaxRuntimeInSeconds/],
    [{ ...spot(), EnableManagedSpotTraining: false }, /MaxWaitTimeInSeconds is only for jobs/],
    [
      { ...spot(), ResourceConfig: instances(1, { KeepAlivePeriodInSeconds: 60 }) },
      /KeepAlivePeriodInSeconds is not supported/,
    ],
  ])("what does not go together is refused: %j", async (changes, message) => {
    await expect(create(changes)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringMatching(message) as string,
    });
  });
});

describe("an instance that is lost", () => {
  test("is made up for when the request says so, and only what is missing is trained again", async () => {
    const folder = unique("checkpoints");
    await jobs.inject({ loseInstance: { match: "lost", host: "algo-2", afterFiles: 2 } });
    const name = await jobs.start({
      ...{ script: pieces, TrainingJobName: unique("lost") },
      CheckpointConfig: checkpointsIn(folder),
      ResourceConfig: instances(2),
      RetryStrategy: { MaximumRetryAttempts: 1 },
      Environment: { PIECE: "1" },
    });
    const job = await jobs.until(name, { TrainingJobStatus: "Completed" });
    expect(jobs.steps(job)).toEqual([
      ...["Pending", "Starting", "Downloading", "Training", "Restarting"],
      ...["Starting", "Downloading", "Training", "Uploading", "Completed"],
    ]);
    const [, , third = 0, fourth = 0] = foundIn(await jobs.log(name));
    expect(third + fourth).toBeGreaterThanOrEqual(2);
    expect(await saved(folder)).toEqual(allPieces);
    const model = await untar(await readObject(cloud(), `output/${name}/output/model.tar.gz`));
    expect(Object.keys(model).sort()).toEqual(["algo-1.json", "algo-2.json"]);
  });

  test("takes with it what it had not uploaded, and fails a job that is not to be tried again", async () => {
    const folder = unique("checkpoints");
    const script = `
import os, pathlib, time
host = os.environ["SM_CURRENT_HOST"]
folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "checkpoints"
time.sleep(0.5)
(folder / f"{host}.txt").write_text(host)
time.sleep(60)
`;
    await jobs.inject({ loseInstance: { match: "lost", host: "algo-2", afterSeconds: 0.9 } });
    const name = await jobs.start({
      ...{ script, TrainingJobName: unique("lost") },
      CheckpointConfig: checkpointsIn(folder),
      ResourceConfig: instances(2),
    });
    const job = await jobs.until(name, { TrainingJobStatus: "Failed" });
    expect(job.FailureReason).toMatch(/^InternalServerError: .* \(instance lost: algo-2\)$/);
    expect(await saved(folder)).toEqual(["algo-1.txt"]);
  });
});
