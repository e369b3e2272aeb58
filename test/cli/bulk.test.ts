/** Many decisions with one command: what it shows, what it decides, and what it leaves when it is interrupted. */
import { Client, Connection } from "@temporalio/client";
import { NativeConnection, Worker } from "@temporalio/worker";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { recordReleaseDecision } from "../../activities/ledger/decisions.js";
import { migrateLedger } from "../../activities/ledger/migrate.js";
import { openLedger } from "../../activities/ledger/pool.js";
import { readCandidates } from "../../client/bulk-candidates.js";
import { decideInBulk, type BulkResult } from "../../client/bulk-decide.js";
import { openConnections } from "../../client/connections.js";
import { isPolled } from "../../client/watch-cycle.js";
import { TASK_QUEUES, workflowIds } from "../../workflows/messages.js";
import { startTestStack, type TestStack } from "../stack.js";
import { quietWorkers, workflowBundle } from "../workflows/environment.js";
import { createFakes } from "../workflows/fakes.js";
import { testPace } from "../workflows/builders.js";
import { modelfleet, modelfleetJson } from "./modelfleet.js";

const FLEET = "sites";
const CYCLE = "2026-11-01";
/** `site-000` improves by 0 %, `site-059` by 5.9 %; `wild` by 5 % and with an error forty times as large. */
const SITES = Array.from(
  { length: 60 },
  (_none, index) => `site-${String(index).padStart(3, "0")}`,
);

/** The machine may be busy. */
const PATIENTLY = { timeout: 30_000, interval: 200 };

let stack: TestStack;
let ledger: pg.Pool;
let temporal: Client;
let worker: Worker | undefined;
let working: Promise<void> | undefined;

beforeAll(async () => {
  quietWorkers();
  stack = await startTestStack({ basePort: 19444 });
  ledger = openLedger({ url: setting("MODELFLEET_LEDGER_URL"), maxConnections: 4 });
  await migrateLedger(ledger);
  const address = setting("TEMPORAL_ADDRESS");
  temporal = new Client({
    connection: await Connection.connect({ address }),
    namespace: setting("TEMPORAL_NAMESPACE"),
  });
  await seed();
});
afterAll(async () => {
  worker?.shutdown();
  await working;
  await temporal.connection.close();
  await ledger.end();
  await stack.close();
});

const setting = (name: string): string => stack.environment[name] ?? "";
const run = (...words: string[]) => modelfleet(words, { directory: stack.folder });
const runJson = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });
const approve = (...words: string[]) => run("approve", FLEET, ...words);

async function statesOf(): Promise<Record<string, number>> {
  const { rows } = await ledger.query<{ state: string; releases: number }>(
    "select state, count(*)::int as releases from releases where fleet = $1 group by state",
    [FLEET],
  );
  return Object.fromEntries(rows.map(({ state, releases }) => [state, releases]));
}

/** The releases that wait, and nothing else of a worker: decisions arrive in the ledger, nobody publishes. */
async function startWorker(): Promise<void> {
  const { activities } = createFakes(temporal, () => TASK_QUEUES.control, {
    activities: {
      recordDecision: (verdict) => recordReleaseDecision(ledger, verdict),
      requestPublication: async () => {},
    },
  });
  worker = await Worker.create({
    connection: await NativeConnection.connect({ address: setting("TEMPORAL_ADDRESS") }),
    namespace: setting("TEMPORAL_NAMESPACE"),
    taskQueue: TASK_QUEUES.control,
    workflowBundle: { code: await workflowBundle() },
    activities,
  });
  working = worker.run();
  await vi.waitUntil(() => isPolled(temporal), PATIENTLY);
}

describe("without a worker", () => {
  test("nothing is tried, and it says how to start one", async () => {
    const { code, stderr } = await approve("--all-pending", "--yes");
    expect(stderr).toContain("error: no worker runs");
    expect(code).toBe(1);
    expect(await statesOf()).toMatchObject({ pending: 62 });
  });
});

