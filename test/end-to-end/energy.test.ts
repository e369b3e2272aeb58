/** The energy example, small: one sharded job for all customers, one release, forecasts from the endpoint. */
import { resolve } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openConnections } from "../../client/connections.js";
import { forecastOf } from "../../examples/energy/example.js";
import { load } from "../../examples/energy/load.js";
import { modelfleet, modelfleetJson } from "../cli/modelfleet.js";
import { cli, startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const CUSTOMERS = 12;
const file = resolve("examples/energy");

let stack: TestStack;
let worker: RunningWorker;
let ledger: pg.Pool;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 18250 });
  // The AWS SDK takes its credentials and endpoints from the process.
  for (const [name, value] of Object.entries(stack.environment))
    if (name.startsWith("AWS_")) vi.stubEnv(name, value);
  ledger = new pg.Pool({ connectionString: stack.environment.MODELFLEET_LEDGER_URL });
  worker = await startWorkerProcess(stack);
  await load(stack.environment.WAREHOUSE_URL ?? "", { customers: CUSTOMERS });
});
afterAll(async () => {
  await worker.stop();
  vi.unstubAllEnvs();
  await ledger.end();
  await stack.close();
});

const json = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

test("the data is made once, and a number of customers that is none is refused", async () => {
  const url = stack.environment.WAREHOUSE_URL ?? "";
  expect(await load(url, { customers: CUSTOMERS })).toMatch(/^25,920 hours of 12 customers are in/);
  await expect(load(url, { customers: 20_001 })).rejects.toThrow(/from 1 to 20000/);
});

test("a plan tells what one packed job costs beside a job for each customer", async () => {
  const plan = await json("plan", file, "--at", "2025-03-01");
  expect(plan).toMatchObject({
    train: { customers: CUSTOMERS },
    trainingJobs: { most: 1 },
    refused: null,
    ways: [
      { way: "packed", trainingJobs: 1, tuningJobs: 0 },
      { way: "a job each", trainingJobs: CUSTOMERS, tuningJobs: 0 },
    ],
  });
  const { stdout } = await modelfleet(["plan", file, "--at", "2025-03-01"], {
    directory: stack.folder,
  });
  expect(stdout).toContain("one sharded job (declared)");
  expect(stdout).toContain("one training job a customer");
});

test("one job trains everybody on two instances, the cohort is released at once, and forecasts", async () => {
  const { code, stderr } = await cli(stack, "run", file, "--at", "2025-03-01");
  expect(code, stderr).toBe(0);
  const { rows: jobs } = await ledger.query(
    "select status, slots from modelfleet.jobs where fleet = 'energy'",
  );
  expect(jobs).toEqual([{ status: "Completed", slots: 2 }]);
  const { rows: evaluations } = await ledger.query<{ gain: number }>(
    `select 1 - (metrics->>'rmse')::float8 / (baseline_metrics->>'rmse')::float8 as gain
       from modelfleet.evaluations where fleet = 'energy' and decision = 'approve'`,
  );
  expect(evaluations).toHaveLength(CUSTOMERS);
  for (const { gain } of evaluations) expect(gain).toBeGreaterThan(0.2);

  await serving("2025-03-01", CUSTOMERS);
  const connections = openConnections(stack.environment);
  try {
    const run = { fleet: "energy" } as Parameters<typeof forecastOf>[0]["run"];
    const { forecast } = await forecastOf({ connections, run }, "7");
    expect(forecast.map(({ time }) => time)).toEqual(
      ["01", "02", "03", "04", "05", "06", "07"].map((day) => `2025-03-${day}T23:00:00`),
    );
    for (const { consumption } of forecast) expect(consumption).toBeGreaterThan(-200);
  } finally {
    await connections.close();
  }
}, 120_000);

test("the next cycle scores every champion on the same hours, and those that stay better stay", async () => {
  const { code, stderr } = await cli(stack, "run", file, "--at", "2025-04-01");
  expect(code, stderr).toBe(0);
  const { rows } = await ledger.query<{ decision: string; better: boolean; state: string }>(
    `select e.decision, c.state,
            (e.metrics->>'rmse')::float8 <= (e.champion_metrics->>'rmse')::float8 as better
       from modelfleet.evaluations e join modelfleet.customers c using (fleet, cycle, customer_key)
      where e.fleet = 'energy' and e.cycle = '2025-04-01'`,
  );
  expect(rows).toHaveLength(CUSTOMERS);
  for (const { decision, better, state } of rows) {
    expect(decision === "keep-champion").toBe(!better);
    if (!better) expect(state).toBe("champion-kept");
  }
  await serving("2025-04-01", rows.filter(({ better }) => better).length);
}, 120_000);

/** Resolves when so many customers of the cycle serve. */
async function serving(cycle: string, customers: number): Promise<void> {
  const count = async () =>
    (
      await ledger.query<{ count: number }>(
        "select count(*)::int as count from modelfleet.customers where fleet = 'energy' and cycle = $1 and state = 'serving'",
        [cycle],
      )
    ).rows[0]?.count;
  await expect.poll(count, { timeout: 60_000 }).toBe(customers);
}
