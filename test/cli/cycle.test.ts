/** A whole cycle by the command line alone: plan, run, decide, invoke, trace, and the next cycle. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openClient } from "../../client/index.js";
import { startTestStack, type TestStack } from "../stack.js";
import { watchedProcess } from "../watched-process.js";
import { modelfleet, modelfleetJson } from "./modelfleet.js";

/** Ids that a careless path, query or shell would trip over. */
const GOOD = "north / 'o\"ne?*";
const NOISY = "noisy";
const SMALL = "../../etc";
const EMPTY = "🦉";

let stack: TestStack;
let worker: ChildProcess;
let told: Awaited<ReturnType<typeof twoCycles>>;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 17860 });
  await fillWarehouse(stack.environment.WAREHOUSE_URL ?? "");
  writeFleet(stack.folder);
  worker = await startWorker(stack.folder);
  told = await twoCycles();
});
afterAll(async () => {
  worker.kill("SIGTERM");
  if (worker.exitCode === null) await once(worker, "exit");
  await stack.close();
});

const run = (...words: string[]) => modelfleet(words, { directory: stack.folder });
const runJson = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

/** What a user does in two months; the tests look at what the commands said. */
async function twoCycles() {
  const plan = await runJson("plan", "fleet", "--at", "2024-03-01");
  const afterPlan = await run("status", "sales");
  const first = await run("run", "fleet", "--at", "2024-03-01");
  const again = await run("run", "fleet", "--at", "2024-03-01", "--json");
  const pending = await runJson("models", "sales", "--pending");
  const approval = await run(
    ...["approve", "sales", NOISY, "--by", "supervisor", "--note", "noise is expected"],
  );
  await serving(NOISY);
  const nextPlan = await runJson("plan", "fleet", "--at", "2024-04-01");
  const detached = await runJson("run", "fleet", "--at", "2024-04-01", "--detach");
  const followed = await run("status", "sales", "--cycle", "2024-04-01", "--follow");
  return { plan, afterPlan, first, again, pending, approval, nextPlan, detached, followed };
}

async function serving(customer: string): Promise<void> {
  const serves = async () =>
    (await runJson("status", "sales", "--customer", customer)).state === "serving";
  await vi.waitUntil(serves, { timeout: 60_000, interval: 500 });
}

test("plan tells what a run would do, and starts nothing", () => {
  expect(told.plan).toMatchObject({
    fleet: "sales",
    cycle: "2024-03-01",
    window: { floor: "2024-01-01T00:00:00.000Z", ceiling: "2024-03-01T00:00:00.000Z" },
    customers: 4,
    train: { customers: 2, rows: 480 },
    skipped: [
      { customer: SMALL, rows: 3, because: "3 rows, source.minimumRows asks 50" },
      { customer: EMPTY, rows: 0, because: "no rows in the window" },
    ],
    champions: 0,
    cost: { trainingUsd: expect.closeTo(0.0077, 4) as number },
  });
  expect(told.afterPlan.stderr).toContain('there is no fleet "sales"');
});

test("an empty window is told by plan, with exit code 1", async () => {
  const { code, stderr } = await run("plan", "fleet", "--at", "2030-01-01");
  expect(stderr).toContain("error: the query returns no rows for the window from 2029-11-01");
  expect(code).toBe(1);
});

test("run follows the cycle to its end and reports on every customer", () => {
  const { code, stdout, stderr } = told.first;
  expect(stderr).toContain("watch it at http://127.0.0.1:");
  expect(stdout).toMatch(/^sales 2024-03-01 completed in /);
  expect(stdout).toContain(
    "4 customers · 483 rows: 1 serving · 1 waiting for a decision · 2 skipped",
  );
  expect(stdout).toContain(`${SMALL}  3 rows, source.minimumRows asks 50`);
  expect(code).toBe(0);
});

test("the same cycle again says that it has completed, and starts nothing", () => {
  const { code, stderr, stdout } = told.again;
  expect(stderr).toContain("cycle 2024-03-01 of sales has completed already; nothing was started");
  expect(JSON.parse(stdout)).toMatchObject({ how: "completed", state: "completed", failures: [] });
  expect(code).toBe(0);
});

test("a model that the policy leaves open waits until somebody approves it by name", async () => {
  expect(told.pending.models).toMatchObject([{ customer: NOISY, version: 1, state: "pending" }]);
  expect(told.approval.stdout).toContain("approved  noisy version 1 by supervisor");
  expect(await runJson("lineage", "sales", NOISY, "--version", "1")).toMatchObject({
    publication: { stage: "sandbox" },
    approval: { decidedBy: "supervisor", note: "noise is expected" },
  });
});

