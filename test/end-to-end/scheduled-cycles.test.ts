/** Cycles that a schedule starts, carried out by a worker: each trains on the rows of its own time, and on no other's. */
import { GetObjectCommand } from "@aws-sdk/client-s3";
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openConnections, type Connections } from "../../client/connections.js";
import { CHANNELS, s3Keys } from "../../fleet/names.js";
import { modelfleetJson } from "../cli/modelfleet.js";
import { makeSmallFleet, startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const FLEET = "scheduled";
const CUSTOMERS = ["a", "b"];
/** Due at 03:00 on the first of February, March and April 2024; the window is the month before. */
const [FEBRUARY, MARCH, APRIL] = ["2024-02-01t0300", "2024-03-01t0300", "2024-04-01t0300"];
/** Run by hand, for a time of which half the rows are February's and half March's. */
const BY_HAND = "2024-02-15";

let stack: TestStack;
let connections: Connections;
let worker: RunningWorker | undefined;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 17524 });
  // The AWS SDK takes its credentials and endpoints from the process.
  for (const [name, value] of Object.entries(stack.environment))
    if (name.startsWith("AWS_")) vi.stubEnv(name, value);
  connections = openConnections(stack.environment);
  await makeSmallFleet(stack, {
    name: FLEET,
    customers: CUSTOMERS,
    better: -1,
    schedule: '{ kind: "monthly", day: 1, at: "03:00" }',
  });
});
afterAll(async () => {
  await worker?.stop();
  vi.unstubAllEnvs();
  await connections.close();
  await stack.close();
});

const runJson = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

async function ask<Row extends pg.QueryResultRow>(
  setting: "MODELFLEET_LEDGER_URL" | "WAREHOUSE_URL",
  sql: string,
  values: readonly unknown[],
): Promise<Row[]> {
  const database = new pg.Client({ connectionString: stack.environment[setting] });
  await database.connect();
  try {
    return (await database.query<Row>(sql, [...values])).rows;
  } finally {
    await database.end();
  }
}

/** Until the cycle has completed and what it made has been published. */
async function served(cycle: string): Promise<void> {
  const done = async () => {
    const [row] = await ask<{ done: boolean }>(
      "MODELFLEET_LEDGER_URL",
      `select c.state = 'completed' and not exists (
                select from releases r where r.fleet = c.fleet and r.cycle = c.cycle
                   and r.state in ('pending', 'approved')) as done
         from cycles c where c.fleet = $1 and c.cycle = $2`,
      [FLEET, cycle],
    );
    return row?.done === true;
  };
  await vi.waitUntil(done, { timeout: 170_000, interval: 1000 });
}

/** What a customer's model of a cycle was trained on: the lines of its three files. */
async function exportedRows(cycle: string, customerKey: string): Promise<string[]> {
  const s3 = await connections.s3();
  const Bucket = stack.environment.MODELFLEET_BUCKET ?? "";
  const files = CHANNELS.map(async (channel) => {
    const Key = s3Keys.rows({ fleet: FLEET, cycle, customerKey, channel });
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    return (await Body?.transformToString())?.trimEnd().split("\n") ?? [];
  });
  return (await Promise.all(files)).flat().sort();
}

/** What the warehouse holds for a window, as the files have it: the target first. */
async function warehouseRows(customer: string, window: readonly string[]): Promise<string[]> {
  const rows = await ask<{ line: string }>(
    "WAREHOUSE_URL",
    `select concat_ws(',', amount, weekday, promotion::int, price) as line
       from sales_${FLEET} where customer = $1 and at >= $2 and at < $3`,
    [customer, ...window],
  );
  return rows.map(({ line }) => line).sort();
}

