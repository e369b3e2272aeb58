/** The whole loop over three months: approved; a worse challenger rejected; approved, then denied in the registry. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelfleetJson } from "../cli/modelfleet.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type RunningWorker,
  type SmallFleet,
} from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const NAME = "loop";
const CUSTOMERS = ["north", "South #2"];
const PATIENTLY = { timeout: 120_000, interval: 200 };

let stack: TestStack;
let worker: RunningWorker;
let fleet: SmallFleet;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 18930 });
  worker = await startWorkerProcess(stack);
  fleet = await makeSmallFleet(stack, {
    name: NAME,
    customers: CUSTOMERS,
    rowsPerMonth: 600,
    failureBudget: 1,
    tuning:
      "{ ranges: { eta: continuous(0.2, 0.5), max_depth: integer(3, 6) }, maxJobs: 2, seed: 1 }",
  });
});
afterAll(async () => {
  await worker.stop();
  await stack.close();
});

const json = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

async function retrain(at: string): Promise<void> {
  const { code, stderr } = await cli(stack, "run", fleet.file, "--at", at);
  expect(code, stderr).toBe(0);
}

/** Another number of trees, which the spec fixes for every training job of a search. */
async function trees(count: number): Promise<void> {
  const text = await readFile(fleet.file, "utf8");
  await writeFile(fleet.file, text.replace(/num_round: "\d+"/, `num_round: "${count}"`));
}

interface Model {
  readonly version: number;
  readonly cycle: string;
  readonly state: string;
  readonly modelPackageArn: string;
}

async function models(customer: string): Promise<Model[]> {
  const answer = await json("models", NAME, "--customer", customer, "--all");
  return (answer.models as Model[]).sort((a, b) => a.version - b.version);
}

const states = async (customer: string) => (await models(customer)).map(({ state }) => state);

/** The same rows for every version: weekday, promotion, price. */
const ROWS = ["0,0,1", "1,0,3.5", "2,1,7", "6,0,10"].join("\n");

async function answers(customer: string): Promise<{ version: number; predictions: number[] }> {
  const { version, predictions } = await json("invoke", NAME, customer, "--body", ROWS);
  return { version: version as number, predictions: predictions as number[] };
}

async function rejectByBoto3(arn: string): Promise<void> {
  const script = `import os, sys, boto3
boto3.client("sagemaker", region_name=os.environ["AWS_REGION"]).update_model_package(
    ModelPackageArn=sys.argv[1], ModelApprovalStatus="Rejected", ApprovalDescription="worse since Monday")`;
  const python = process.env.MODELFLEET_TEST_PYTHON ?? "python3";
  const env = { ...process.env, ...stack.environment };
  await promisify(execFile)(python, ["-c", script, arn], { env });
}

test("the endpoint answers as after the first cycle again, number by number", async () => {
  await trees(12);
  await retrain("2024-02-01");
  const first = new Map<string, number[]>();
  for (const customer of CUSTOMERS) {
    const { version, predictions } = await answers(customer);
    expect({ version, length: predictions.length }).toEqual({ version: 1, length: 4 });
    first.set(customer, predictions);
  }

  await trees(1); // Far from enough: the gate keeps the champion, and nothing is registered.
  await retrain("2024-03-01");
  for (const customer of CUSTOMERS) {
    expect(await states(customer)).toEqual(["serving"]);
    const { cycles } = await json("history", NAME, customer);
    expect((cycles as { state: string }[])[0]).toMatchObject({ state: "champion-kept" });
    expect(await answers(customer)).toEqual({ version: 1, predictions: first.get(customer) });
  }

  await trees(80);
  await retrain("2024-04-01");
  for (const customer of CUSTOMERS) {
    await expect.poll(() => states(customer), PATIENTLY).toEqual(["retired", "serving"]);
    const { version, predictions } = await answers(customer);
    expect(version).toBe(2);
    expect(predictions).not.toEqual(first.get(customer));
  }

  const [denied = "", kept = ""] = CUSTOMERS;
  await rejectByBoto3((await models(denied))[1]?.modelPackageArn ?? "");
  await expect.poll(() => states(denied), PATIENTLY).toEqual(["serving", "withdrawn"]);
  expect(await answers(denied)).toEqual({ version: 1, predictions: first.get(denied) });
  expect((await answers(kept)).version).toBe(2);
});