test("a decision that has been made cannot be made again", async () => {
  const { code, stderr } = await run("approve", "sales", NOISY, "--version", "1");
  expect(stderr).toContain('error: "noisy" has no version 1 that waits for a decision');
  expect(stderr).toContain("decided by supervisor");
  expect(code).toBe(1);
});

test("invoke answers through the endpoint what the training job predicted", async () => {
  const sample = await runJson("invoke", "sales", GOOD, "--sample");
  expect(sample.predictions).toHaveLength(3);
  expect(sample.predictions).toEqual(sample.offlinePredictions);
});

test("invoke reads rows from standard input and prints a prediction a line", async () => {
  const input = "3,weekday\n4,weekend\n";
  const { stdout, stderr } = await modelfleet(["invoke", "sales", GOOD], {
    directory: stack.folder,
    input,
  });
  const predictions = stdout.trim().split("\n").map(Number);
  expect(predictions).toHaveLength(2);
  expect(predictions.every(Number.isFinite)).toBe(true);
  expect(stderr).toMatch(/version \d, north-o-ne-[0-9a-f]{12}\/v\d{6}\.tar\.gz on sales-sandbox/);
});

test("invoke sends a file as it is, and prints the JSON that it asked for", async () => {
  const rows = join(stack.folder, "rows.csv");
  writeFileSync(rows, "3,weekday\n4,weekend\n");
  const asked = ["invoke", "sales", GOOD, "--body-file", rows, "--accept", "application/json"];
  const { stdout } = await run(...asked);
  const answer: unknown = JSON.parse(stdout);
  expect(answer).toEqual([expect.any(Number), expect.any(Number)]);
  expect(await runJson(...asked)).toMatchObject({ contentType: "application/json", answer });
});

test("invoke takes what begins as JSON for JSON, unless it is told otherwise", async () => {
  const json = await run("invoke", "sales", GOOD, "--body", '{"period": 7}');
  expect(json.stderr).toContain("content type 'application/json' is not supported");
  const other = await run("invoke", "sales", GOOD, "--body", "x", "--content-type", "image/png");
  expect(other.stderr).toContain("content type 'image/png' is not supported");
});

test.each([
  [["--body", "1,weekday", "--sample"], "--body and --sample are two bodies"],
  [["--sample", "--content-type", "image/png"], "held-out rows are text/csv"],
])("invoke refuses %j", async (flags, said) => {
  const { stderr, code } = await run("invoke", "sales", GOOD, ...flags);
  expect(stderr).toContain(`error: ${said}`);
  expect(code).toBe(2);
});

test("invoke of a model that is not there says what lists those that are", async () => {
  const words = [
    "invoke",
    "sales",
    "--target-model",
    "nobody/v000001.tar.gz",
    "--body",
    "1,weekday",
  ];
  const { stderr, code } = await run(...words);
  expect(stderr).toContain("Failed to download model data");
  expect(stderr).toContain("try: modelfleet models FLEET --stage");
  expect(code).toBe(1);
});

test("invoke says what a row is when there is none, or a wrong one", async () => {
  const none = await run("invoke", "sales", GOOD);
  expect(none.stderr).toContain("error: there is no row to predict for; a row is x,kind");
  expect(none.code).toBe(2);
  const wrong = await run("invoke", "sales", GOOD, "--body", "1");
  expect(wrong.stderr).toContain("row 1 has 1 field");
  expect(wrong.stderr).not.toMatch(/Traceback|https:/);
  expect(wrong.stderr).toContain("log group /aws/sagemaker/Endpoints/sales-sandbox");
  expect(wrong.code).toBe(1);
  const { failure, targetModel } = await runJson("invoke", "sales", GOOD, "--body", "1");
  expect(failure).toMatchObject({
    message: expect.stringContaining(String(targetModel)) as string,
    status: 500,
    said: expect.stringContaining("Traceback") as string,
    logGroup: "/aws/sagemaker/Endpoints/sales-sandbox",
  });
});

test("a run can be detached from, and followed later", () => {
  expect(told.detached).toMatchObject({
    how: "started",
    workflowId: "retrain-fleet/sales/2024-04-01",
  });
  expect(told.detached.webPage).toContain("/workflows/retrain-fleet%2Fsales%2F2024-04-01/");
  expect(told.followed.stdout).toContain("sales 2024-04-01 completed");
  expect(told.followed.code).toBe(0);
});

test("the next cycle has champions to beat", async () => {
  expect(told.nextPlan).toMatchObject({ champions: 2 });
  const { cycles } = await runJson("history", "sales", GOOD);
  expect(cycles).toMatchObject([
    { cycle: "2024-04-01", championMetrics: {} },
    { cycle: "2024-03-01", championMetrics: null },
  ]);
});

