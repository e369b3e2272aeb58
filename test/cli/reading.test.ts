/** Commands that read the ledger: what they print, their JSON, and their answers to names that do not exist. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openLedger } from "../../activities/ledger/pool.js";
import { customerKey } from "../../fleet/names.js";
import { startTestStack, type TestStack } from "../stack.js";
import { shownCommands, words } from "../docs/fenced.js";
import { modelfleet, modelfleetJson } from "./modelfleet.js";
import { EVIL, FLEET, HASH, seedLedger } from "./seeded-ledger.js";

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 17840 });
  await seedLedger(stack.environment.MODELFLEET_LEDGER_URL ?? "");
});
afterAll(() => stack.close());

// As a user in the folder of the stack: its settings are found there.
const run = (...words: string[]) => modelfleet(words, { directory: stack.folder });
const runJson = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

describe("status", () => {
  test("lists the fleets with their newest cycle", async () => {
    const { stdout, code } = await run("status");
    expect(stdout).toMatch(/delays +2013-08-01 +completed +5 +1 +2 +1/);
    expect(code).toBe(0);
  });

  test("of a fleet tells who failed and who was skipped, and why", async () => {
    const { stdout } = await run("status", FLEET);
    expect(stdout).toContain("delays 2013-08-01 completed in 1:14");
    expect(stdout).toContain("5 customers");
    expect(stdout).toMatch(
      /Failed \(1\)\n +XNA +TrainingAlgorithmError: ValueError: could not convert string to float: 'x'/,
    );
    expect(stdout).toMatch(/Skipped \(1\)\n +LGA +1 row, source.minimumRows asks 50/);
  });

  test("as JSON has counts by state and ISO times", async () => {
    expect(await runJson("status", FLEET)).toMatchObject({
      fleet: FLEET,
      cycle: "2013-08-01",
      state: "completed",
      windowCeiling: "2013-08-01T00:00:00.000Z",
      startedAt: "2026-11-01T10:00:00.000Z",
      customers: 5,
      states: { serving: 1, pending: 2, skipped: 1, failed: 1 },
      told: [
        { customer: "LGA", state: "skipped" },
        { customer: "XNA", state: "failed", errorType: "TrainingAlgorithmError" },
      ],
    });
  });

  test("of an older cycle is had by its id", async () => {
    expect(await runJson("status", FLEET, "--cycle", "2013-07-01")).toMatchObject({ customers: 1 });
  });

  test("lists the customers in one state", async () => {
    const { stdout } = await run("status", FLEET, "--state", "failed");
    expect(stdout).toContain("XNA");
    expect(stdout).not.toContain("ATL");
  });

  test("of one customer shows its figures beside champion and baseline", async () => {
    const { stdout } = await run("status", FLEET, "--customer", "ATL");
    expect(stdout).toMatch(/model +RMSE 15.00, MAE 10.00/);
    expect(stdout).toMatch(/champion +RMSE 20.00, MAE 12.00/);
    expect(stdout).toMatch(/serving +version 2, of 2013-08-01/);
  });

  test("never hands a customer's control characters to the terminal", async () => {
    const { stdout } = await run("status", FLEET, "--customers");
    expect(stdout).toContain("evil\\u001b[2J");
    expect(stdout).not.toContain("\u001b");
    expect(await runJson("status", FLEET, "--customer", EVIL)).toMatchObject({ customer: EVIL });
  });
});

describe("cost", () => {
  test("shows what every cycle came to beside what was planned, and the endpoint apart", async () => {
    const { stdout, stderr } = await run("cost", FLEET);
    expect(stdout).toMatch(/2013-08-01 +completed +3 +2\.00 +\$0\.18 +\$0\.10 +\$0\.20/);
    expect(stdout).toMatch(/2013-07-01 +completed +0 +0\.00 +\$0\.00 +– +\$0\.20/);
    expect(stdout).toMatch(/endpoint +about \$335\.80 a month, estimated/);
    expect(stderr).toContain("1 job without a price or known seconds: not in the cost");
  });

  test("counts the endpoints of the stages that something was published to, each with its own instances", async () => {
    // Nothing has come into production yet: it has no endpoint.
    const sandbox = { stage: "sandbox", instanceType: "ml.m5.xlarge", instances: 2 };
    expect(await runJson("cost", FLEET)).toMatchObject({
      endpointUsdPerMonth: 335.8,
      endpoints: [{ ...sandbox, usdPerMonth: 335.8 }],
    });
    const ledger = openLedger({
      url: stack.environment.MODELFLEET_LEDGER_URL ?? "",
      maxConnections: 1,
    });
    const published = `insert into publications (fleet, stage, customer_key, version, target_model, state)
                       select fleet, 'prod', customer_key, version, target_model, state from publications
                        where fleet = $1 and stage = 'sandbox'`;
    await ledger.query(published, [FLEET]);
    const { stdout } = await run("cost", FLEET);
    await ledger.query("delete from publications where fleet = $1 and stage = 'prod'", [FLEET]);
    await ledger.end();
    expect(stdout).toMatch(/sandbox +2 ml\.m5\.xlarge, about \$335\.80 a month/);
    expect(stdout).toMatch(/prod +4 ml\.m5\.large, about \$335\.80 a month/);
    expect(stdout).toMatch(/endpoint +about \$671\.60 a month, estimated/);
  });

  test("of a cycle is had by kind of job, with the price and where it is from", async () => {
    const { stdout } = await run("cost", FLEET, "--cycle", "2013-08-01");
    expect(stdout).toMatch(/stopped +no room for another job/);
    expect(stdout).toMatch(/training +ml\.m5\.large .*\$0\.12 \(fleet file\) +\$0\.06 +\$0\.12/);
    expect(stdout).toMatch(/ml\.p5\.48xlarge .*no price for us-east-1 .*price not known/);
  });

  test("by customer shares out what was for all, and says how", async () => {
    const document = await runJson("cost", FLEET, "--by", "customer");
    expect(document).toMatchObject({ cycle: "2013-08-01", sharedBy: "equal", budgetUsd: 0.2 });
    const { customers } = document as { customers: { customer: string; usd: number }[] };
    expect(customers[0]?.customer).toBe("ATL");
    expect(customers).toHaveLength(5);
    expect(customers.reduce((sum, { usd }) => sum + usd, 0)).toBeCloseTo(0.18, 9);
    const { stderr } = await run("cost", FLEET, "--by", "customer");
    expect(stderr).toContain("shared in equal parts");
  });

  test("is shown with a budget in the cycle's status", async () => {
    expect((await run("status", FLEET)).stdout).toContain("$0.18 spent of $0.20");
  });
});

describe("the runbook's commands", () => {
  const looks = shownCommands("docs/runbook.md")
    .map(({ command }) => words(command.replace(/^.*?modelfleet /, "")))
    .filter(([name = ""]) => ["status", "cost", "models", "history", "lineage"].includes(name));

  test("that only look work as they stand there", async () => {
    expect(looks.length).toBeGreaterThan(10);
    const here: Readonly<Record<string, string>> = {
      "flight-delays": FLEET,
      "2013-07-01": "2013-08-01",
      XNA: "ATL",
    };
    const asked = new Set(
      looks.map((look) => JSON.stringify(look.map((word) => here[word] ?? word))),
    );
    for (const look of asked) {
      const { code, stderr } = await run(...(JSON.parse(look) as string[]));
      expect(code, `${look}: ${stderr}`).toBe(0);
    }
  });
});

describe("names that do not exist end with exit code 1 and the nearest that does", () => {
  test.each([
    [["status", "delay"], 'there is no fleet "delay" (nearest: "delays")'],
    [["models", "delay"], 'there is no fleet "delay" (nearest: "delays")'],
    [["history", "weather"], 'there is no fleet "weather" (known: delays)'],
    [["status", FLEET, "--cycle", "2013-09-01"], 'fleet "delays" has no cycle "2013-09-01"'],
    [
      ["lineage", FLEET, "XNB"],
      'fleet "delays" has no customer "XNB" (5 customers; nearest: "XNA")',
    ],
    [
      ["lineage", FLEET, "ATL", "--version", "9"],
      'customer "ATL" of fleet "delays" has no version 9',
    ],
    [["lineage", FLEET, "LGA"], 'customer "LGA" of fleet "delays" has no model yet'],
    [
      ["rollback", FLEET, "ORD", "--because", "why"],
      'no version serves "ORD": there is nothing to roll back',
    ],
    [
      ["rollback", FLEET, "ATL", "--to", "9", "--because", "why"],
      '"ATL": there is no version 9 to go back to',
    ],
    [
      ["rollback", FLEET, "ATL", "--to", "2", "--because", "why"],
      'version 2 is the one that serves "ATL"',
    ],
    [
      ["approve", FLEET, "ATL"],
      '"ATL" has nothing that waits for a decision: version 2 is serving',
    ],
  ])("%j", async (words, said) => {
    const { code, stderr, stdout } = await run(...words);
    expect(stderr).toContain(`error: ${said}`);
    expect(stderr).toContain("\n  try: modelfleet ");
    expect(stdout).toBe("");
    expect(code).toBe(1);
  });
});

describe("models", () => {
  test("show each customer's newest with its change against champion and baseline", async () => {
    const { stdout, stderr } = await run("models", FLEET);
    expect(stdout).toMatch(
      /ATL +2 +serving +15.00 +20.00 +−25.0 % +−31.2 to −18.1 % +30.00 +−50.0 % +2013-08-01 +policy:delays/,
    );
    // Who decides reads why it is up to them; of the others the figures are enough.
    expect(stdout).toMatch(/why ORD version 1\n +rmse 15 is 25 %.*\n +the policy leaves/);
    expect(stdout).not.toContain("why ATL");
    expect(stderr).toContain("2 models wait for a decision");
    expect(stderr).toContain(`modelfleet approve ${FLEET} `);
  });

  test("that wait are had alone, also as JSON", async () => {
    const { models } = await runJson("models", FLEET, "--pending");
    expect(models).toMatchObject([
      {
        customer: "ORD",
        version: 1,
        state: "pending",
        metrics: { rmse: 15 },
        championMetrics: null,
      },
      { customer: EVIL },
    ]);
  });

  test("show what serves as well, when a newer one does not", async () => {
    const ledger = openLedger({
      url: stack.environment.MODELFLEET_LEDGER_URL ?? "",
      maxConnections: 1,
    });
    const setStates = (first: string, second: string) =>
      ledger.query(
        `update releases set state = case version when 1 then $1 else $2 end
          where fleet = $3 and customer_key = $4`,
        [first, second, FLEET, customerKey("ATL")],
      );
    await setStates("serving", "rejected");
    const { models } = await runJson("models", FLEET);
    expect(models).toMatchObject([
      { customer: "ATL", version: 2, state: "rejected" },
      { customer: "ATL", version: 1, state: "serving" },
      { customer: "ORD" },
      { customer: EVIL },
    ]);
    await setStates("retired", "serving");
    await ledger.end();
  });

  test("tell how sure the change is, and every reason, also as JSON", async () => {
    const { models } = await runJson("models", FLEET, "--customer", "ATL");
    expect(models).toMatchObject([
      {
        improvement: { metric: "rmse", confidence: 0.95, low: 0.181, high: 0.312 },
        testRows: 100,
        reasons: [expect.stringContaining("25 % below"), expect.stringContaining("a person")],
      },
      { improvement: null },
    ]);
  });

  test("of one customer are all its versions", async () => {
    const { models } = await runJson("models", FLEET, "--customer", "ATL");
    expect(models).toMatchObject([{ version: 2 }, { version: 1, state: "retired" }]);
  });
});

describe("bulk decisions", () => {
  test("only list what they would decide until --yes", async () => {
    const { code, stdout, stderr } = await run("approve", FLEET, "--all-pending");
    expect(stdout).toMatch(/ORD +1 +pending/);
    expect(stderr).toContain("2 models wait: 2 would be approved\nadd --yes to approve them");
    expect(code).toBe(0);
  });
});

describe("lineage", () => {
  test("leads from the served artifact back to SQL, window, data, code, job and approver", async () => {
    const { stdout } = await run("lineage", FLEET, "ATL");
    const inOrder = [
      "ATL of delays, version 2, serving",
      "v000002.tar.gz in stage sandbox: serving",
      "by policy:delays",
      "arn:package/",
      "model     mae 10.00, rmse 15.00",
      "champion (version 1)  mae 12.00, rmse 20.00",
      "trained by mf-",
      "with      max_depth=5",
      `sha256 ${HASH}`,
      "600 train, 300 validation, 100 test rows",
      ":floor    2013-02-01",
      ":ceiling  2013-08-01",
      "select dest",
      "retrain-fleet/delays/2013-08-01",
    ];
    let from = 0;
    for (const part of inOrder) {
      const at = stdout.indexOf(part, from);
      expect(at, `${part} after position ${from} of\n${stdout}`).toBeGreaterThanOrEqual(0);
      from = at;
    }
  });

  test("as JSON is complete, of any version", async () => {
    expect(await runJson("lineage", FLEET, "ATL", "--version", "1")).toMatchObject({
      version: 1,
      publication: { stage: "sandbox", state: "replaced" },
      approval: { decidedBy: "policy:delays", decidedAt: "2026-11-01T10:01:00.000Z" },
      evaluation: { championMetrics: null, decision: "ask" },
      trainingJob: { status: "Completed", billableSeconds: 7, instanceType: "ml.m5.large" },
      code: { hash: HASH, entryPoint: "train.py" },
      dataset: { hash: HASH, rows: { train: 600, validation: 300, test: 100 } },
      query: { connection: "WAREHOUSE_URL", ceiling: "2013-07-01T00:00:00.000Z", ran: "select 1" },
      cycle: { id: "2013-07-01", specHash: "spec" },
    });
  });
});

describe("history", () => {
  test("lists a fleet's cycles, newest first", async () => {
    const { stdout } = await run("history", FLEET);
    expect(stdout.indexOf("2013-08-01")).toBeLessThan(stdout.lastIndexOf("2013-07-01"));
    expect(stdout).toContain("1:14");
  });

  test("of a customer lists its evaluations", async () => {
    const { cycles } = await runJson("history", FLEET, "ATL");
    expect(cycles).toMatchObject([
      {
        cycle: "2013-08-01",
        version: 2,
        metrics: { rmse: 15 },
        championMetrics: { rmse: 20 },
        testing: false,
        testRows: 100,
        improvement: { metric: "rmse", estimate: 0.25, low: 0.181, high: 0.312 },
        reasons: [expect.any(String), "the policy leaves the decision to a person"],
      },
      { cycle: "2013-07-01", version: 1, championMetrics: null, improvement: null },
    ]);
  });
});

describe("doctor", () => {
  test("finds all parts of a fresh stack well but the worker, and says how to start one", async () => {
    const { checks } = await runJson("doctor");
    const states = Object.fromEntries(
      (Array.isArray(checks) ? checks : []).map((check: { part: string; state: string }) => [
        check.part,
        check.state,
      ]),
    );
    expect(states).toEqual({
      node: "ok",
      python: "ok",
      temporal: "ok",
      "search attributes": "ok",
      worker: "problem",
      ledger: "ok",
      "warehouse WAREHOUSE_URL": "ok",
      s3: "ok",
      sagemaker: "ok",
      "aws account": "ok",
      role: "ok",
    });
    const { stdout } = await run("doctor");
    expect(stdout).toContain("try: modelfleet worker");
  });
});
