/** The pipeline, from raw rows to raw rows: fitted, transformed, trained and served by real parts; whom it lets in; a second generation. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ListEndpointsCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { example } from "../../examples/pipeline/example.js";
import { cli, startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";
import { runExample } from "./example.js";
import { aTenant } from "./tenants.js";

const FLEET = "house-prices";
const CUSTOMERS = ["Chicago_IL", "LosAngeles_CA", "NewYork_NY"];
const ROW = "1993,2728,6,3,0.7,1,y,y";

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19348 });
  worker = await startWorkerProcess(stack);
});
afterAll(async () => {
  await worker.stop();
  await stack.close();
});

const small = { locations: 3, houses: 120 };

interface Invoked {
  readonly endpointName: string;
  readonly targetModel: string;
  readonly version: number;
  readonly answer: { readonly predictions: readonly { readonly score: number }[] };
}

async function invoke(customer: string): Promise<Invoked> {
  const json = ["--accept", "application/json", "--json"];
  const { stdout, stderr } = await cli(stack, "invoke", FLEET, customer, "--body", ROW, ...json);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Invoked;
}

test("raw rows are answered by the location's model behind the preprocessor", async () => {
  const { shown } = await runExample(stack, example, { at: "2026-01-01", settings: small });
  expect(shown.match(/\$[\d,]+, took \d+ ms, then \d+ ms/g)).toHaveLength(3);
  expect(shown).toMatch(/NewYork_NY +\d{4},\d+,\d,.*,[yn],[yn]/);
  const { answer, endpointName } = await invoke("NewYork_NY");
  expect(answer).toEqual({ predictions: [{ score: expect.any(Number) as number }] });
  expect(endpointName).toBe("house-prices-sandbox-g1");
});

test("plan counts what is done for all locations before their models", async () => {
  const file = resolve("examples/pipeline");
  const { stdout } = await cli(stack, "plan", file, "--at", "2026-04-01", "--json");
  expect(JSON.parse(stdout)).toMatchObject({
    trainingJobs: { most: 3 },
    cycleJobs: [
      { kind: "preprocessor", jobs: 1, instanceType: "ml.m5.large" },
      { kind: "transform", jobs: 3, instances: 1 },
    ],
    serverless: null,
  });
});

test("an application with the policy of a customer calls his models and nobody else's", async () => {
  const [own, other] = [await invoke("NewYork_NY"), await invoke("Chicago_IL")];
  const { stdout } = await cli(stack, "iam", "customer-policy", FLEET, "NewYork_NY");
  const tenant = await aTenant(stack, "new-york", stdout);
  const call = (targetModel?: string) =>
    tenant.call({
      ...{ endpointName: own.endpointName, body: ROW },
      ...(targetModel === undefined ? {} : { targetModel }),
    });
  const [ownKey = ""] = own.targetModel.split("/");

  expect(await call(own.targetModel)).toBe(200);
  expect(await call(other.targetModel)).toBe("AccessDeniedException");
  expect(await call()).toBe("AccessDeniedException");
  for (const wider of ["*", `${ownKey}*/${other.targetModel}`, `${ownKey}-2/v000001.tar.gz`])
    expect(await call(wider), wider).toBe("AccessDeniedException");
  for (const escape of [
    `${ownKey}/../${other.targetModel}`,
    `${ownKey}/%2e%2e/${other.targetModel}`,
    `${ownKey}%2f..%2f${other.targetModel}`,
    `${ownKey}\\..\\${other.targetModel}`,
    `${ownKey}//${other.targetModel}`,
  ])
    expect(await call(escape), escape).toMatch(/AccessDenied|Validation/);
});

test("a changed preprocessor is another generation: customers move to it, and the endpoint before goes", async () => {
  const file = await changedFleet();
  const { stdout } = await cli(stack, "run", file, "--at", "2026-04-01", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ state: "completed", states: { serving: 3 } });
  for (const customer of CUSTOMERS)
    expect(await invoke(customer)).toMatchObject({
      ...{ version: 2, endpointName: "house-prices-sandbox-g2" },
    });
  // Who has just read his pointer may call the one before: it stays for half a minute.
  await expect.poll(endpoints, { timeout: 90_000 }).toEqual(["house-prices-sandbox-g2"]);
  for (const customer of CUSTOMERS) expect(await invoke(customer)).toMatchObject({ version: 2 });
});

/** The example in a folder of its own, with other code in its preprocessor; every new model replaces the one before. */
async function changedFleet(): Promise<string> {
  const folder = join(stack.folder, "examples/pipeline");
  const shared = "training/xgboost_regression/model_evaluation";
  await cp("examples/pipeline", folder, { recursive: true });
  await cp(shared, join(stack.folder, shared), { recursive: true });
  await edit(join(folder, "preprocessor/preprocess.py"), (code) => `${code}\n# Revised.\n`);
  const file = join(folder, "fleet.ts");
  await edit(file, (text) => text.replace("better: 0,", "better: -1,"));
  return file;
}

async function edit(path: string, change: (text: string) => string): Promise<void> {
  const before = await readFile(path, "utf8");
  const after = change(before);
  expect(after).not.toBe(before);
  await writeFile(path, after);
}

async function endpoints(): Promise<(string | undefined)[]> {
  const { environment } = stack;
  const sagemaker = new SageMakerClient({
    region: environment.AWS_REGION ?? "",
    endpoint: environment.AWS_ENDPOINT_URL_SAGEMAKER ?? "",
    credentials: {
      accessKeyId: environment.AWS_ACCESS_KEY_ID ?? "",
      secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? "",
    },
  });
  const { Endpoints = [] } = await sagemaker.send(
    new ListEndpointsCommand({ NameContains: FLEET }),
  );
  return Endpoints.map(({ EndpointName }) => EndpointName);
}