test("a program sees the same through the typed client", async () => {
  const client = openClient(stack.environment);
  try {
    const cycles = await client.cycles("sales");
    expect(cycles.map(({ cycle }) => cycle)).toEqual(["2024-04-01", "2024-03-01"]);
    const again = { fleet: "sales", customer: NOISY, version: 1, by: "program" };
    await expect(client.approve(again)).rejects.toThrow('version 1 of "noisy"');
  } finally {
    await client.close();
  }
});

test("a cycle that has ended cannot be cancelled", async () => {
  const { code, stderr } = await run("cancel", "sales");
  expect(stderr).toContain("cycle 2024-04-01 of sales is not running: it is completed");
  expect(code).toBe(1);
});

test("doctor finds everything well while a worker runs", async () => {
  const { healthy, checks } = await runJson("doctor");
  expect(checks).toContainEqual({ part: "worker", state: "ok", found: "polls both task queues" });
  expect(healthy).toBe(true);
});

test("models --stage lists what the endpoint can serve, and whom it is pointed to", async () => {
  const { stdout, stderr } = await run("models", "sales", "--stage");
  expect(stdout).toMatch(/target model +customer +version +size +since +endpoint/);
  const [before = "", after = ""] = stdout.split("\n").filter((line) => line.includes(GOOD));
  expect(before).toMatch(
    /^ {2}north\S+\/v000001\.tar\.gz .* 1 +[\d.]+ kB +\S+ \S+ +sales-sandbox$/,
  );
  expect(after).toMatch(/^ {2}north\S+\/v000002\.tar\.gz .* 2 .* pointed to +sales-sandbox$/);
  expect(stderr).toMatch(/3 models, [\d.]+ kB, 2 pointed to/);
});

test("endpoint charts what CloudWatch has of it", async () => {
  const { stdout, stderr } = await run("endpoint", "sales");
  expect(stdout).toMatch(/^sales-sandbox {2}InService {2}multi-model\n/);
  expect(stdout).toMatch(/capacity +1 instance\n +customers +2\n/);
  expect(stdout).toMatch(/ Invocations +[▁-█ ]*[▁-█] +\d+\n/);
  expect(stdout).toMatch(/ ModelLatency +[▁-█ ]*[▁-█] +[\d.]+ ms, at most [\d.]+ ms\n/);
  expect(stdout).toMatch(/ LoadedModelCount +[▁-█ ]*[▁-█] +[\d.]+, at most \d+/);
  expect(stderr).toMatch(/since \S+ \S+, 3 minutes a bar/);
});

test("gc shows what would go, and what is kept for how long", async () => {
  const nothing = await run("gc", "sales");
  expect(nothing.stderr).toBe(
    "sales has nothing to collect: it keeps artifacts 180d, datasets 90d, 3 versions to go back to\n",
  );
  const ledger = new pg.Client({ connectionString: stack.environment.MODELFLEET_LEDGER_URL });
  await ledger.connect();
  // Long ago, and nobody has approved what still waits.
  await ledger.query(
    "update modelfleet.cycles set started_at = started_at - interval '181d', ended_at = ended_at - interval '181d'",
  );
  await ledger.query(
    "update modelfleet.releases set state = 'expired', created_at = created_at - interval '181d' where state = 'pending'",
  );
  await ledger.end();
  const shown = await run("gc", "sales", "--dry-run");
  expect(shown.stdout).toMatch(/^sales {2}all of this goes\n/);
  expect(shown.stdout).toMatch(/ versions +1: noisy v2\n/);
  expect(shown.stdout).toMatch(/ artifacts +\d+ objects, [\d.]+ k?B\n/);
  expect(shown.stdout).toMatch(/ datasets +\d+ objects, [\d.]+ k?B\n/);
  expect(shown.stderr).toContain("nothing was changed");
  const asked = await run("gc", "sales");
  expect(asked.stderr).toContain("modelfleet gc sales --yes");
  expect(asked.code).toBe(2);
  expect(await runJson("gc", "sales", "--yes")).toMatchObject({
    ...{ fleet: "sales", collected: true, versions: { count: 1, names: ["noisy v2"] } },
  });
  expect((await run("gc", "sales")).stderr).toContain("nothing to collect");
  expect((await run("invoke", "sales", GOOD, "--sample")).code).toBe(0);
  const unknown = await run("gc", "sails", "--dry-run");
  expect(unknown.stderr).toContain('the ledger has no cycle of a fleet "sails"');
  expect(unknown.code).toBe(1);
});

test("destroy shows all that would go, and asks for more than silence", async () => {
  const shown = await run("destroy", "sales", "--dry-run");
  expect(shown.stdout).toMatch(/^sales {2}all of this goes\n/);
  expect(shown.stdout).toMatch(/ endpoints +1: sales-sandbox\n/);
  expect(shown.stdout).toMatch(/ objects +\d+ under s3:\/\/\S+\/fleets\/sales\/, [\d.]+ [kM]B\n/);
  expect(shown.stdout).toMatch(/ ledger +\d+ rows\n/);
  expect(shown.stderr).toContain("nothing was changed");
  const asked = await run("destroy", "sales");
  expect(asked.stderr).toContain("modelfleet destroy sales --yes");
  expect(asked.code).toBe(2);
  expect((await run("invoke", "sales", GOOD, "--sample")).code).toBe(0);
});

