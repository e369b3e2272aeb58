/** Checkpoints: what a script saves is in S3 while it runs, and back when it starts again. */
import { mkdirSync } from "node:fs";
import { CreateTrainingJobCommand, StopTrainingJobCommand } from "@aws-sdk/client-sagemaker";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { keysUnder, putObject, readObject, useCloud, useServer } from "./cloud.js";
import { aTrainingJob, unique } from "./requests.js";
import { checkpointsIn, instances, scriptJobs } from "./script-jobs.js";

const cloud = useCloud(19130);
const url = useServer(cloud, { stopGraceSeconds: 2, cores: 2 });
const jobs = scriptJobs(cloud, url);
beforeEach(() => jobs.inject({}));

/** What every script here begins with; on AWS the base is /opt/ml. */
const prelude = `
import os, pathlib, signal, sys, time
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
folder = base / "checkpoints"
host = os.environ["SM_CURRENT_HOST"]
def wait_for(path, seconds=30):
    end = time.time() + seconds
    while not path.exists():
        if time.time() > end: sys.exit(f"{path} did not come")
        time.sleep(0.02)
`;

const namesUnder = async (folder: string) =>
  (await keysUnder(cloud(), `${folder}/`)).map((key) => key.slice(folder.length + 1)).sort();

const untilThere = (folder: string, names: readonly string[]) =>
  vi.waitFor(async () => expect(await namesUnder(folder)).toEqual(names), {
    timeout: 20_000,
    interval: 100,
  });

describe("while the script runs", () => {
  test("new and changed files are uploaded, and what is deleted goes from S3 too", async () => {
    const folder = unique("checkpoints");
    const script = `${prelude}
(folder / "deep").mkdir()
(folder / "deep/first.txt").write_text("one")
(folder / "second.txt").write_text("two")
os.symlink("/etc/hostname", folder / "link")
wait_for(pathlib.Path(os.environ["SWITCH"] + ".change"))
(folder / "second.txt").write_text("two, changed")
(folder / "deep/first.txt").unlink()
wait_for(pathlib.Path(os.environ["SWITCH"] + ".end"))
(folder / "last.txt").write_text("three")
`;
    const gate = `${cloud().config.stateDir}/${folder}`;
    const name = await jobs.start({
      script,
      CheckpointConfig: checkpointsIn(folder),
      Environment: { SWITCH: gate },
    });
    await untilThere(folder, ["deep/first.txt", "second.txt"]);
    expect((await jobs.describe(name)).SecondaryStatus).toBe("Training");
    mkdirSync(`${gate}.change`, { recursive: true });
    await untilThere(folder, ["second.txt"]);
    await vi.waitFor(
      async () =>
        expect((await readObject(cloud(), `${folder}/second.txt`)).toString()).toBe("two, changed"),
      { timeout: 10_000 },
    );
    await putObject(cloud(), `${folder}/from-elsewhere.txt`, "not seen by this job");
    mkdirSync(`${gate}.end`, { recursive: true });
    await jobs.until(name, { TrainingJobStatus: "Completed" });
    expect(await namesUnder(folder)).toEqual(["from-elsewhere.txt", "last.txt", "second.txt"]);
  });

  test("a file that is being written is not uploaded before it stands still", async () => {
    const folder = unique("checkpoints");
    const script = `${prelude}
with open(folder / "slow.txt", "w") as file:
    for _ in range(60):
        file.write("x" * 1000)
        file.flush()
        time.sleep(0.05)
(folder / "done.txt").write_text("done")
time.sleep(3)
`;
    const name = await jobs.start({ script, CheckpointConfig: checkpointsIn(folder) });
    const sizes = new Set<number>();
    await vi.waitFor(
      async () => {
        const there = (await namesUnder(folder)).includes("slow.txt");
        if (there) sizes.add((await readObject(cloud(), `${folder}/slow.txt`)).length);
        expect((await jobs.describe(name)).TrainingJobStatus).toBe("Completed");
      },
      { timeout: 40_000, interval: 100 },
    );
    expect([...sizes]).toEqual([60_000]);
  });
});

