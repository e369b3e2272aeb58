/** What happens to a cohort when its worker dies, its spot capacity goes, an instance is lost, or its cycle is cancelled. */
import { DescribeTrainingJobCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { openConnections, type Connections } from "../../client/connections.js";
import { anyAccount, loadFleetFile } from "../../client/fleet-file.js";
import { runCycle } from "../../client/run-cycle.js";
import { DEFAULT_PACE } from "../../workflows/messages.js";
import { startTestStack, type TestStack } from "../stack.js";
import { makeMeanFleet, type MeanFleet } from "./mean-fleet.js";
import { setFaults } from "./sagemaker-admin.js";
import { cli, startWorkerProcess, type RunningWorker } from "./small-fleet.js";

const CUSTOMERS = 24;
const AT = ["--at", "2024-02-01"] as const;

let stack: TestStack;
let ledger: pg.Pool;
let connections: Connections;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  stack = await startTestStack({ basePort: 18270 });
  // The AWS SDK takes its credentials and endpoints from the process.
  for (const [name, value] of Object.entries(stack.environment))
    if (name.startsWith("AWS_")) vi.stubEnv(name, value);
  connections = openConnections(stack.environment);
  ledger = new pg.Pool({ connectionString: stack.environment.MODELFLEET_LEDGER_URL });
  ledger.on("error", () => undefined);
  await worker();
});
afterAll(async () => {
  await Promise.all(workers.map((one) => one.kill()));
  vi.unstubAllEnvs();
  await connections.close();
  await ledger.end();
  await stack.close();
});
afterEach(() => setFaults(stack, {}));

async function worker(): Promise<RunningWorker> {
  const started = await startWorkerProcess(stack);
  workers.push(started);
  return started;
}

const fleetOf = (name: string, seconds = 0.25) =>
  makeMeanFleet(stack, { name, customers: CUSTOMERS, seconds });

/** By round: how each of the fleet's jobs ended. */
const jobsOf = async (fleet: string): Promise<unknown[]> =>
  (
    await ledger.query<{ status: string }>(
      "select status from modelfleet.jobs where fleet = $1 order by round",
      [fleet],
    )
  ).rows.map(({ status }) => status);

/** Of the fleet's newest job. */
async function transitionsOf(fleet: string): Promise<(string | undefined)[]> {
  const { rows } = await ledger.query<{ name: string }>(
    "select job_name as name from modelfleet.jobs where fleet = $1 order by round desc limit 1",
    [fleet],
  );
  const sagemaker = new SageMakerClient({});
  try {
    const command = new DescribeTrainingJobCommand({ TrainingJobName: rows[0]?.name });
    const { SecondaryStatusTransitions = [] } = await sagemaker.send(command);
    return SecondaryStatusTransitions.map(({ Status }) => Status);
  } finally {
    sagemaker.destroy();
  }
}

async function everybodyServes(fleet: string): Promise<void> {
  const states = async () =>
    (
      await ledger.query<{ state: string; reason: string | null; customers: number }>(
        `select state, min(reason) as reason, count(*)::int as customers
           from modelfleet.customers where fleet = $1 group by state`,
        [fleet],
      )
    ).rows;
  await expect
    .poll(states, { timeout: 60_000 })
    .toMatchObject([{ state: "serving", customers: CUSTOMERS }]);
}

const someTrained = (fleet: MeanFleet) =>
  expect.poll(async () => (await fleet.trained()).length, { timeout: 60_000 }).toBeGreaterThan(5);

/** Everybody, and most of them once: twice only those whose checkpoint was not in S3 yet. */
async function onlyMissingAgain(fleet: MeanFleet): Promise<void> {
  const trained = await fleet.trained();
  expect(new Set(trained).size).toBe(CUSTOMERS);
  expect(trained.length).toBeLessThan(1.5 * CUSTOMERS);
}

test("a worker that dies while the job runs: another hears of its end, and no job is made twice", async () => {
  const fleet = await fleetOf("dying-worker");
  const run = cli(stack, "run", fleet.file, ...AT);
  await someTrained(fleet);
  await workers[0]?.kill();
  await worker();
  expect((await run).code).toBe(0);
  expect(await jobsOf("dying-worker")).toEqual(["Completed"]);
  expect(await fleet.trained()).toHaveLength(CUSTOMERS);
  await everybodyServes("dying-worker");
}, 180_000);

test("a spot interruption: the same job trains only what is missing", async () => {
  const fleet = await fleetOf("spot");
  await setFaults(stack, { interrupt: { match: "mf-spot", afterFiles: 8 } });
  const { code, stderr } = await cli(stack, "run", fleet.file, ...AT);
  expect(code, stderr).toBe(0);
  expect(await jobsOf("spot")).toEqual(["Completed"]);
  expect(await transitionsOf("spot")).toContain("Interrupted");
  await onlyMissingAgain(fleet);
  await everybodyServes("spot");
}, 180_000);

test("a lost instance: another round trains only what is missing", async () => {
  const fleet = await fleetOf("lost");
  await setFaults(stack, { loseInstance: { match: "mf-lost", afterFiles: 12 } });
  // By the client, which can be told not to wait two minutes before another round.
  const pace = { ...DEFAULT_PACE, roundSeconds: 1 };
  const loaded = await loadFleetFile(fleet.file, anyAccount);
  const run = await runCycle(connections, loaded, { at: AT[1], force: false, pace });
  await (await connections.temporal()).workflow.getHandle(run.workflowId).result();
  expect(await jobsOf("lost")).toEqual(["Failed", "Completed"]);
  await onlyMissingAgain(fleet);
  await everybodyServes("lost");
}, 180_000);

test("a cancelled cycle stops its job, and run again it trains only what is missing", async () => {
  // The command that cancels takes seconds to start; the job must not end before.
  const fleet = await fleetOf("cancelled", 1.5);
  const run = cli(stack, "run", fleet.file, ...AT);
  await someTrained(fleet);
  const cancelled = await cli(stack, "cancel", "cancelled");
  expect(cancelled.code, cancelled.stderr).toBe(0);
  expect((await run).code).toBe(1);
  await expect.poll(() => jobsOf("cancelled"), { timeout: 60_000 }).toEqual(["Stopped"]);
  const { code, stderr } = await cli(stack, "run", fleet.file, ...AT);
  expect(code, stderr).toBe(0);
  expect(await jobsOf("cancelled")).toEqual(["Stopped", "Completed"]);
  await onlyMissingAgain(fleet);
  await everybodyServes("cancelled");
}, 180_000);
