/** The worker dies in the middle of a cycle, without a goodbye. */
import { setTimeout as wait } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestStack, type TestStack } from "../stack.js";
import { cli, makeSmallFleet, startWorkerProcess, type RunningWorker } from "./small-fleet.js";
import { createdTrainingJobs, setFaults } from "./sagemaker-admin.js";

const customers = Array.from({ length: 40 }, (_, index) => `site-${index}`);

let stack: TestStack;
let ledger: pg.Pool;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  stack = await startTestStack({ basePort: 18230 });
  ledger = new pg.Pool({ connectionString: stack.environment.MODELFLEET_LEDGER_URL });
  ledger.on("error", () => undefined);
});

afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  await ledger.end();
  await stack.close();
});

async function worker(): Promise<RunningWorker> {
  const started = await startWorkerProcess(stack);
  workers.push(started);
  return started;
}

/** Resolves when at least so many of the cycle's customers are in one of the states. */
async function customersIn(
  fleet: string,
  states: readonly string[],
  atLeast: number,
  signal?: AbortSignal,
): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const { rows } = await ledger
      .query<{ count: number }>(
        "select count(*)::int as count from modelfleet.customers where fleet = $1 and state = any($2)",
        [fleet, states],
      )
      .catch(() => ({ rows: [] }));
    if ((rows[0]?.count ?? 0) >= atLeast) return;
    await wait(50);
  }
}

test("another worker takes over, every customer is trained, and no job was created twice", async () => {
  const fleet = await makeSmallFleet(stack, { name: "killed", customers });
  // Jobs that take a moment, so that the worker dies while some run, some wait and some are done.
  await setFaults(stack, { slowStartSeconds: 0.5 });
  const first = await worker();
  const run = cli(stack, "run", fleet.file, "--at", "2024-02-01", "--json");
  await customersIn("killed", ["trained", "evaluated", "approved", "serving"], 5);
  await first.kill();
  await worker();
  const { code, stdout, stderr } = await run;

  expect(stderr).not.toContain("error:");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ state: "completed", customers: 40, failures: [] });
  const created = await createdTrainingJobs(stack, "killed");
  expect(created).toHaveLength(40);
  expect(created.every(([, calls]) => calls === 1)).toBe(true);
});

test("the worker is killed again and again, and what is approved is served all the same", async () => {
  const fleet = await makeSmallFleet(stack, { name: "killed-often", customers });
  const run = cli(stack, "run", fleet.file, "--at", "2024-02-01", "--json");
  for (let kills = 0; kills < 3; kills++) {
    const one = await worker();
    await wait(1500); // Wherever it stands by then: the point is that any place will do.
    await one.kill();
  }
  await worker();
  const { code, stdout } = await run;

  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ states: { serving: 40 } });
  expect(await createdTrainingJobs(stack, "killed-often")).toHaveLength(40);
});

test("a worker that dies while it copies artifacts is noticed by its missing heartbeats", async () => {
  const few = customers.slice(0, 3);
  const fleet = await makeSmallFleet(stack, { name: "killed-copying", customers: few });
  const first = await worker();
  const inTheWay = await ledger.connect();
  await inTheWay.query("begin; lock table modelfleet.publications in share mode");
  const run = cli(stack, "run", fleet.file, "--at", "2024-02-01", "--json");
  await expect.poll(blockedCopies, { timeout: 120_000 }).toBeGreaterThan(0);
  await first.kill();
  await inTheWay.query("rollback");
  inTheWay.release();
  await worker();

  // Well before the ten minutes that an attempt may take.
  await customersIn("killed-copying", ["serving"], 3, AbortSignal.timeout(180_000));
  expect((await run).code).toBe(0);
});

async function blockedCopies(): Promise<number> {
  const { rows } = await ledger.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity
      where wait_event_type = 'Lock' and query like '%insert into publications%'`,
  );
  return rows[0]?.count ?? 0;
}
