/** Several instances are several processes that run together, each with its own share of the data. */
import { availableParallelism } from "node:os";
import { beforeEach, describe, expect, test } from "vitest";
import { bucket, putObject, readObject, useCloud, useServer } from "./cloud.js";
import { unique } from "./requests.js";
import { channel, instances, scriptJobs, untar } from "./script-jobs.js";

const cloud = useCloud(19142);
const url = useServer(cloud, { stopGraceSeconds: 2, cores: 2 });
const jobs = scriptJobs(cloud, url);
beforeEach(() => jobs.inject({}));

/** Each host leaves one file: what it was told, and what it was given. */
const report = `
import json, os, pathlib
data = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
host = os.environ["SM_CURRENT_HOST"]
config = json.loads(pathlib.Path(os.environ["SM_INPUT_CONFIG_DIR"], "resourceconfig.json").read_text())
pathlib.Path(os.environ["SM_MODEL_DIR"], f"{host}.json").write_text(json.dumps({
    "hosts": json.loads(os.environ["SM_HOSTS"]),
    "config": [config["current_host"], config["hosts"]],
    "pid": os.getpid(),
    "cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
    "files": sorted(p.name for p in data.iterdir()),
}))
`;

interface Report {
  readonly hosts: readonly string[];
  readonly config: readonly [string, readonly string[]];
  readonly pid: number;
  /** That it may run on; empty where the system cannot tell. */
  readonly cores: readonly number[];
  readonly files: readonly string[];
}

async function reports(name: string): Promise<Record<string, Report>> {
  const files = await untar(await readObject(cloud(), `output/${name}/output/model.tar.gz`));
  return Object.fromEntries(
    Object.entries(files).map(([file, text]) => [
      file.replace(".json", ""),
      JSON.parse(text) as Report,
    ]),
  );
}

async function shardedJob(count: number, S3Uri: string, S3DataType: string): Promise<string> {
  const train = channel("train", S3Uri, {
    S3DataType,
    S3DataDistributionType: "ShardedByS3Key",
  });
  const name = await jobs.start({
    ...{ script: report, InputDataConfig: [train], ResourceConfig: instances(count) },
  });
  await jobs.until(name, { TrainingJobStatus: "Completed" });
  return name;
}

async function customers(count: number): Promise<string> {
  const folder = unique("customers");
  for (let index = 0; index < count; index++)
    await putObject(cloud(), `${folder}/c${index}.csv`, `${index}\n`);
  return folder;
}

describe("data that is sharded by key", () => {
  test("is split between processes that know each other's names", async () => {
    const folder = await customers(7);
    const name = await shardedJob(3, `s3://${bucket}/${folder}/`, "S3Prefix");
    const all = await reports(name);
    const hosts = ["algo-1", "algo-2", "algo-3"];
    expect(Object.keys(all).sort()).toEqual(hosts);
    for (const host of hosts) expect(all[host]).toMatchObject({ hosts, config: [host, hosts] });
    expect(new Set(Object.values(all).map(({ pid }) => pid)).size).toBe(3);
    expect(all["algo-1"]?.files).toEqual(["c0.csv", "c3.csv", "c6.csv"]);
    expect(all["algo-2"]?.files).toEqual(["c1.csv", "c4.csv"]);
    expect(all["algo-3"]?.files).toEqual(["c2.csv", "c5.csv"]);
  });

  test("of a manifest: only what it lists, each object once", async () => {
    const folder = await customers(6);
    const wanted = ["c0.csv", "c2.csv", "c3.csv", "c5.csv"];
    const manifest = [{ prefix: `s3://${bucket}/${folder}/` }, ...wanted];
    const uri = await putObject(cloud(), `${folder}.manifest`, JSON.stringify(manifest));
    const all = await reports(await shardedJob(2, uri, "ManifestFile"));
    expect(all["algo-1"]?.files).toEqual(["c0.csv", "c3.csv"]);
    expect(all["algo-2"]?.files).toEqual(["c2.csv", "c5.csv"]);
  });

  test("of fewer objects than hosts leaves a host an empty folder", async () => {
    const folder = await customers(1);
    const all = await reports(await shardedJob(2, `s3://${bucket}/${folder}/`, "S3Prefix"));
    expect(all["algo-1"]?.files).toEqual(["c0.csv"]);
    expect(all["algo-2"]?.files).toEqual([]);
  });
});

describe.runIf(availableParallelism() > 1 && process.platform === "linux")("cores", () => {
  test("are shared out between the hosts of a job", async () => {
    const folder = await customers(2);
    const all = await reports(await shardedJob(2, `s3://${bucket}/${folder}/`, "S3Prefix"));
    const cores = Object.values(all).flatMap((host) => host.cores);
    expect(cores).toHaveLength(availableParallelism());
    expect(new Set(cores).size).toBe(cores.length);
  });
});