test("more serverless endpoints than an account has are told by validate and by plan", async () => {
  const file = crowdFile(stack.folder);
  const told51 = "51 customers need as many serverless endpoints, and an account has 50";
  const toldSum =
    "51 customers with a maxConcurrency of 30 reserve 1530 concurrent invocations, and an account has 1000";
  const validated = await run("validate", file);
  expect(validated.stdout).toContain(`endpoint: ${told51}`);
  expect(validated.stdout).toContain(`endpoint: ${toldSum}`);
  expect(validated.stdout).toContain("try: lower maxConcurrency, ");
  expect(validated.code).toBe(1);
  expect((await run("validate", file, "--offline")).code).toBe(0);
  const planned = await run("plan", file, "--at", "2024-03-01");
  expect(planned.stdout).toContain(told51);
  expect(planned.stdout).toMatch(
    /cost +about \$\d\.\d\d of training on AWS; the endpoint less than \$0\.01 for 1,000 calls/,
  );
  expect(await runJson("plan", file, "--at", "2024-03-01")).toMatchObject({
    serverless: { usdPerSecond: 0.00004, usdPerThousandCalls: 0.004 },
    cost: { endpointUsdPerMonth: null },
    overQuota: [told51, toldSum],
  });
});

/** Customers with an endpoint of their own, more than an account has. */
function crowdFile(folder: string): string {
  const source = JSON.stringify(resolve("training/xgboost_regression"));
  const file = join(folder, "crowd.fleet.ts");
  writeFileSync(
    file,
    `import { defineFleet, postgres, script, serverlessEndpoint } from "modelfleet";
export default defineFleet({
  name: "crowd",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "select c::text as customer, n as y, n as x from generate_series(1, 51) as c, generate_series(1, 3) as n " +
      "where :floor < :ceiling",
    customer: "customer", target: "y", minimumRows: 3,
    window: { months: 2 }, split: { validation: 0.3, test: 0.1 },
  }),
  training: script(${source}),
  endpoint: serverlessEndpoint({ maxConcurrency: 30 }),
  stages: [{ name: "sandbox" }],
});\n`,
  );
  return file;
}

function writeFleet(folder: string): void {
  mkdirSync(join(folder, "fleet"), { recursive: true });
  const source = JSON.stringify(resolve("training/xgboost_regression"));
  writeFileSync(
    join(folder, "fleet/fleet.ts"),
    `import { defineFleet, multiModelEndpoint, policy, postgres, script } from "modelfleet";
export default defineFleet({
  name: "sales",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "select shop, y, x, kind from sales where at >= :floor and at < :ceiling",
    customers: "select shop from shops",
    customer: "shop", target: "y",
    window: { months: 2 }, split: { validation: 0.3, test: 0.1 },
  }),
  training: script(${source}, { hyperparameters: { num_round: "30" } }),
  gate: policy({ better: -1, autoApprove: { betterThanBaseline: 0.5 } }),
  endpoint: multiModelEndpoint(),
  stages: [{ name: "sandbox" }],
});\n`,
  );
}

/** Four rows a day and shop: one shop that can be learnt, one of noise, one with three rows, one with none. */
async function fillWarehouse(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("create table shops (shop text primary key)");
  await client.query("create table sales (shop text, at timestamptz, y float8, x int, kind text)");
  await client.query("insert into shops select unnest($1::text[])", [[GOOD, NOISY, SMALL, EMPTY]]);
  await client.query(
    `insert into sales
     select shop, at, case when shop = $1 then 10 * x + n % 2 else hashint4(n * 7919) % 1000 end, x,
            case when n % 7 < 5 then 'weekday' else 'weekend' end
       from unnest(array[$1, $2]) as shop, generate_series(0, 359) as n,
            lateral (select '2024-01-01T00:00:00Z'::timestamptz + n * interval '6 hours' as at, n % 13 as x) as made`,
    [GOOD, NOISY],
  );
  await client.query(
    "insert into sales select $1, '2024-02-01T00:00:00Z', n, n, 'weekday' from generate_series(1, 3) as n",
    [SMALL],
  );
  await client.end();
}

async function startWorker(directory: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [resolve("bin/modelfleet.js"), "worker"], {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...watchedProcess() },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  await new Promise<void>((ready, failed) => {
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes("worker ready")) ready();
    });
    child.once("exit", () => failed(new Error(`the worker ended: ${said}`)));
  });
  return child;
}
