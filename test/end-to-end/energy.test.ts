/** The energy example, small: one sharded job for all customers, one release, forecasts from the endpoint. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { checkpointGlances } from "../../client/cohort-checkpoints.js";
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
  expect(await json("status", "energy", "--customer", "7")).toMatchObject({
    state: "serving",
    workflowId: "retrain-cohort/energy/2025-03-01",
    webPage: expect.stringContaining("retrain-cohort%2Fenergy%2F2025-03-01") as string,
  });
  const connections = openConnections(stack.environment);
  try {
    // What its progress is told by, while it trains.
    const glance = checkpointGlances(connections, { fleet: "energy", cycle: "2025-03-01" });
    expect(await glance()).toBe(CUSTOMERS);
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

test("more instances than customers are told by the plan, and refused before a job is paid for", async () => {
  const one = await fleetLike("energy-one", {
    query: (text) => `${text}   and customer_id = 7\n`,
    fleet: (text) => text,
  });
  const planned = await cli(stack, "plan", one, "--at", "2025-03-01");
  expect(planned.stdout).toContain(
    "training.instances asks 2 instances for 1 customer: lower it, some would have no file to train on",
  );
  const { code, stdout, stderr } = await cli(stack, "run", one, "--at", "2025-03-01");
  expect(code).toBe(1);
  expect(stdout + stderr).toContain(
    "training.instances asks 2 instances, and this cycle trains 1 customer: some instances would have no file to train on",
  );
  const { rows } = await ledger.query("select from modelfleet.jobs where fleet = 'energy-one'");
  expect(rows).toEqual([]);
}, 60_000);

test("a search inside of the job begins the next month with the best trials of this one; who fails fails alone", async () => {
  const tuned = await tunedFleet();
  const plan = await modelfleet(["plan", tuned, "--at", "2025-03-01"], { directory: stack.folder });
  expect(plan.stdout).toMatch(/one sharded job \(declared\) +1 /);
  expect(plan.stdout).toMatch(/one tuning job a customer \(4\) +12 /);
  const first = await searchesAfter(tuned, "2025-03-01");
  for (const search of first.values()) {
    expect(search).toMatchObject({ packed: true, status: "Completed", maxJobs: TRIALS });
    expect(search.trials).toHaveLength(TRIALS);
    expect(search.warmStart).toMatchObject({ type: null, parents: [] });
  }
  const failed = await json("status", "energy-tuned");
  expect(failed).toMatchObject({
    states: { failed: 1 },
    told: [
      {
        customer: "3",
        errorType: "TrainingAlgorithmError",
        reason:
          `DataError: column "timestamp" is no time in row 1: 'soon' ` +
          "(ISO 8601, such as 2025-03-01T14:00:00, or seconds since 1970)",
      },
    ],
  });
  const broken = (await cli(stack, "history", "energy-tuned", "3")).stdout;
  expect(broken).toContain("Bayesian, 3 trials, Failed");
  expect(broken).toContain('DataError: column "timestamp" is no time');
  const second = await searchesAfter(tuned, "2025-04-01");
  for (const [customer, search] of second) {
    const earlier = first.get(customer);
    expect(search.warmStart).toMatchObject({
      type: "TransferLearning",
      parents: [earlier?.tuningJobName],
      because: "its first trials are the best 3 of earlier searches",
    });
    // Trials are numbered as they were made: the first is the best one of the month before.
    const begun = search.trials.find(({ trainingJobName }) => trainingJobName.endsWith("/1"));
    expect(begun?.hyperparameters).toEqual(earlier?.best?.hyperparameters);
  }

  const history = await cli(stack, "history", "energy-tuned");
  expect(history.stdout).toContain("3 warm, 1 cold, 9 trials");
  expect((await cli(stack, "history", "energy-tuned", "2")).stdout).toContain(
    "3 of 3 trials, Completed",
  );
  await serving("2025-03-01", SEARCHED, "energy-tuned");
  expect(await json("lineage", "energy-tuned", "0", "--version", "1")).toMatchObject({
    trainingJob: { hyperparameters: first.get("0")?.best?.hyperparameters },
    tuningJob: { packed: true, name: first.get("0")?.tuningJobName, maxJobs: TRIALS },
  });
}, 180_000);

/** One more has times that are none. */
const SEARCHED = 3;
const TRIALS = 3;

/** The example's fleet for its first customers, with a search for each. */
function tunedFleet(): Promise<string> {
  const broken = `case when customer_id = ${SEARCHED} then 'soon' else $& end`;
  const tuning =
    `tuning: { ranges: { changepoint_prior_scale: continuous(0.01, 0.5, "Logarithmic") }, ` +
    `maxJobs: ${TRIALS}, warmStart: { parents: 1 } }`;
  return fleetLike("energy-tuned", {
    query: (text) =>
      text.replace(/to_char\(.*\)(?= as)/, broken) + `   and customer_id <= ${SEARCHED}\n`,
    fleet: (text) =>
      text
        .replace("import { ", "import { continuous, ")
        .replace("  gate:", `  ${tuning},\n  gate:`)
        .replace("failureBudget: 0.01", "failureBudget: 0.5"),
  });
}

/** A folder with the example's fleet under another name, changed. */
async function fleetLike(
  name: string,
  change: Readonly<Record<"query" | "fleet", (text: string) => string>>,
): Promise<string> {
  const folder = join(stack.folder, name);
  await mkdir(folder);
  const query = await readFile(join(file, "consumption.sql"), "utf8");
  await writeFile(join(folder, "consumption.sql"), change.query(query));
  const fleet = (await readFile(join(file, "fleet.ts"), "utf8"))
    .replace('name: "energy"', `name: "${name}"`)
    .replaceAll("../../training", resolve("training"));
  await writeFile(join(folder, "fleet.ts"), change.fleet(fleet));
  return folder;
}

interface Search {
  readonly cycle: string;
  readonly tuningJobName: string;
  readonly best: { readonly hyperparameters: Readonly<Record<string, string>> } | null;
  readonly warmStart: object;
  readonly trials: readonly {
    readonly trainingJobName: string;
    readonly hyperparameters: Readonly<Record<string, string>>;
  }[];
}

/** Runs the cycle; its searches by customer, as `modelfleet history` tells them. */
async function searchesAfter(fleet: string, cycle: string): Promise<ReadonlyMap<string, Search>> {
  const { code, stderr } = await cli(stack, "run", fleet, "--at", cycle);
  expect(code, stderr).toBe(0);
  const found = new Map<string, Search>();
  for (let customer = 0; customer < SEARCHED; customer++) {
    const history = (await json("history", "energy-tuned", String(customer))) as {
      searches: Search[];
    };
    const search = history.searches.find((one) => one.cycle === cycle);
    if (search !== undefined) found.set(String(customer), search);
  }
  expect(found.size).toBe(SEARCHED);
  return found;
}

/** Resolves when so many customers of the cycle serve, or did so until a newer version took their place. */
async function serving(cycle: string, customers: number, fleet = "energy"): Promise<void> {
  const count = async () =>
    (
      await ledger.query<{ count: number }>(
        "select count(*)::int as count from modelfleet.customers where fleet = $1 and cycle = $2 and state = 'serving'",
        [fleet, cycle],
      )
    ).rows[0]?.count;
  await expect.poll(count, { timeout: 60_000 }).toBe(customers);
}