describe("at its end", () => {
  const save = `${prelude}
(folder / "saved.txt").write_text("saved")
print("saved", flush=True)
`;

  test("a job that fails has saved what it wrote a moment before", async () => {
    const folder = unique("checkpoints");
    const script = `${save}\nsys.exit("enough")`;
    const name = await jobs.start({ script, CheckpointConfig: checkpointsIn(folder) });
    const job = await jobs.until(name, { TrainingJobStatus: "Failed" });
    expect(job.FailureReason).toContain("enough");
    expect(await namesUnder(folder)).toEqual(["saved.txt"]);
  });

  test("a job that is stopped has saved what it wrote after it was asked to stop", async () => {
    const folder = unique("checkpoints");
    const script = `${save}
def stop(*_):
    (folder / "at-the-end.txt").write_text("bye")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
`;
    const name = await jobs.start({ script, CheckpointConfig: checkpointsIn(folder) });
    await vi.waitFor(async () => expect(await jobs.log(name)).toContain("ready"), 20_000);
    await jobs.client().send(new StopTrainingJobCommand({ TrainingJobName: name }));
    await jobs.until(name, { TrainingJobStatus: "Stopped" });
    expect(await namesUnder(folder)).toEqual(["at-the-end.txt", "saved.txt"]);
  });

  test("checkpoints whose bucket is not there fail the job", async () => {
    const script = `${save}\n`;
    const name = await jobs.start({
      script,
      CheckpointConfig: { S3Uri: "s3://no-such-bucket-here/checkpoints" },
    });
    const job = await jobs.until(name, { TrainingJobStatus: "Failed" });
    expect(job.FailureReason).toMatch(/^ClientError: Cannot .* checkpoints .*NoSuchBucket/);
  });
});

describe("at its start", () => {
  test("a job with another name finds what the one before saved, and uploads none of it again", async () => {
    const folder = unique("checkpoints");
    await putObject(cloud(), `${folder}/a/one.txt`, "1");
    await putObject(cloud(), `${folder}/two.txt`, "2");
    await putObject(cloud(), `${folder}-other/three.txt`, "a prefix is no folder");
    const script = `${prelude}
found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
print("found", found, (folder / "a/one.txt").read_text(), flush=True)
(folder / "two.txt").unlink()
`;
    const name = await jobs.start({ script, CheckpointConfig: checkpointsIn(folder) });
    await jobs.until(name, { TrainingJobStatus: "Completed" });
    expect(await jobs.log(name)).toContain("found ['a/one.txt', 'two.txt'] 1");
    expect(await namesUnder(folder)).toEqual(["a/one.txt"]);
    expect(await namesUnder(`${folder}-other`)).toEqual(["three.txt"]);
  });

  test("another folder below /opt/ml is taken, one outside refused", async () => {
    const folder = unique("checkpoints");
    const script = `${prelude}
(base / "state/rounds").mkdir(exist_ok=True)
(base / "state/rounds/1.txt").write_text("1")
`;
    const at = (LocalPath: string) => ({ ...checkpointsIn(folder), LocalPath });
    const name = await jobs.start({ script, CheckpointConfig: at("/opt/ml/state/rounds/") });
    const job = await jobs.until(name, { TrainingJobStatus: "Completed" });
    expect(job.CheckpointConfig).toEqual(at("/opt/ml/state/rounds/"));
    expect(await namesUnder(folder)).toEqual(["1.txt"]);
    for (const path of ["/tmp/checkpoints", "/opt/ml", "/opt/ml/../../etc"])
      await expect(
        jobs
          .client()
          .send(new CreateTrainingJobCommand(aTrainingJob({ CheckpointConfig: at(path) }))),
      ).rejects.toMatchObject({
        name: "ValidationException",
        message: expect.stringContaining(path) as string,
      });
  });

  test("every host gets all checkpoints, and deletes only what it saw", async () => {
    const folder = unique("checkpoints");
    await putObject(cloud(), `${folder}/old.txt`, "old");
    const script = `${prelude}
assert (folder / "old.txt").read_text() == "old"
(folder / f"{host}.txt").write_text(host)
time.sleep(3.5)
found = sorted(p.name for p in folder.iterdir())
print("sees", found, flush=True)
`;
    const name = await jobs.start({
      script,
      CheckpointConfig: checkpointsIn(folder),
      ResourceConfig: instances(2),
    });
    await untilThere(folder, ["algo-1.txt", "algo-2.txt", "old.txt"]);
    await jobs.until(name, { TrainingJobStatus: "Completed" });
    expect(await namesUnder(folder)).toEqual(["algo-1.txt", "algo-2.txt", "old.txt"]);
    const log = await jobs.log(name);
    expect(log).toContain("[algo-1] sees ['algo-1.txt', 'old.txt']");
    expect(log).toContain("[algo-2] sees ['algo-2.txt', 'old.txt']");
  });
});

test("thousands of small checkpoints are uploaded while they come, and restored", async () => {
  const folder = unique("checkpoints");
  const count = 1_000;
  const script = `${prelude}
there = sum(1 for _ in folder.iterdir())
print("restored", there, flush=True)
for i in range(there, ${count}):
    part = folder / f"{i}.tmp"
    part.write_bytes(b"model" * 100)
    part.rename(folder / f"{i}.tar.gz")
`;
  const request = { script, CheckpointConfig: checkpointsIn(folder) };
  await jobs.until(await jobs.start(request), { TrainingJobStatus: "Completed" });
  const again = await jobs.start(request);
  await jobs.until(again, { TrainingJobStatus: "Completed" });
  expect(await jobs.log(again)).toContain(`restored ${count}`);
});
