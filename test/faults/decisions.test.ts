/** Decisions that race with each other, with publication and with the next cycle, on real parts; and one by boto3. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Client, Connection, WorkflowUpdateFailedError } from "@temporalio/client";
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { decide, deny, workflowIds } from "../../workflows/messages.js";
import { startTestStack, type TestStack } from "../stack.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type RunningWorker,
  type SmallFleet,
} from "./small-fleet.js";

const NAME = "decisions";
const customers = Array.from({ length: 9 }, (_none, index) => `site-${index}`);
/** The machine may be busy. */
const PATIENTLY = { timeout: 60_000, interval: 100 };

let stack: TestStack;
let fleet: SmallFleet;
let ledger: pg.Pool;
let temporal: Client;
let worker: RunningWorker;
/** What the versions of the first cycle answer, by customer. */
const before = new Map<string, unknown>();

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19420 });
  ledger = new pg.Pool({ connectionString: stack.environment.MODELFLEET_LEDGER_URL });
  ledger.on("error", () => undefined);
  temporal = new Client({
    connection: await Connection.connect({ address: stack.environment.TEMPORAL_ADDRESS ?? "" }),
    namespace: stack.environment.TEMPORAL_NAMESPACE ?? "",
  });
  worker = await startWorkerProcess(stack);
  fleet = await makeSmallFleet(stack, { name: NAME, customers, better: -1, autoApprove: "false" });
  await runCycle("2024-02-01");
  const approved = await cli(stack, "approve", NAME, "--all-pending", "--yes", "--by", "ann");
  expect(approved.stdout).toContain("approved  9 models by ann");
  for (const customer of customers) await until(customer, 1, "serving");
  for (const customer of customers) before.set(customer, (await answerOf(customer)).predictions);
  await runCycle("2024-03-01");
}, 600_000);
afterAll(async () => {
  await worker.stop();
  await temporal.connection.close();
  await ledger.end();
  await stack.close();
});

async function runCycle(at: string): Promise<void> {
  const { code, stderr } = await cli(stack, "run", fleet.file, "--at", at, "--json");
  if (code !== 0) throw new Error(`the cycle at ${at} ended with ${code}: ${stderr}`);
}

interface Answer {
  readonly version: number;
  readonly predictions: readonly number[];
}

async function answerOf(customer: string): Promise<Answer> {
  const { stdout, stderr } = await cli(stack, "invoke", NAME, customer, "--sample", "--json");
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Answer;
}

interface Standing {
  readonly key: string;
  readonly state: string;
  readonly arn: string;
}

async function standingOf(customer: string, version: number): Promise<Standing | undefined> {
  const { rows } = await ledger.query<Standing>(
    `select r.customer_key as key, r.state, r.model_package_arn as arn
       from modelfleet.releases r join modelfleet.customers c using (fleet, cycle, customer_key)
      where r.fleet = $1 and c.customer = $2 and r.version = $3`,
    [NAME, customer, version],
  );
  return rows[0];
}

/** Tells how it stands instead when it does not come to that. */
async function until(customer: string, version: number, state: string): Promise<void> {
  await vi.waitFor(async () => {
    expect((await standingOf(customer, version))?.state).toBe(state);
  }, PATIENTLY);
}

async function releaseOf(customer: string, version: number) {
  const { key = "" } = (await standingOf(customer, version)) ?? {};
  return temporal.workflow.getHandle(workflowIds.releaseModel(NAME, key, version));
}

/** As a supervisor types it. */
async function signalByCommandLine(workflowId: string, name: string, said: object): Promise<void> {
  const command = process.env.MODELFLEET_TEST_TEMPORAL ?? "temporal";
  await promisify(execFile)(
    command,
    [
      ...["workflow", "signal", "--workflow-id", workflowId],
      ...["--name", name, "--input", JSON.stringify(said)],
    ],
    { env: { ...process.env, ...stack.environment } },
  );
}

/** As a supervisor writes it. */
async function setStatusByBoto3(arn: string, status: string, description: string): Promise<void> {
  const script = `import json, os, sys, boto3
sagemaker = boto3.client("sagemaker", region_name=os.environ["AWS_REGION"])
sagemaker.update_model_package(**json.loads(sys.argv[1]))`;
  const request = {
    ModelPackageArn: arn,
    ModelApprovalStatus: status,
    ApprovalDescription: description,
  };
  await promisify(execFile)(
    process.env.MODELFLEET_TEST_PYTHON ?? "python3",
    ["-c", script, JSON.stringify(request)],
    { env: { ...process.env, ...stack.environment } },
  );
}

async function expectFirstVersionServes(customer: string): Promise<void> {
  const answer = await answerOf(customer);
  expect(answer.version).toBe(1);
  expect(answer.predictions).toEqual(before.get(customer));
}

const yes = { verdict: "approve", by: "ann" } as const;
const no = { verdict: "deny", by: "bob", note: "drift in May" } as const;

test("denied, then approved: the approval is refused, and the version before serves on", async () => {
  const release = await releaseOf("site-0", 2);
  await release.executeUpdate(decide, { args: [no] });
  await expect(release.executeUpdate(decide, { args: [yes] })).rejects.toThrow();
  expect(await release.result()).toMatchObject({ kind: "denied", by: "bob" });
  await until("site-0", 2, "denied");
  await expectFirstVersionServes("site-0");
});

