/** A customer leaves the warehouse, is retired, tidied away by a worker that dies in the middle, and comes back. */
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { s3Keys } from "../../fleet/names.js";
import { startTestStack, type TestStack } from "../stack.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type CliResult,
  type RunningWorker,
  type SmallFleet,
} from "./small-fleet.js";

const NAME = "shops";
const [STAYS, LEAVES] = ["site-0", "site-1"];

let stack: TestStack;
let ledger: pg.Pool;
let s3: S3Client;
let fleet: SmallFleet;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  stack = await startTestStack({ basePort: 20230 });
  const { environment } = stack;
  ledger = new pg.Pool({ connectionString: environment.MODELFLEET_LEDGER_URL });
  ledger.on("error", () => undefined);
  s3 = new S3Client({
    region: environment.AWS_REGION ?? "",
    endpoint: environment.AWS_ENDPOINT_URL_S3 ?? "",
    forcePathStyle: true,
    credentials: {
      accessKeyId: environment.AWS_ACCESS_KEY_ID ?? "",
      secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? "",
    },
  });
  workers.push(await startWorkerProcess(stack));
  fleet = await makeSmallFleet(stack, {
    ...{ name: NAME, customers: [STAYS, LEAVES], better: -1 },
    retention: `{
      artifacts: "30d", datasets: "10d", versions: 1, retire: { after: "90d", atMost: 0.5 },
    }`,
  });
});

afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  s3.destroy();
  await ledger.end();
  await stack.close();
});

