/** Three AWS accounts: a denial at every point of the way, sessions that end, and a stage that is closed for a while. */
import { readFile, writeFile } from "node:fs/promises";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openConnections, type Connections } from "../../client/connections.js";
import { decideModel } from "../../client/decisions.js";
import { findCustomer } from "../../client/ledger.js";
import { changePromotion } from "../../client/promotion.js";
import { readStageMatrix } from "../../client/stage-matrix.js";
import { example } from "../../examples/accounts/example.js";
import type { PromotionCommand } from "../../fleet/promotion.js";
import { stageRole } from "../../local/stack/accounts.js";
import { PROD, QA, stageIn } from "../activities/three-accounts.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type RunningWorker,
  type SmallFleet,
} from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";
import { runExample } from "./example.js";

const name = "guarded";
const HOME = "111111111111";
/** By what befalls their second version. */
const customers = ["pending", "held", "lagging", "served", "shut-out", "late", "other"];
const stages = JSON.stringify([
  { name: "sandbox", account: HOME, approval: "none" },
  stageIn(QA),
  { ...stageIn(PROD), lag: "0s" },
]);
const BACK = ["1", "1", "1"];

let stack: TestStack;
let fleet: SmallFleet;
let connections: Connections;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  // Sessions that end so early are renewed over and over, in the middle of everything.
  const faults = { sessionSeconds: 15 };
  stack = await startTestStack({ basePort: 20052, accounts: [QA, PROD], faults });
  Object.assign(process.env, stack.environment);
  connections = openConnections(stack.environment);
  workers.push(await startWorkerProcess(stack));
  fleet = await makeSmallFleet(stack, { name, customers, better: -1, stages });
});

afterAll(async () => {
  await connections.close();
  await Promise.all(workers.map((one) => one.kill()));
  await stack.close();
});

const model = async (customer: string, version = 2) => ({
  ...{ fleet: name, version },
  ...(await findCustomer(connections, { fleet: name, customer })),
});
const approve = async (customer: string) =>
  decideModel(connections, await model(customer), { verdict: "approve", by: "test" });
const deny = async (customer: string) =>
  decideModel(connections, await model(customer), { verdict: "deny", by: "test", note: "drift" });
const say = async (customer: string, kind: "hold" | "hurry") => {
  const command: PromotionCommand = { kind, by: "test" };
  await changePromotion(connections, await model(customer), command);
};

/** By stage, the version that serves, and how far the next one is. */
async function cells(customer: string): Promise<string[]> {
  const matrix = await readStageMatrix(connections, { fleet: name });
  const row = matrix.customers.find((one) => one.customer === customer);
  return (row?.stages ?? []).map(({ version, coming }) =>
    coming === null ? String(version) : `${version} ${coming.state} ${coming.version}`,
  );
}

const reaches = (customer: string, expected: string[]) =>
  expect
    .poll(() => cells(customer), { timeout: 200_000, interval: 500, message: customer })
    .toEqual(expected);

async function sagemaker(path: string, body?: unknown): Promise<Record<string, number>> {
  const url = `${stack.environment.AWS_ENDPOINT_URL_SAGEMAKER}/_local/${path}`;
  const init = body === undefined ? {} : { method: "PUT", body: JSON.stringify(body) };
  return (await (await fetch(url, init)).json()) as Record<string, number>;
}

/** Takes back, or gives again, what the trust policy of qa's role lets the worker do: STS tells both alike. */
async function letIntoQa(isOpen: boolean): Promise<void> {
  const sts = new STSClient({});
  const { Arn = "" } = await sts.send(new GetCallerIdentityCommand({}));
  sts.destroy();
  const closed = {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: "*", Resource: "*" },
      { Effect: "Deny", Action: "sts:AssumeRole", Resource: stageRole(QA) },
    ],
  };
  await sagemaker("policies", { policies: { [Arn]: isOpen ? null : closed } });
}

/** As a revocation does it. */
async function endSessions(): Promise<void> {
  const url = new URL(stack.environment.MODELFLEET_LEDGER_URL ?? "");
  url.pathname = "/sagemaker";
  const db = new pg.Client({ connectionString: url.toString() });
  await db.connect();
  await db.query("update sagemaker.sessions set expires_at = extract(epoch from now()) - 1");
  await db.end();
}

/** What the stages' buckets hold of a version, seen by S3 itself. */
async function keysOf(version: string): Promise<string[]> {
  const { openStages } = await import("../../worker/stage-clients.js");
  const { connectParts } = await import("../activities/parts.js");
  const parts = await connectParts(stack.environment);
  const s3 = new S3Client({ region: parts.region });
  const own = await parts.stageAccess({ name: "sandbox", account: HOME });
  const home = { ...own, s3 };
  const open = openStages({ home, ledger: parts.ledger, observe: () => undefined });
  const keys: string[] = [];
  for (const stage of [{ name: "sandbox", account: HOME }, stageIn(QA), stageIn(PROD)]) {
    const { s3: there, bucket } = await open.stageAccess(stage);
    const Prefix = `fleets/${name}/stages/`;
    const { Contents = [] } = await there.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix }),
    );
    keys.push(...Contents.map(({ Key = "" }) => `${bucket}/${Key}`));
  }
  open.close();
  s3.destroy();
  await Promise.all([parts.ledger.end(), parts.warehouse.end()]);
  await parts.temporal.connection.close();
  return keys.filter((key) => key.includes(version));
}