describe("a preview", () => {
  test("lists some, counts all, and decides nothing", async () => {
    const { code, stdout, stderr } = await approve("--where", "improvement >= 2.95%");
    expect(stdout).toMatch(/site-030 +1 +pending/);
    expect(stdout).not.toContain("site-029");
    expect(stderr).toContain("… and 11 more");
    expect(stderr).toContain("62 models wait: 31 would be approved, 31 do not match");
    expect(stderr).toContain("add --yes to approve them");
    expect(code).toBe(0);
    expect(await statesOf()).toMatchObject({ pending: 62 });
  });

  test("leaves out what deviates from the cohort, with the reason", async () => {
    const { stdout, stderr } = await approve(
      "--where",
      "improvement >= 2.95%",
      "--except-outliers",
    );
    expect(stdout).toMatch(
      /Left for a look \(1\)\n {2}wild version 1: rmse 800, the cohort's median/,
    );
    expect(stderr).toContain("30 would be approved, 31 do not match, 1 outlier");
  });

  test("shows a sample over the range of improvement", async () => {
    const { stdout, stderr } = await approve("--where", "rmse < 100", "--sample", "4");
    expect(stdout.match(/site-\d+/g)).toHaveLength(3);
    expect(stdout).toContain("first");
    expect(stdout).toContain("site-000");
    expect(stderr).toContain("4 of 61, spread over the range of improvement");
  });

  test("as JSON has everything", async () => {
    const document = await runJson(
      ...["approve", FLEET, "--all-pending", "--except-outliers", "--sample", "3"],
    );
    expect(document).toMatchObject({ fleet: FLEET, verdict: "approve", sample: [{}, {}, {}] });
    expect(document.wouldDecide).toHaveLength(61);
    expect(document.leftOut).toMatchObject([{ customer: "wild", version: 1 }]);
  });

  test("of a first model compares it with the baseline, never with a champion", async () => {
    const where = "not improvement < 0 or improvement_over_baseline > 40%";
    const { wouldDecide } = await runJson(
      "approve",
      FLEET,
      "--where",
      `(${where}) and customer = 'first'`,
    );
    expect(wouldDecide).toMatchObject([{ customer: "first" }]);
    const none = await approve("--where", "improvement >= -1000 and customer = 'first'");
    expect(none.stderr).toContain("0 would be approved");
  });
});

describe("a condition that cannot be read ends with exit code 2", () => {
  test.each([
    ["improvment >= 0.02", 'no model has a figure "improvment" (nearest: improvement)'],
    ["rmse < 40 and", "where the condition has its end"],
    ["customer = 5", "a number is compared with text"],
  ])("%s", async (where, said) => {
    const { code, stdout, stderr } = await approve("--where", where, "--yes");
    expect(stderr).toContain(`error: --where: ${said}`);
    expect(stderr).toContain("try: ");
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });

  test("and tells the figures that there are", async () => {
    const { stderr } = await approve("--where", "mape < 3");
    expect(stderr).toContain("mae, rmse, baseline_rmse");
  });
});

describe("with a worker", () => {
  beforeAll(startWorker);

  test("decides what the preview has shown, with who and why on record", async () => {
    const { code, stdout, stderr } = await approve(
      ...["--where", "improvement >= 2.95%", "--except-outliers", "--yes"],
      ...["--by", "ann", "--note", "looked at the sample"],
    );
    expect(stdout).toContain("approved  30 models by ann");
    expect(stderr).toContain("30 would be approved");
    expect(code).toBe(0);
    await expect.poll(statesOf, PATIENTLY).toMatchObject({ approved: 30, pending: 32 });
    const { rows } = await ledger.query(
      "select distinct decided_by, note from release_decisions where fleet = $1",
      [FLEET],
    );
    expect(rows).toEqual([{ decided_by: "ann", note: "looked at the sample" }]);
  });

  test("run again, finds nothing left", async () => {
    const where = ["--where", "improvement >= 2.95%", "--except-outliers", "--yes"];
    const { code, stderr } = await approve(...where);
    expect(stderr).toContain("0 would be approved");
    expect(code).toBe(0);
  });

  test("passes over what is decided, though the ledger has not heard of it yet", async () => {
    await ledger.query(
      "update releases set state = 'pending' where fleet = $1 and customer_key in ('site-058', 'site-059')",
      [FLEET],
    );
    const { decided } = await runJson(
      ...["approve", FLEET, "--where", "improvement >= 5.75%", "--yes", "--by", "bob"],
    );
    expect(decided).toMatchObject([
      { customer: "site-058", decided: false, already: expect.stringContaining("ann") as string },
      { customer: "site-059", decided: false },
    ]);
    await ledger.query(
      "update releases set state = 'approved' where fleet = $1 and decided_by = 'ann'",
      [FLEET],
    );
  });

  test("interrupted, leaves what waits to the next time", async () => {
    const connections = openConnections(stack.environment);
    try {
      const { all } = await readCandidates(connections, FLEET);
      const chosen = all.filter(({ customer }) => customer < "site-020");
      const stop = new AbortController();
      const results: BulkResult[] = [];
      const decision = { verdict: "approve", by: "ann" } as const;
      const onResult = (result: BulkResult) => {
        results.push(result);
        stop.abort();
      };
      // One at a time would be one; those under way come to their end.
      await decideInBulk(connections, [...chosen, ...chosen, ...chosen], {
        ...{ fleet: FLEET, decision, signal: stop.signal, onResult },
      });
      expect(results.length).toBeGreaterThan(0);
      expect(results.length).toBeLessThan(3 * chosen.length);
      expect(results.filter(({ kind }) => kind === "failed")).toEqual([]);
    } finally {
      await connections.close();
    }
  });

  test("denies likewise, and a denial needs its reason", async () => {
    const without = await run("deny", FLEET, "--where", "improvement < 1000%", "--yes");
    expect(without.stderr).toContain("error: a denial needs its reason");
    const { stdout, code } = await run(
      ...["deny", FLEET, "--where", "rmse < 100", "--yes", "--note", "wrong month", "--by", "bob"],
    );
    expect(stdout).toMatch(/denied {2}\d+ models by bob/);
    expect(code).toBe(0);
    await expect.poll(statesOf, PATIENTLY).toMatchObject({ pending: 1 });
  });

  test("a version that serves is denied by its number only, and then withdrawn", async () => {
    await ledger.query(
      "update releases set state = 'serving' where fleet = $1 and customer_key = 'site-059'",
      [FLEET],
    );
    await ledger.query(
      `insert into publications (fleet, stage, customer_key, version, target_model, state)
       values ($1, 'sandbox', 'site-059', 1, 't', 'serving')`,
      [FLEET],
    );
    await temporal.workflow.getHandle(workflowIds.releaseModel(FLEET, "site-059", 1)).terminate();
    const unnamed = await run("deny", FLEET, "site-059", "--note", "drift");
    expect(unnamed.stderr).toContain(
      '"site-059" has nothing that waits for a decision: version 1 is serving',
    );
    expect(unnamed.stderr).toContain("--version 1");
    const denied = await run(
      "deny",
      FLEET,
      "site-059",
      "--version",
      "1",
      "--note",
      "drift",
      "--by",
      "bob",
    );
    expect(denied.stdout).toContain("denied  site-059 version 1 by bob; it is being withdrawn");
    const id = workflowIds.withdrawModel(FLEET, "site-059", 1);
    await expect(temporal.workflow.getHandle(id).describe()).resolves.toMatchObject({
      type: "withdrawModel",
    });
  });

  test("what is being published is denied by its number", async () => {
    const { stdout } = await run("deny", FLEET, "site-058", "--version", "1", "--note", "drift");
    expect(stdout).toContain("denied  site-058 version 1");
  });
});