describe("hosts", () => {
  /** Each host waits for a file of every other one, beside their /opt/ml: only together do they end. */
  const meeting = `
import json, os, pathlib, sys, time
host, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
place = pathlib.Path(os.environ["MEETING"])
place.mkdir(parents=True, exist_ok=True)
(place / host).touch()
end = time.time() + 30
while len(list(place.iterdir())) < len(hosts):
    if time.time() > end: sys.exit("nobody came")
    time.sleep(0.02)
`;

  test("run at the same time, also when there are more of them than cores", async () => {
    const place = `${cloud().config.stateDir}/${unique("meeting")}`;
    const name = await jobs.start({
      ...{ script: meeting, Environment: { MEETING: place }, ResourceConfig: instances(5) },
    });
    await jobs.until(name, { TrainingJobStatus: "Completed" });
  });

  test("of two jobs take turns when the cores do not suffice for both", async () => {
    const script =
      "import time\nprint('start', time.time())\ntime.sleep(1)\nprint('end', time.time())";
    const names = [
      await jobs.start({ script, ResourceConfig: instances(2) }),
      await jobs.start({ script, ResourceConfig: instances(2) }),
    ];
    for (const name of names) await jobs.until(name, { TrainingJobStatus: "Completed" });
    const spans = await Promise.all(
      names.map(async (name) => {
        const times = [...(await jobs.log(name)).matchAll(/(?:start|end) ([\d.]+)/g)];
        expect(times).toHaveLength(4);
        const values = times.map(([, time]) => Number(time));
        return { from: Math.min(...values), to: Math.max(...values) };
      }),
    );
    const [first, second] = spans.sort((a, b) => a.from - b.from);
    expect(second?.from).toBeGreaterThan(first?.to ?? Infinity);
  });

  test("fill one archive; a name that two of them use is told in the log", async () => {
    const script = `
import os, pathlib
host = os.environ["SM_CURRENT_HOST"]
for folder in ("SM_MODEL_DIR", "SM_OUTPUT_DATA_DIR"):
    place = pathlib.Path(os.environ[folder])
    (place / f"{host}.txt").write_text(host)
    (place / "shared.txt").write_text(host)
`;
    const name = await jobs.start({ script, ResourceConfig: instances(2) });
    await jobs.until(name, { TrainingJobStatus: "Completed" });
    for (const archive of ["model", "output"]) {
      const object = await readObject(cloud(), `output/${name}/output/${archive}.tar.gz`);
      expect(await untar(object)).toEqual({
        "algo-1.txt": "algo-1",
        "algo-2.txt": "algo-2",
        "shared.txt": "algo-2",
      });
    }
    expect(await jobs.log(name)).toContain("shared.txt of algo-2 overwrites that of another host");
  });

  test("end when one of them fails, and the job tells its reason", async () => {
    const script = `
import os, signal, sys, time
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    time.sleep(0.5)
    sys.exit("bad shard")
def stop(*_):
    print("told to end", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
time.sleep(60)
`;
    const name = await jobs.start({ script, ResourceConfig: instances(2) });
    const job = await jobs.until(name, { TrainingJobStatus: "Failed" });
    expect(job.FailureReason).toMatch(/^AlgorithmError: ExecuteUserScriptError:[^]*bad shard/);
    expect(await jobs.log(name)).toContain("[algo-1] told to end");
  });
});

describe("requirements.txt", () => {
  test.each([
    [
      "no-such-package==1.0",
      /Could not find a version .*no-such-package==1\.0.*No matching distri/,
    ],
    ["./gone-1.0-py3-none-any.whl", /ERROR: .*gone-1\.0-py3-none-any\.whl/],
    [
      "what is this",
      /ERROR: Invalid requirement: .*what is this.*from line 2 of requirements\.txt/,
    ],
  ])("that cannot be installed (%s) fails the job, with what pip says", async (line, reason) => {
    const name = await jobs.start({
      script: "print('not reached')",
      beside: [{ name: "requirements.txt", content: `--no-index\n${line}\n` }],
    });
    const job = await jobs.until(name, { TrainingJobStatus: "Failed" });
    expect(job.FailureReason).toMatch(/^AlgorithmError: InstallRequirementsError:\nExitCode 1\n/);
    expect(job.FailureReason).toMatch(reason);
    expect(await jobs.log(name)).not.toContain("not reached");
  });
});

describe("code archives", () => {
  test.each([
    [
      "an absolute path",
      { name: "/tmp/modelfleet-evil.txt", content: "x" },
      /evil\.txt.*leads out/,
    ],
    ["a path that climbs out", { name: "a/../../evil.txt", content: "x" }, /evil\.txt.*leads out/],
    ["a link", { name: "link", type: "symlink", linkname: "/etc/passwd" }, /link.*is a symlink/],
    ["a hard link", { name: "link", type: "link", linkname: "../../x" }, /link.*is a link/],
  ] as const)("with %s are refused", async (_what, entry, reason) => {
    const name = await jobs.start({ script: "print('not reached')", beside: [entry] });
    const job = await jobs.until(name, { TrainingJobStatus: "Failed" });
    expect(job.FailureReason).toMatch(/^AlgorithmError: .*cannot unpack/);
    expect(job.FailureReason).toMatch(reason);
  });
});
