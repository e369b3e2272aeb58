/** A cohort through three AWS accounts: what they need for it, who goes no further, and every way back. */
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { DescribeModelPackageCommand, ListEndpointsCommand } from "@aws-sdk/client-sagemaker";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StageClients } from "../../activities/stage-access.js";
import { planAccounts } from "../../client/accounts.js";
import { decideCohort } from "../../client/cohort-decisions.js";
import { openConnections, type Connections } from "../../client/connections.js";
import { decideModel } from "../../client/decisions.js";
import { anyAccount, loadFleetFile, type LoadedFleet } from "../../client/fleet-file.js";
import { checkHealth } from "../../client/health.js";
import { findCustomer } from "../../client/ledger.js";
import { runCycle } from "../../client/run-cycle.js";
import { readStageMatrix } from "../../client/stage-matrix.js";
import { modelPackageGroupName, COHORT_KEY } from "../../fleet/names.js";
import { stageRole, type StackAccount } from "../../local/stack/accounts.js";
import { openStages, type OpenStages } from "../../worker/stage-clients.js";
import {
  DEFAULT_PACE,
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type Pace,
} from "../../workflows/messages.js";
import { connectParts, readObject, type Parts } from "../activities/parts.js";
import { PROD, QA, stageIn } from "../activities/three-accounts.js";
import { makeMeanFleet } from "../faults/mean-fleet.js";
import { setPolicies } from "../faults/sagemaker-admin.js";
import { cli, startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const FLEET = "metering";
const HOME = "111111111111";
const CUSTOMERS = Array.from({ length: 12 }, (_none, index) => `site-${index + 1}`);
const SANDBOX = { name: "sandbox", account: HOME, approval: "none" };
const GROUP = modelPackageGroupName(FLEET, COHORT_KEY);
/** A person waits for minutes where a test cannot. */
const pace: Pace = {
  ...DEFAULT_PACE,
  ...{
    guardSeconds: 2,
    headStartSeconds: 2,
    collectSeconds: 0.1,
    roundSeconds: 1,
    graceSeconds: 0.2,
  },
};

let stack: TestStack;
let parts: Parts;
let connections: Connections;
let worker: RunningWorker;
let loaded: LoadedFleet;
let stages: OpenStages;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 20300, accounts: [QA, PROD] });
  Object.assign(process.env, stack.environment);
  parts = await connectParts(stack.environment);
  connections = openConnections(stack.environment);
  worker = await startWorkerProcess(stack);
  const { file } = await makeMeanFleet(stack, {
    ...{ name: FLEET, customers: CUSTOMERS.length, seconds: 0, months: 4, autoApprove: "false" },
    stages: `${JSON.stringify([SANDBOX, stageIn(QA), stageIn(PROD)])},
  retention: { artifacts: "1s", datasets: "1s", versions: 1 }`,
  });
  loaded = await loadFleetFile(file, anyAccount);
  await openAccounts();
});

afterAll(async () => {
  await worker.stop();
  stages.close();
  await connections.close();
  await Promise.all([parts.ledger.end(), parts.warehouse.end()]);
  await parts.temporal.connection.close();
  await stack.close();
});

/** Trains the cohort of a month. */
async function train(month: string): Promise<void> {
  const at = `2024-${month}-01`;
  const { workflowId } = await runCycle(connections, loaded, { at, force: false, pace });
  const report: unknown = await parts.temporal.workflow.getHandle(workflowId).result();
  expect(report).toMatchObject({ registered: CUSTOMERS.length });
}

const decide = (version: number, verdict: "approve" | "deny", state: "pending" | "published") =>
  decideCohort(
    connections,
    { fleet: FLEET, version, state },
    { verdict, by: "ann", ...(verdict === "deny" && { note: "wrong meters" }) },
  );

/** By stage, the version that serves, and how far the next one is. */
async function cells(customer: string): Promise<string[]> {
  const matrix = await readStageMatrix(connections, { fleet: FLEET, customer });
  return (matrix.customers[0]?.stages ?? []).map(({ version, coming }) =>
    coming === null ? String(version) : `${version} ${coming.state} ${coming.version}`,
  );
}

const reaches = (customer: string, expected: string[]) =>
  expect
    .poll(() => cells(customer), { timeout: 120_000, interval: 250, message: customer })
    .toEqual(expected);

async function allReach(expected: string[], but: readonly string[] = []): Promise<void> {
  for (const customer of CUSTOMERS) if (!but.includes(customer)) await reaches(customer, expected);
}

/** What a client of that stage gets: by the stage's role, from the endpoint in its account. */
async function invoked(customer: string, stage = "prod"): Promise<unknown> {
  const asked = await cli(stack, "invoke", FLEET, customer, "--stage", stage, "--sample", "--json");
  const { targetModel, predictions, offlinePredictions } = JSON.parse(asked.stdout) as {
    [field: string]: unknown;
  };
  expect(predictions).toEqual(offlinePredictions);
  return targetModel;
}

