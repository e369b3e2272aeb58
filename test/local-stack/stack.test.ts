import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { GetBucketVersioningCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, test } from "vitest";
import { SEARCH_ATTRIBUTES } from "../../fleet/search-attributes.js";
import { killPart, startProcess, stopPart } from "../../local/stack/processes.js";
import { findProcess } from "../../local/stack/process-table.js";
import { startStack, type RunningStack } from "../../local/stack/start.js";
import { stackStatus } from "../../local/stack/status.js";
import { stopStack } from "../../local/stack/stop.js";
import { runScript, SLEEPS } from "./processes.js";
import { query, s3Client, setting, stackPlace, temporalConnection } from "./stack.js";

// A path longer than a unix socket's may be (107 bytes), in a folder that only we may enter.
const place = stackPlace(["a-folder-with-a-long-name".repeat(4), "and-another-one".repeat(4)]);
const basePort = 17_300;
let stack: RunningStack;

beforeAll(async () => {
  stack = await startStack({ ...place, basePort });
});

describe("a stack that is up", () => {
  test("has a database each for warehouse, ledger and SageMaker server", async () => {
    const warehouse = setting(stack.environment, "WAREHOUSE_URL");
    const rows = await query(warehouse, "SELECT datname FROM pg_database WHERE NOT datistemplate");
    expect(rows).toEqual(
      expect.arrayContaining(
        ["warehouse", "modelfleet", "sagemaker"].map((datname) => ({ datname })),
      ),
    );
    const ledger = setting(stack.environment, "MODELFLEET_LEDGER_URL");
    expect(await query(ledger, "SELECT current_database() AS name")).toEqual([
      { name: "modelfleet" },
    ]);
  });

  test("refuses a wrong database password", async () => {
    const url = new URL(setting(stack.environment, "WAREHOUSE_URL"));
    url.password = "wrong";
    await expect(query(url.href, "SELECT 1")).rejects.toThrowError(/password authentication/);
  });

  test("has a bucket with versioning on, and refuses wrong keys", async () => {
    const Bucket = setting(stack.environment, "MODELFLEET_BUCKET");
    const versioning = await s3Client(stack.environment).send(
      new GetBucketVersioningCommand({ Bucket }),
    );
    expect(versioning.Status).toBe("Enabled");
    const stranger = s3Client({ ...stack.environment, AWS_SECRET_ACCESS_KEY: "wrong" });
    const attempt = stranger.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a" }));
    await expect(attempt).rejects.toHaveProperty("name", "SignatureDoesNotMatch");
  });

  test("knows the fleet's search attributes", async () => {
    const connection = await temporalConnection(stack.environment);
    const namespace = setting(stack.environment, "TEMPORAL_NAMESPACE");
    const { customAttributes } = await connection.operatorService.listSearchAttributes({
      namespace,
    });
    expect(Object.keys(customAttributes)).toEqual(
      expect.arrayContaining(Object.values(SEARCH_ATTRIBUTES)),
    );
  });

  test("shows workflows in the web UI", async () => {
    const answer = await fetch(setting(stack.environment, "MODELFLEET_TEMPORAL_UI"));
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain("<html");
  });

  test("has its settings in a dotenv file that only its owner may read", () => {
    const file = join(stack.state, "env");
    expect(parseEnv(readFileSync(file, "utf8"))).toEqual(stack.environment);
    for (const secret of [
      file,
      join(stack.state, "stack.json"),
      join(stack.state, "s3/users.json"),
    ]) {
      expect(statSync(secret).mode & 0o777).toBe(0o600);
    }
  });

  test("is not started twice", async () => {
    const again = await startStack(place);
    expect(again.started).toEqual([]);
    expect(again.basePort).toBe(basePort);
  });

  test("does not move to other ports", async () => {
    const attempt = startStack({ ...place, basePort: basePort + 20 });
    await expect(attempt).rejects.toThrowError(/is up on base port 17300/);
  });

  test("tells each part's pid, version, memory and uptime", async () => {
    const { up, processes } = await stackStatus(place);
    expect(up).toBe(true);
    for (const process of processes) {
      expect(findProcess(process.pid ?? 0)).toBeDefined();
      expect(process).toMatchObject({ state: "running", version: expect.any(String) as unknown });
      expect(process.memoryBytes).toBeGreaterThan(10 * 2 ** 20);
      expect(process.uptimeSeconds).toBeGreaterThanOrEqual(0);
    }
  });
});