test("approved, then denied at once: it ends denied, whatever the endpoint had done by then", async () => {
  const release = await releaseOf("site-1", 2);
  await release.executeUpdate(decide, { args: [yes] });
  await release.signal(deny, { by: "bob", note: "drift in May" });
  expect(await release.result()).toMatchObject({ kind: "denied", by: "bob" });
  await expectFirstVersionServes("site-1");
  const { rows } = await ledger.query(
    `select state, decided_by as by from modelfleet.release_decisions
      where fleet = $1 and customer_key = $2 and version = 2 order by decided_at`,
    [NAME, (await standingOf("site-1", 2))?.key],
  );
  expect(rows).toEqual([
    { state: "approved", by: "ann" },
    { state: "denied", by: "bob" },
  ]);
});

test("denied while its artifact is at the endpoint already: it does not serve, or no longer", async () => {
  const release = await releaseOf("site-2", 2);
  await signalByCommandLine(release.workflowId, "approve", { by: "ann" });
  const { key } = (await standingOf("site-2", 2)) ?? {};
  await vi.waitUntil(
    async () => {
      const { rowCount } = await ledger.query(
        "select from modelfleet.publications where fleet = $1 and customer_key = $2 and version = 2",
        [NAME, key],
      );
      return rowCount !== 0;
    },
    { ...PATIENTLY, interval: 10 },
  );
  await release.signal(deny, { by: "bob", note: "drift in May" });
  await release.result();
  await expect
    .poll(async () => (await standingOf("site-2", 2))?.state, PATIENTLY)
    .toMatch(/^(denied|withdrawn)$/);
  await expect.poll(async () => (await answerOf("site-2")).version, PATIENTLY).toBe(1);
  await expectFirstVersionServes("site-2");
});

test("denied in the registry by boto3 while it serves: the version before answers, number by number", async () => {
  const approved = await cli(stack, "approve", NAME, "site-3", "--by", "ann");
  expect(approved.stdout).toContain("approved  site-3 version 2 by ann");
  await until("site-3", 2, "serving");
  const served = await answerOf("site-3");
  expect(served.version).toBe(2);
  expect(served.predictions).not.toEqual(before.get("site-3"));

  const { arn = "" } = (await standingOf("site-3", 2)) ?? {};
  await setStatusByBoto3(arn, "Rejected", "wrong since Monday");
  await until("site-3", 2, "withdrawn");
  await until("site-3", 1, "serving");
  await expectFirstVersionServes("site-3");
  const { stdout } = await cli(stack, "lineage", NAME, "site-3", "--version", "2", "--json");
  expect(JSON.parse(stdout)).toMatchObject({
    withdrawal: { because: "wrong since Monday", servesVersion: 1 },
  });
});

test("approved in the registry by boto3, it serves; denied there as it waits, it does not", async () => {
  const [yes, no] = [await standingOf("site-4", 2), await standingOf("site-5", 2)];
  await setStatusByBoto3(yes?.arn ?? "", "Approved", "looks right");
  await setStatusByBoto3(no?.arn ?? "", "Rejected", "looks wrong");
  await until("site-4", 2, "serving");
  await until("site-5", 2, "denied");
  expect((await answerOf("site-4")).version).toBe(2);
  await expectFirstVersionServes("site-5");
});

test("a version that was replaced is denied by its number: no way back leads to it any more", async () => {
  const denied = await cli(stack, "deny", NAME, "site-4", "--version", "1", "--note", "drift");
  expect(denied.stdout).toContain("denied  site-4 version 1");
  await until("site-4", 1, "withdrawn");
  expect((await answerOf("site-4")).version).toBe(2);
  const { stderr } = await cli(stack, "rollback", NAME, "site-4", "--to", "1", "--because", "why");
  expect(stderr).toContain("version 1 cannot serve again: it was withdrawn");
});

test("a version that serves is denied by the command line", async () => {
  await cli(stack, "approve", NAME, "site-6");
  await until("site-6", 2, "serving");
  const denied = await cli(stack, "deny", NAME, "site-6", "--version", "2", "--note", "drift");
  expect(denied.stdout).toContain("it is being withdrawn");
  await until("site-6", 1, "serving");
  await expectFirstVersionServes("site-6");
});

test("the next cycle supersedes what nobody has decided, and nothing else", async () => {
  const [undecided, approved] = [await releaseOf("site-7", 2), await releaseOf("site-8", 2)];
  await approved.executeUpdate(decide, { args: [yes] });
  await runCycle("2024-04-01");

  expect(await undecided.result()).toEqual({ kind: "superseded", version: 3 });
  await until("site-7", 2, "superseded");
  await expect(undecided.executeUpdate(decide, { args: [yes] })).rejects.not.toBeInstanceOf(
    WorkflowUpdateFailedError,
  );
  await expectFirstVersionServes("site-7");
  expect(await approved.result()).toMatchObject({ kind: "serving" });
  expect((await answerOf("site-8")).version).toBe(2);

  const { stdout } = await cli(stack, "models", NAME, "--pending", "--json");
  const { models } = JSON.parse(stdout) as { models: { version: number }[] };
  expect(models.map(({ version }) => version)).toEqual(customers.map(() => 3));
  const query = `WorkflowType = 'releaseModel' AND Fleet = '${NAME}' AND ApprovalState = 'PENDING'`;
  await expect
    .poll(async () => (await temporal.workflow.count(query)).count, PATIENTLY)
    .toBe(customers.length);
  // In either order: the newer one is approved, then the older one is asked for once more.
  const late = await cli(stack, "approve", NAME, "site-7", "--version", "2");
  expect(late.stderr).toContain("version 2 is superseded");
  expect(late.code).toBe(1);
});