/** Anew: sessions that have ended are of no use. */
async function openAccounts(): Promise<void> {
  const home = await parts.stageAccess({ name: "sandbox", account: HOME });
  stages = openStages({ home, ledger: parts.ledger, observe: () => undefined });
}

const reach = (account: StackAccount): Promise<StageClients> =>
  stages.stageAccess(stageIn(account));

/** Names of the versions' copies that a stage's bucket holds. */
async function copiesOf(version: number): Promise<string[]> {
  const found: string[] = [];
  const places = [
    { s3: parts.s3, bucket: parts.bucket },
    ...(await Promise.all([QA, PROD].map(reach))),
  ];
  for (const { s3, bucket } of places) {
    const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: `fleets/${FLEET}/stages/` });
    const { Contents = [] } = await s3.send(list);
    found.push(...Contents.map(({ Key = "" }) => `${bucket}/${Key}`));
  }
  return found.filter((key) => key.includes(`/v00000${version}.`));
}

/** Revokes the role's trust and ends its sessions, or trusts the worker again. */
async function letIn(account: StackAccount, isOpen: boolean): Promise<void> {
  const closed = {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: "*", Resource: "*" },
      { Effect: "Deny", Action: "sts:AssumeRole", Resource: stageRole(account) },
    ],
  };
  await setPolicies(stack, { "arn:aws:iam::111111111111:user/local": isOpen ? null : closed });
  stages.close();
  await openAccounts();
  if (isOpen) return;
  const url = new URL(stack.environment.MODELFLEET_LEDGER_URL ?? "");
  url.pathname = "/sagemaker";
  const db = new pg.Client({ connectionString: url.toString() });
  await db.connect();
  await db.query("update sagemaker.sessions set expires_at = extract(epoch from now()) - 1");
  await db.end();
}

test("accounts apply makes what a cohort needs, first its places, then its group, and no more", async () => {
  const { spec } = loaded;
  const kinds = async () => (await planAccounts(connections, spec)).steps.map(({ kind }) => kind);
  const makesBucket = ["bucket", "bucket-versioning"];
  expect(await kinds()).toEqual([...makesBucket, ...makesBucket, "bucket-policy"]);
  const applied = await cli(stack, "accounts", "apply", loaded.path, "--yes");
  expect(applied.stdout).toContain("5 things missing in 3 accounts");
  expect(await kinds()).toEqual([]);

  await train("02");
  await allReach(["1", "null approval 1", "null ahead 1"]);
  await decide(1, "approve", "pending");
  await allReach(["1", "1", "1"]);

  const plan = await planAccounts(connections, spec);
  expect(plan.steps).toMatchObject([{ kind: "group-policy", name: GROUP }]);
  const again = await cli(stack, "accounts", "apply", loaded.path, "--yes");
  expect(again.stdout).toContain("1 thing missing in 3 accounts");
  expect(await planAccounts(connections, spec)).toMatchObject({ steps: [], problems: [] });
  const checks = await checkHealth(connections);
  expect(checks).toContainEqual({
    ...{ part: `stages of ${FLEET}`, state: "ok" },
    found: `sandbox in ${HOME}, qa in ${QA.id}, prod in ${PROD.id}`,
  });
});

test("its members are invoked in production by the stage's role, and its decision is seen from there", async () => {
  expect(await invoked("site-5")).toBe("site-5/v000001.tar.gz");
  const prod = await reach(PROD);
  const endpoints = await Promise.all(
    [parts.sagemaker, prod.sagemaker].map((one) => one.send(new ListEndpointsCommand())),
  );
  expect(endpoints.map(({ Endpoints = [] }) => Endpoints.map((one) => one.EndpointName))).toEqual([
    [`${FLEET}-sandbox`],
    [`${FLEET}-prod`],
  ]);
  const ModelPackageName = `arn:aws:sagemaker:us-east-1:${HOME}:model-package/${GROUP}/1`;
  const { ModelApprovalStatus } = await prod.sagemaker.send(
    new DescribeModelPackageCommand({ ModelPackageName }),
  );
  expect(ModelApprovalStatus).toBe("Approved");
  // What stands beside the models is not the stage's to read.
  const Key = (await artifactKey("site-5", 1)).replace(".tar.gz", ".json");
  expect(await readObject(parts, Key)).toContain("site-5");
  const read = new GetObjectCommand({ Bucket: parts.bucket, Key });
  await expect(prod.s3.send(read)).rejects.toMatchObject({ name: "AccessDenied" });
});

