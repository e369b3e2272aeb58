/** Throttling, scripts that raise, corrupt artifacts, hostile customers: each is told, none spreads. */
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestStack, type TestStack } from "../stack.js";
import { createdTrainingJobs, setFaults } from "./sagemaker-admin.js";
import { cli, makeSmallFleet, startWorkerProcess, type RunningWorker } from "./small-fleet.js";

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 18430 });
  worker = await startWorkerProcess(stack);
});

afterAll(async () => {
  await worker.stop();
  await stack.close();
});

test("with 30 % of calls throttled every customer is trained, each by one job", async () => {
  const customers = Array.from({ length: 20 }, (_, index) => `site-${index}`);
  const fleet = await makeSmallFleet(stack, { name: "throttled", customers });
  await setFaults(stack, { throttle: { rate: 0.3 } });
  const { code, stdout } = await cli(stack, "run", fleet.file, "--at", "2024-02-01", "--json");
  await setFaults(stack, {});

  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ states: { serving: 20 } });
  const created = await createdTrainingJobs(stack, "throttled");
  expect(created).toHaveLength(20);
  expect(created.every(([, calls]) => calls === 1)).toBe(true);
});

test("a script that raises for one customer fails that customer alone, with the traceback's last line", async () => {
  const customers = ["amiens", "brest", "calais"];
  const fleet = await makeSmallFleet(stack, { name: "raises", customers, failureBudget: 0.5 });
  await appendFile(
    join(fleet.sources, "dataset.py"),
    `
import os
if "-brest-" in os.environ["TRAINING_JOB_NAME"]:
    raise ZeroDivisionError("brest has no beaches")
`,
  );
  const run = await cli(stack, "run", fleet.file, "--at", "2024-02-01", "--json");

  expect(JSON.parse(run.stdout)).toMatchObject({
    state: "completed",
    states: { serving: 2, failed: 1 },
    failures: [
      {
        customer: "brest",
        errorType: "TrainingAlgorithmError",
        reason: expect.stringContaining("ZeroDivisionError: brest has no beaches") as string,
      },
    ],
  });
  const status = await cli(stack, "status", "raises");
  expect(status.stdout).toContain("ZeroDivisionError: brest has no beaches");
});

test("a corrupt artifact is rejected with the reason, and the version before goes on serving", async () => {
  const customers = ["dijon", "evry"];
  const manual = { autoApprove: "false", better: -1 };
  const fleet = await makeSmallFleet(stack, { name: "corrupt", customers, ...manual });
  await cli(stack, "run", fleet.file, "--at", "2024-02-01", "--json");
  await cli(stack, "approve", "corrupt", "dijon", "evry", "--by", "anna");
  await served("corrupt", "dijon", 1);
  await cli(stack, "run", fleet.file, "--at", "2024-03-01", "--json");
  await spoilNewestArtifact("corrupt", "dijon");
  await cli(stack, "approve", "corrupt", "dijon", "--by", "anna");

  await expect
    .poll(async () => (await customer("corrupt", "dijon")).state, { timeout: 60_000 })
    .toBe("rejected");
  expect((await customer("corrupt", "dijon")).reason).toMatch(/archive|artifact|model/i);
  const answer = await cli(stack, "invoke", "corrupt", "dijon", "--body", "3,1,5", "--json");
  expect(JSON.parse(answer.stdout)).toMatchObject({ version: 1 });
});

test("customers with hostile names are trained and served, each under a key of its own", async () => {
  const customers = [
    "../../etc",
    "a b/c?*",
    "🦄 unicorn",
    "x".repeat(256),
    "'; drop table sales_hostile; --",
    "tab\tand\nnewline",
    'quote " and \\ backslash',
    "A B/C?*",
  ];
  const fleet = await makeSmallFleet(stack, { name: "hostile", customers });
  const { code, stdout } = await cli(stack, "run", fleet.file, "--at", "2024-02-01", "--json");

  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ states: { serving: customers.length } });
  const models = JSON.parse((await cli(stack, "models", "hostile", "--json")).stdout) as {
    models: { customer: string; customerKey: string }[];
  };
  expect(models.models.map((model) => model.customer).sort()).toEqual([...customers].sort());
  expect(new Set(models.models.map((model) => model.customerKey)).size).toBe(customers.length);
  for (const model of models.models) expect(model.customerKey).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
  const answer = await cli(stack, "invoke", "hostile", "../../etc", "--body", "3,1,5", "--json");
  expect(answer.code).toBe(0);
});

async function customer(fleet: string, name: string): Promise<{ state: string; reason: string }> {
  const { stdout } = await cli(stack, "status", fleet, "--customer", name, "--json");
  return JSON.parse(stdout) as { state: string; reason: string };
}

async function served(fleet: string, name: string, version: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const { stdout } = await cli(stack, "models", fleet, "--json");
        const { models } = JSON.parse(stdout) as {
          models: { customer: string; version: number; state: string }[];
        };
        return models
          .filter((model) => model.customer === name && model.state === "serving")
          .map((model) => model.version);
      },
      { timeout: 60_000 },
    )
    .toEqual([version]);
}

/** Cuts the pending version's model.tar.gz short, as a disk or a careless copy might. */
async function spoilNewestArtifact(fleet: string, name: string): Promise<void> {
  const { stdout, stderr } = await cli(stack, "lineage", fleet, name, "--version", "2", "--json");
  const uri = /s3:\/\/[^"\s]+model\.tar\.gz/.exec(stdout)?.[0];
  if (uri === undefined) throw new Error(`no artifact in the lineage: ${stdout}${stderr}`);
  const { hostname: Bucket, pathname } = new URL(uri);
  const { environment } = stack;
  const s3 = new S3Client({
    region: environment.AWS_REGION ?? "",
    endpoint: environment.AWS_ENDPOINT_URL_S3 ?? "",
    forcePathStyle: true,
    credentials: {
      accessKeyId: environment.AWS_ACCESS_KEY_ID ?? "",
      secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? "",
    },
  });
  const place = { Bucket, Key: pathname.slice(1) };
  const whole = await s3.send(new GetObjectCommand(place));
  const bytes = (await whole.Body?.transformToByteArray()) ?? new Uint8Array();
  await s3.send(new PutObjectCommand({ ...place, Body: bytes.subarray(0, bytes.length / 2) }));
  s3.destroy();
}