test("late, backfilled and beside one run by hand, each cycle keeps to the rows of its time", async () => {
  await runJson("apply", FLEET, "--yes");
  const backfill = ["schedule", "backfill", FLEET, "--yes"];
  // Nobody is there to carry it out: it starts late.
  await runJson(...backfill, "--from", "2024-03-01", "--to", "2024-03-02");
  await runJson("run", FLEET, "--at", BY_HAND, "--detach");
  worker = await startWorkerProcess(stack);
  await Promise.all([MARCH, BY_HAND].map(served));
  await runJson(...backfill, "--from", "2024-04-01", "--to", "2024-04-02");
  await served(APRIL);

  const windows = [
    [MARCH, "2024-02-01T03:00:00.000Z", "2024-03-01T03:00:00.000Z"],
    [BY_HAND, "2024-01-15T00:00:00.000Z", "2024-02-15T00:00:00.000Z"],
    [APRIL, "2024-03-01T03:00:00.000Z", "2024-04-01T03:00:00.000Z"],
  ] as const;
  for (const [cycle, ...window] of windows) {
    const [row] = await ask<{ window_floor: Date; window_ceiling: Date }>(
      "MODELFLEET_LEDGER_URL",
      "select window_floor, window_ceiling from cycles where fleet = $1 and cycle = $2",
      [FLEET, cycle],
    );
    expect([row?.window_floor, row?.window_ceiling], cycle).toEqual(
      window.map((time) => new Date(time)),
    );
    for (const customer of CUSTOMERS) {
      const rows = await exportedRows(cycle, customer);
      expect(rows.length, cycle).toBeGreaterThan(90);
      expect(rows, `${cycle} of ${customer}`).toEqual(await warehouseRows(customer, window));
    }
  }
  const releases = await ask<{ customer_key: string; version: number; cycle: string }>(
    "MODELFLEET_LEDGER_URL",
    "select customer_key, version, cycle from releases where fleet = $1 order by 1, 2",
    [FLEET],
  );
  for (const customer of CUSTOMERS) {
    const own = releases.filter(({ customer_key }) => customer_key === customer);
    expect(own.map(({ version }) => version)).toEqual([1, 2, 3]);
    expect(own.map(({ cycle }) => cycle).sort()).toEqual([BY_HAND, MARCH, APRIL].sort());
    expect(own.at(-1)?.cycle).toBe(APRIL);
  }
});

test("a cycle that has completed is left as it is when it is backfilled again", async () => {
  const backfill = ["schedule", "backfill", FLEET, "--yes"];
  await runJson(...backfill, "--from", "2024-02-01", "--to", "2024-03-02");
  await served(FEBRUARY);
  const runs = async () => {
    const { runs: told } = await runJson("schedule", "show", FLEET);
    return (told as { cycle: string; state: string }[])
      .slice(0, 2)
      .map(({ cycle, state }) => [cycle, state]);
  };
  const ended = [MARCH, FEBRUARY].map((cycle) => [cycle, "completed"]);
  await expect.poll(runs, { timeout: 60_000, interval: 1000 }).toEqual(ended);
  const attempts = await ask<{ count: string }>(
    "MODELFLEET_LEDGER_URL",
    "select count(*) from releases where fleet = $1 and cycle = $2",
    [FLEET, MARCH],
  );
  expect(attempts).toEqual([{ count: String(CUSTOMERS.length) }]);
});

test("a customer whose rows, code and spec are those of its champion is skipped, unless forced", async () => {
  // No row lies between 03:00 and 04:00. The champion is the newest: that of the backfilled February.
  const words = ["run", FLEET, "--at", "2024-02-01T04:00:00Z"];
  expect(await runJson(...words)).toMatchObject({ states: { skipped: CUSTOMERS.length } });
  const told = await runJson("status", FLEET, "--cycle", "2024-02-01t0400");
  expect(JSON.stringify(told)).toContain("unchanged: data, code and spec are those of version 4");
  const forced = await runJson(...words, "--force");
  expect(forced).toMatchObject({ state: "completed" });
  expect(forced.states).not.toHaveProperty("skipped");
});