const json = ({ stdout, stderr }: CliResult): Record<string, unknown> => {
  if (stdout === "") throw new Error(`no document; stderr: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
};

const retrain = async (at: string) =>
  json(await cli(stack, "run", fleet.file, "--at", at, "--json"));
const tidy = async (...flags: string[]) => json(await cli(stack, "gc", NAME, "--json", ...flags));
const invoke = (customer: string) => cli(stack, "invoke", NAME, customer, "--sample", "--json");

async function inWarehouse(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: stack.environment.WAREHOUSE_URL });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** As if so much time had gone by since all that the ledger knows of the fleet. */
async function age(days: number): Promise<void> {
  const columns = {
    cycles: ["started_at", "ended_at"],
    releases: ["created_at", "decided_at"],
    publications: ["updated_at"],
    withdrawals: ["asked_at", "moved_at"],
    retirements: ["absent_since", "retired_at"],
  };
  for (const [table, times] of Object.entries(columns)) {
    const earlier = times.map((time) => `${time} = ${time} - $2 * interval '1 day'`);
    await ledger.query(`update modelfleet.${table} set ${earlier.join(", ")} where fleet = $1`, [
      NAME,
      days,
    ]);
  }
}

async function keysWith(part: string): Promise<string[]> {
  const { MODELFLEET_BUCKET: Bucket } = stack.environment;
  const { Contents = [] } = await s3.send(
    new ListObjectsV2Command({ Bucket, Prefix: s3Keys.fleet(NAME) }),
  );
  return Contents.map(({ Key = "" }) => Key.slice(s3Keys.fleet(NAME).length))
    .filter((key) => key.includes(part))
    .sort();
}

const statesOf = async (customer: string): Promise<string[]> => {
  const { rows } = await ledger.query<{ state: string }>(
    "select state from modelfleet.releases where fleet = $1 and customer_key = $2 order by version",
    [NAME, customer],
  );
  return rows.map(({ state }) => state);
};

test("who is missing from an export serves on, until the declared time is over", async () => {
  expect(await retrain("2024-02-01")).toMatchObject({ states: { serving: 2 } });
  await inWarehouse(
    "create table gone as select * from sales_shops where customer = 'site-1'",
    "delete from sales_shops where customer = 'site-1'",
  );
  expect(await retrain("2024-03-01")).toMatchObject({ customers: 1, states: { serving: 1 } });
  await age(89);

  expect(await tidy("--yes")).toMatchObject({ retiring: { count: 0 }, versions: { count: 0 } });
  expect(json(await invoke(LEAVES))).toMatchObject({ version: 1 });
});

test("then the endpoint's workflow takes its model out of service, and what it was made of stays", async () => {
  const before = await keysWith(LEAVES);
  await age(2);
  expect(await tidy("--dry-run")).toMatchObject({ retiring: { count: 1, names: [LEAVES] } });
  expect(await statesOf(LEAVES)).toEqual(["serving"]);

  expect(await tidy("--yes")).toMatchObject({ collected: true, retiring: { names: [LEAVES] } });

  await expect.poll(() => statesOf(LEAVES)).toEqual(["retired"]);
  await expect.poll(async () => (await invoke(LEAVES)).code).toBe(1);
  expect(json(await invoke(STAYS))).toMatchObject({ version: 2 });
  expect((await cli(stack, "status", NAME)).stdout).toContain("Retired (1): site-1");
  // Its pointer has gone, and its copy will when nobody reads that any more.
  const own = before.filter((key) => !key.startsWith("stages/"));
  expect(own.length).toBeGreaterThan(3);
  expect(await keysWith(LEAVES)).toEqual(expect.arrayContaining(own));
});

test("a worker that dies between two deletions is replaced by one that deletes the rest", async () => {
  await age(31);
  const others = await keysWith(STAYS);
  // Rows of the cycle can be locked, so its rows are deleted; it cannot be marked, so what its jobs made is not.
  const inTheWay = await ledger.connect();
  await inTheWay.query("begin; lock table modelfleet.cycles in share mode");
  const collection = tidy("--yes");
  try {
    await expect.poll(blockedMarks, { timeout: 60_000 }).toBe(1);
    await workers[0]?.kill();
  } finally {
    await inTheWay.query("rollback");
    inTheWay.release();
  }

  expect((await keysWith(`data/${LEAVES}/`)).length).toBe(0);
  const [artifact = ""] = await artifactsOf(LEAVES);
  expect(await keysWith(artifact)).toEqual([artifact]);
  workers.push(await startWorkerProcess(stack));
  expect(await collection).toMatchObject({
    ...{ collected: true, versions: { count: 1, names: ["site-1 v1"] } },
  });

  expect(await keysWith(LEAVES)).toEqual([]);
  expect(await keysWith(artifact)).toEqual([]);
  expect(await keysWith(STAYS)).toEqual(others);
  expect(json(await invoke(STAYS))).toMatchObject({ version: 2 });
  // Nor is its cycle run again; that it had completed stays on record.
  const again = await cli(stack, "run", fleet.file, "--at", "2024-02-01", "--force");
  expect(again.code).toBe(1);
  expect(again.stderr).toContain("modelfleet gc has collected what its jobs made");
  const { rows } = await ledger.query(
    "select state, reason from modelfleet.cycles where fleet = $1 and cycle = '2024-02-01'",
    [NAME],
  );
  expect(rows).toEqual([{ state: "completed", reason: null }]);
});

test("a customer that comes back is trained and served as a new one", async () => {
  await inWarehouse("insert into sales_shops select * from gone");
  expect(await retrain("2024-04-01")).toMatchObject({ states: { serving: 2 } });

  expect(await statesOf(LEAVES)).toEqual(["retired", "serving"]);
  expect(json(await invoke(LEAVES))).toMatchObject({ version: 2 });
  expect((await cli(stack, "status", NAME)).stdout).not.toContain("Retired");
});

/** Keys of what the customer's training jobs have left. */
async function artifactsOf(customer: string): Promise<string[]> {
  const { rows } = await ledger.query<{ artifact_uri: string }>(
    "select artifact_uri from modelfleet.releases where fleet = $1 and customer_key = $2",
    [NAME, customer],
  );
  return rows.map(({ artifact_uri: uri }) =>
    uri.slice(uri.indexOf(s3Keys.fleet(NAME))).slice(s3Keys.fleet(NAME).length),
  );
}

/** Statements that wait to mark a cycle. */
async function blockedMarks(): Promise<number> {
  const { rows } = await ledger.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity
      where wait_event_type = 'Lock' and query like 'update cycles set collected_at%'`,
  );
  return rows[0]?.count ?? 0;
}