/** As a cycle leaves it: evaluations, versions that wait, and their workflows. */
async function seed(): Promise<void> {
  await ledger.query("insert into fleet_specs (fleet, spec_hash, spec) values ($1, 'spec', $2)", [
    FLEET,
    { name: FLEET, gate: { metric: "rmse" } },
  ]);
  await ledger.query(
    `insert into cycles (fleet, cycle, spec_hash, window_floor, window_ceiling, workflow_id, state)
     values ($1, $2, 'spec', '2026-10-01Z', '2026-11-01Z', 'w', 'completed')`,
    [FLEET, CYCLE],
  );
  for (const [index, customer] of SITES.entries())
    await addPending(customer, 20 + (index % 10) / 10, 1 - index / 1000);
  await addPending("wild", 800, 0.95);
  await addPending("first", 20, null);
}

async function addPending(
  customer: string,
  rmse: number,
  ofChampion: number | null,
): Promise<void> {
  const workflowId = workflowIds.releaseModel(FLEET, customer, 1);
  await ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, train_rows, validation_rows, test_rows, state)
     values ($1, $2, $3, $3, 600, 300, 100, 'pending')`,
    [FLEET, CYCLE, customer],
  );
  await ledger.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, champion_metrics,
                              baseline_metrics, artifact_uri, predictions, decision, because)
     values ($1, $2, $3, 'job', $4, $5, $6, 'uri', '[]', 'ask', 'a person decides')`,
    [
      ...[FLEET, CYCLE, customer, { rmse, mae: rmse / 2 }],
      ofChampion === null ? null : { rmse: rmse / ofChampion },
      { rmse: rmse * 2 },
    ],
  );
  await ledger.query(
    `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name, artifact_uri,
                           state, workflow_id)
     values ($1, $2, 1, $3, $4, 'job', 'uri', 'pending', $5)`,
    [
      FLEET,
      customer,
      CYCLE,
      `arn:aws:sagemaker:us-east-1:111111111111:model-package/${customer}/1`,
      workflowId,
    ],
  );
  await temporal.workflow.start("releaseModel", {
    workflowId,
    taskQueue: TASK_QUEUES.control,
    args: [
      {
        ...{ fleet: FLEET, stage: "sandbox", cycle: CYCLE, customerKey: customer, version: 1 },
        ...{ evaluation: "a person decides", pace: testPace },
      },
    ],
  });
}