describe("a part that is killed", () => {
  test("shows as died, and comes back with its data", async () => {
    const Bucket = setting(stack.environment, "MODELFLEET_BUCKET");
    const warehouse = setting(stack.environment, "WAREHOUSE_URL");
    await query(warehouse, "CREATE TABLE kept AS SELECT 42 AS answer");
    const s3 = s3Client(stack.environment);
    await s3.send(new PutObjectCommand({ Bucket, Key: "kept", Body: "a model" }));

    await Promise.all(["postgres", "s3", "temporal"].map((part) => killPart(place, part)));
    const { up, processes } = await stackStatus(place);
    expect(up).toBe(false);
    expect(processes.filter(({ state }) => state === "died").map(({ name }) => name)).toEqual([
      "postgres",
      "temporal",
      "s3",
    ]);

    const { started } = await startStack(place);
    expect(started.map(({ part }) => part)).toEqual(["postgres", "temporal", "s3"]);
    expect(await query(warehouse, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
    const object = await s3.send(new GetObjectCommand({ Bucket, Key: "kept" }));
    expect(await object.Body?.transformToString()).toBe("a model");
  });
});

describe("a process beside the parts", () => {
  test("is shown, is not started twice, and ends alone", async () => {
    const worker = {
      name: "worker",
      command: process.execPath,
      args: ["-e", `console.log("worker", process.env.GREETING); ${SLEEPS}`],
      env: { GREETING: "hello" },
      readyWhen: /worker hello/,
    };
    const { pid } = await startProcess(place, worker);
    expect(await startProcess(place, worker)).toEqual({ pid });
    const { processes } = await stackStatus(place);
    expect(processes.at(-1)).toMatchObject({ name: "worker", state: "running", pid });
    await stopPart(place, "worker");
    expect(findProcess(pid)).toBeUndefined();
  });

  test("that dies while starting is told with what it logged", async () => {
    const worker = {
      name: "worker",
      command: process.execPath,
      args: ["-e", "console.error('no ledger'); process.exit(3)"],
      env: {},
      readyWhen: /ready/,
    };
    const failure = await startProcess(place, worker).catch((error: unknown) => error);
    expect(String(failure)).toMatch(/"worker" ended while starting \(exit code 3\)/);
    expect(String(failure)).toContain("| no ledger");
    expect(failure).toHaveProperty("hint", `read the whole log: ${stack.state}/logs/worker.log`);
  });

  test("may not take a part's name", async () => {
    const attempt = startProcess(place, { name: "postgres", command: "x", args: [], env: {} });
    await expect(attempt).rejects.toThrowError(/cannot name a process/);
  });
});

describe("down", () => {
  test("ends exactly what the stack started, and up brings its data back", async () => {
    const warehouse = setting(stack.environment, "WAREHOUSE_URL");
    await query(warehouse, "CREATE TABLE stays AS SELECT 42 AS answer");
    const stranger = await runScript(SLEEPS);
    const worker = { name: "worker", command: process.execPath, args: ["-e", SLEEPS], env: {} };
    await startProcess(place, worker);
    const before = await stackStatus(place);

    const stopped = await stopStack(place);

    expect(stopped.map(({ name }) => name).sort()).toEqual(
      before.processes.map(({ name }) => name).sort(),
    );
    for (const { pid } of stopped) expect(findProcess(pid)).toBeUndefined();
    expect(findProcess(stranger.pid)).toBeDefined();
    expect((await stackStatus(place)).processes.map(({ state }) => state)).not.toContain("running");
    expect(await stopStack(place)).toEqual([]);

    await startStack(place);
    expect(await query(warehouse, "SELECT answer FROM stays")).toEqual([{ answer: 42 }]);
  });
});
