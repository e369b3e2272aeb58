/** Customers with endpoints of their own: two months, a way back, and a worker that dies while they are made. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestStack, type TestStack } from "../stack.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type CliResult,
  type RunningWorker,
} from "./small-fleet.js";

const customers = ["site-0", "site-1"];

let stack: TestStack;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19240 });
});
afterAll(async () => {
  await Promise.all(workers.map((one) => one.kill()));
  await stack.close();
});

async function startWorker(): Promise<RunningWorker> {
  const worker = await startWorkerProcess(stack);
  workers.push(worker);
  return worker;
}

const json = ({ stdout, stderr }: CliResult): Record<string, unknown> => {
  if (stdout === "") throw new Error(`no document; stderr: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
};
const invoke = async (fleet: string, customer: string) =>
  json(await cli(stack, "invoke", fleet, customer, "--sample", "--json"));

/** Accepted calls by the endpoint's name. */
async function created(fleet: string): Promise<[string, number][]> {
  const url = String(stack.environment.AWS_ENDPOINT_URL_SAGEMAKER);
  const response = await fetch(`${url}/_local/calls?operation=CreateEndpoint`);
  const calls = (await response.json()) as Record<string, number>;
  return Object.entries(calls).filter(([name]) => name.startsWith(`${fleet}-`));
}

describe.each([
  ["serverless", "serverlessEndpoint({ memorySizeInMb: 1024, maxConcurrency: 2 })"],
  ["dedicated", 'dedicatedEndpoint({ instanceType: "ml.m5.large" })'],
])("%s endpoints", (kind, endpoint) => {
  const name = `own-${kind}`;

  test("are made once, although the worker dies on the way", async () => {
    const worker = await startWorker();
    const { file } = await makeSmallFleet(stack, { name, customers, better: -1, endpoint });
    const running = cli(stack, "run", file, "--at", "2024-02-01", "--json");
    await expect
      .poll(async () => (await created(name)).length, { interval: 20 })
      .toBeGreaterThan(0);
    await worker.kill();
    await startWorker();
    expect(json(await running)).toMatchObject({ states: { serving: 2 } });
    expect(await created(name)).toEqual(
      expect.arrayContaining(customers.map((key) => [`${name}-sandbox--${key}`, 1])),
    );
    expect(await invoke(name, "site-0")).toMatchObject({
      ...{ version: 1, endpointName: `${name}-sandbox--site-0`, targetModel: null },
    });
  });

  test("are updated the month after, and go back when a person says so", async () => {
    const before = await invoke(name, "site-0");
    const file = `${stack.folder}/${name}/fleet.ts`;
    const ran = await cli(stack, "run", file, "--at", "2024-03-01", "--json");
    expect(json(ran)).toMatchObject({ states: { serving: 2 } });
    expect(await invoke(name, "site-0")).toMatchObject({ version: 2 });
    const words = [name, "site-0", "--because", "too slow", "--yes"];
    const { code, stdout } = await cli(stack, "rollback", ...words);
    expect(stdout).toContain("serves  site-0 version 1 on the customer's own endpoint");
    expect(code).toBe(0);
    const after = await invoke(name, "site-0");
    expect(after).toMatchObject({ version: 1, predictions: before.predictions });
    expect(await invoke(name, "site-1")).toMatchObject({ version: 2 });
    const lineage = json(await cli(stack, "lineage", name, "site-0", "--json"));
    expect(lineage.publication).toMatchObject({
      ...{ endpointKind: kind, endpointName: `${name}-sandbox--site-0`, targetModel: null },
    });
    const served = json(await cli(stack, "models", name, "--stage", "--json")).models;
    expect(served).toMatchObject([
      { customer: "site-0", version: 1, targetModel: null, isPointedTo: true },
      { customer: "site-1", version: 2, targetModel: null, isPointedTo: true },
    ]);
  });

  test("are called with a policy that names only that endpoint", async () => {
    const { stdout } = await cli(stack, "iam", "customer-policy", name, "site-1");
    expect(JSON.parse(stdout)).toMatchObject({
      Statement: [
        {
          Resource: `arn:aws:sagemaker:us-east-1:111111111111:endpoint/${name}-sandbox--site-1`,
        },
      ],
    });
    expect(stdout).not.toContain("Condition");
  });
});