test("the example makes what the accounts lack, promotes, and brings every stage back", async () => {
  const settings = { cities: 1, houses: 200 };
  const first = await runExample(stack, example, { at: "2020-01-01", settings });
  expect(first.shown).toContain("5 things missing in 3 accounts");
  expect(first.shown).toContain("made  bucket modelfleet-222222222222");
  expect(first.shown).toMatch(
    /ok +stages of accounts +sandbox in 111111111111, qa in 222222222222/,
  );
  expect(first.shown).toMatch(/NewYork_NY +1 +1 +1/);
  const second = await runExample(stack, example, { at: "2020-02-01", settings });
  expect(second.shown).toContain("policy of model package group accounts--newyork-ny");
  expect(second.shown).toMatch(/NewYork_NY +2 +2 +1 → 2/);
  expect(second.shown).toContain("NewYork_NY is served again: sandbox 1, qa 1, prod 1");
});

test("the first versions come through all three accounts, though every session ends on the way", async () => {
  const applied = await cli(stack, "accounts", "apply", fleet.file, "--yes");
  expect(applied.stderr).not.toContain("error:");
  // The example's run has made the buckets: of this fleet only its statement is missing.
  expect(applied.stdout).toContain("1 thing missing in 3 accounts");
  expect((await cli(stack, "run", fleet.file, "--at", "2024-02-01")).code).toBe(0);
  for (const customer of customers) await reaches(customer, BACK);
  const { AssumeRole = 0 } = await sagemaker("calls");
  expect(AssumeRole).toBeGreaterThan(8);
});

test("commands look at a stage elsewhere by its role", async () => {
  for (const at of [[], ["--stage", "qa"]]) {
    const asked = await cli(stack, "invoke", name, "other", "--sample", "--json", ...at);
    const { endpointName, predictions, offlinePredictions } = JSON.parse(asked.stdout) as {
      [field: string]: unknown;
    };
    expect(endpointName).toBe(`${name}-${at[1] ?? "prod"}`);
    expect(predictions).toEqual(offlinePredictions);
  }
  const served = await cli(stack, "models", name, "--stage", "qa", "--json");
  expect((JSON.parse(served.stdout) as { models: unknown[] }).models).toHaveLength(
    customers.length,
  );
  const standing = await cli(stack, "endpoint", name, "--stage", "prod", "--json");
  expect(JSON.parse(standing.stdout)).toMatchObject({
    endpoints: [{ status: "InService", customers: customers.length }],
  });
});

test("a denial at every point of the way leaves each account with the version before", async () => {
  const file = await readFile(fleet.file, "utf8");
  const waiting = file
    .replace('"lag":"0s"', '"lag":"1d"')
    .replace(/autoApprove: \{[^}]*\}/, "autoApprove: false");
  await writeFile(fleet.file, waiting);
  expect((await cli(stack, "run", fleet.file, "--at", "2024-03-01")).code).toBe(0);
  for (const customer of customers) await reaches(customer, ["2", "1 approval 2", "1 ahead 2"]);

  await deny("pending");
  await say("held", "hold");
  for (const customer of ["held", "lagging", "served", "other"]) await approve(customer);
  await reaches("held", ["2", "1 held 2", "1 ahead 2"]);
  await deny("held");
  for (const customer of ["lagging", "served", "other"])
    await reaches(customer, ["2", "2", "1 lag 2"]);
  await deny("lagging");
  await endSessions();
  await say("served", "hurry");
  await reaches("served", ["2", "2", "2"]);
  await deny("served");

  for (const customer of ["pending", "held", "lagging", "served"]) await reaches(customer, BACK);
  await expect
    .poll(async () => (await keysOf("v000002")).filter((key) => !/late|shut|other/.test(key)), {
      // They go once clients have had the time to follow the pointers.
      timeout: 120_000,
    })
    .toEqual([]);
});

test("a stage that is closed for a while holds up its own, and nothing else, and catches up", async () => {
  await letIntoQa(false);
  // The new one has no session yet.
  await workers[0]?.kill();
  workers.push(await startWorkerProcess(stack));
  for (const customer of ["late", "shut-out"]) await approve(customer);
  for (const customer of ["late", "shut-out"])
    await reaches(customer, ["2", "1 publishing 2", "1 ahead 2"]);

  await say("other", "hurry");
  await reaches("other", ["2", "2", "2"]);
  await deny("shut-out");

  const { stdout } = await cli(stack, "doctor");
  expect(stdout).toContain(`the role ${stageRole(QA)} of stage "qa" may not be assumed`);
  await letIntoQa(true);
  await reaches("late", ["2", "2", "1 lag 2"]);
  await reaches("shut-out", BACK);
  await reaches("other", ["2", "2", "2"]);
});