test("a member that qa rejects goes no further, and one that is denied leaves by itself", async () => {
  await train("03");
  await allReach(["2", "1 approval 2", "1 ahead 2"]);
  await spoil("site-2", 2);
  await decide(2, "approve", "pending");
  await allReach(["2", "2", "2"], ["site-2"]);
  await reaches("site-2", ["2", "1 rejected 2", "1"]);
  const { stdout } = await cli(stack, "status", FLEET, "--stages", "--customer", "site-2");
  expect(stdout).toMatch(/site-2 +2 +1 → 2 rejected: .*predict/);

  const model = {
    ...{ fleet: FLEET, version: 2 },
    ...(await findCustomer(connections, { fleet: FLEET, customer: "site-3" })),
  };
  await decideModel(connections, model, { verdict: "deny", by: "bob", note: "one meter" });
  await reaches("site-3", ["1", "1", "1"]);
  await allReach(["2", "2", "2"], ["site-2", "site-3"]);
});

/** Puts another customer's model where qa will copy this one's from. */
async function spoil(customer: string, version: number): Promise<void> {
  const Bucket = parts.bucket;
  const get = new GetObjectCommand({ Bucket, Key: await artifactKey("site-1", version) });
  const Body = (await (await parts.s3.send(get)).Body?.transformToByteArray()) ?? "";
  const Key = await artifactKey(customer, version);
  await parts.s3.send(new PutObjectCommand({ Bucket, Key, Body }));
}

/** Where the job has left it, in the home bucket. */
async function artifactKey(customer: string, version: number): Promise<string> {
  const { rows } = await parts.ledger.query<{ artifact_uri: string }>(
    "select artifact_uri from releases where fleet = $1 and customer_key = $2 and version = $3",
    [FLEET, customer, version],
  );
  return (rows[0]?.artifact_uri ?? "").replace(`s3://${parts.bucket}/`, "");
}

test("denied as a whole, every stage serves the version before, production first", async () => {
  await withdraw(2);
  await allReach(["1", "1", "1"]);
  const { rows } = await parts.ledger.query<{ stage: string }>(
    `select stage from withdrawals where fleet = $1 and version = 2 and customer_key = 'site-5'
      order by moved_at`,
    [FLEET],
  );
  expect(rows.map(({ stage }) => stage)).toEqual(["prod", "qa", "sandbox"]);
  expect(await invoked("site-5")).toBe("site-5/v000001.tar.gz");
  await expect.poll(() => copiesOf(2), { timeout: 60_000, message: "copies" }).toEqual([]);
});

/** As `modelfleet deny --version` does it of a cohort whose way is over. */
async function withdraw(version: number): Promise<void> {
  const decision = { verdict: "deny", by: "ann", note: "wrong meters" } as const;
  await parts.temporal.workflow.start(WORKFLOWS.withdrawCohort, {
    workflowId: workflowIds.withdrawCohort(FLEET, version),
    taskQueue: TASK_QUEUES.control,
    args: [{ fleet: FLEET, stage: "sandbox", version, decision, pace }],
  });
}

test("denied while production is closed, it leaves the other stages, and never comes into that", async () => {
  await train("04");
  await allReach(["3", "1 approval 3", "1 ahead 3"]);
  await letIn(PROD, false);
  await decide(3, "approve", "pending");
  await allReach(["3", "3", "1 publishing 3"]);
  await decide(3, "deny", "published");
  await allReach(["1", "1", "1"]);
  await letIn(PROD, true);
});

test("a stage that was closed for a while catches up; closed again, its way back waits until it is open", async () => {
  await train("05");
  await allReach(["4", "1 approval 4", "1 ahead 4"]);
  await letIn(QA, false);
  await decide(4, "approve", "pending");
  await allReach(["4", "1 publishing 4", "1 ahead 4"]);
  await letIn(QA, true);
  await allReach(["4", "4", "4"]);

  await letIn(PROD, false);
  await withdraw(4);
  await allReach(["1", "1", "4"]);
  await letIn(PROD, true);
  await allReach(["1", "1", "1"]);
  expect(await invoked("site-5")).toBe("site-5/v000001.tar.gz");
});

test("what its retention does not keep goes, and a stage is taken down in its own account", async () => {
  const collected = await cli(stack, "gc", FLEET, "--yes", "--json");
  expect(collected.stderr).not.toContain("error:");
  expect(JSON.parse(collected.stdout)).toMatchObject({ collected: true });
  const kept = [1, 2].map(async (version) =>
    readObject(parts, await artifactKey("site-5", version)),
  );
  expect((await Promise.all(kept)).map((body) => body !== null)).toEqual([true, false]);
  expect(await copiesOf(1)).toHaveLength(3 * CUSTOMERS.length);
  expect(await invoked("site-5")).toBe("site-5/v000001.tar.gz");

  const destroyed = await cli(stack, "destroy", FLEET, "--stage", "prod", "--yes");
  expect(destroyed.stdout).toContain(
    "under s3://modelfleet-333333333333/fleets/metering/stages/prod/",
  );
  const prod = await reach(PROD);
  expect((await prod.sagemaker.send(new ListEndpointsCommand())).Endpoints).toEqual([]);
  expect(await copiesOf(1)).toHaveLength(2 * CUSTOMERS.length);
  await allReach(["1", "1", "null"]);
  expect(await invoked("site-5", "qa")).toBe("site-5/v000001.tar.gz");
});
