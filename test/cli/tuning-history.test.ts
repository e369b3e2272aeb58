/** What `history` and `lineage` tell about searches. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openLedger } from "../../activities/ledger/pool.js";
import { startTestStack, type TestStack } from "../stack.js";
import { modelfleet, modelfleetJson } from "./modelfleet.js";
import { FLEET, seedLedger } from "./seeded-ledger.js";
import { customerKey } from "../../fleet/names.js";

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19468 });
  const url = stack.environment.MODELFLEET_LEDGER_URL ?? "";
  await seedLedger(url);
  const ledger = openLedger({ url, maxConnections: 1 });
  try {
    await seedSearches(ledger);
  } finally {
    await ledger.end();
  }
});
afterAll(() => stack.close());

const run = (...words: string[]) => modelfleet(words, { directory: stack.folder });
const runJson = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

const ATL = customerKey("ATL");
const FIRST = "mf-delays-atl-000000000001";
const SECOND = "mf-delays-atl-000000000002";

async function seedSearches(ledger: ReturnType<typeof openLedger>): Promise<void> {
  const search = (o: {
    cycle: string;
    name: string;
    best: string;
    type: string | null;
    parents: string[];
    because: string;
    reasons: object[];
  }) =>
    ledger.query(
      `insert into tuning_jobs (fleet, cycle, customer_key, round, work_hash, tuning_job_name, account, region,
          testing, strategy, objective_metric, objective_direction, max_jobs, parallel, ranges,
          static_hyperparameters, code_hash, image, warm_start_type, parents, warm_start_because, reasons,
          created_at, status, trial_statuses, best_training_job_name, best_value, best_hyperparameters)
       values ($1, $2, $3, 0, 'w', $4, '111111111111', 'us-east-1', false, 'Bayesian', 'validation:rmse', 'minimize',
          8, 2, '{}', '{}', 'c', 'i', $5, $6, $7, $8, ($2 || 'T03:00:00Z')::timestamptz, 'Completed',
          '{"completed": 7, "nonRetryableError": 1}', $9, 14.5, '{"eta": "0.2"}')`,
      [
        ...[FLEET, o.cycle, ATL, o.name, o.type, JSON.stringify(o.parents), o.because],
        ...[JSON.stringify(o.reasons), o.best],
      ],
    );
  await search({
    ...{ cycle: "2013-07-01", name: FIRST, best: `mf-${ATL}-2013-07-01`, type: null },
    ...{ parents: [], because: "no earlier search to start from", reasons: [] },
  });
  await search({
    ...{
      cycle: "2013-08-01",
      name: SECOND,
      best: `mf-${ATL}-2013-08-01`,
      type: "TransferLearning",
    },
    ...{ parents: [FIRST], because: "changed since its parents: data" },
    reasons: [{ tuningJobName: FIRST, taken: true, because: "the customer's own" }],
  });
  await ledger.query(
    `insert into tuning_trials (tuning_job_name, training_job_name, status, objective_value, hyperparameters)
     values ($1, 'worse', 'Completed', 16, '{"eta": "0.4"}'), ($1, 'none', 'Failed', null, '{}'),
            ($1, 'best', 'Completed', 14.5, '{"eta": "0.2"}')`,
    [SECOND],
  );
}

describe("history", () => {
  test("of a fleet tells how its searches started", async () => {
    const { stdout } = await run("history", FLEET);
    expect(stdout).toMatch(/searches/);
    expect(stdout).toMatch(/2013-08-01 .*1 warm, 0 cold, 7 jobs/);
    expect(stdout).toMatch(/2013-07-01 .*0 warm, 1 cold, 7 jobs/);
    expect(await runJson("history", FLEET)).toMatchObject({
      cycles: [
        {
          cycle: "2013-08-01",
          tuning: {
            jobs: 1,
            trials: 7,
            warmStarts: { identical: 0, transfer: 1, none: 0 },
            testing: false,
          },
        },
        { cycle: "2013-07-01", tuning: { warmStarts: { none: 1 } } },
      ],
    });
  });

  test("of a customer tells each search, its parents and why they were taken", async () => {
    const { stdout } = await run("history", FLEET, "ATL");
    expect(stdout).toContain(SECOND);
    expect(stdout).toMatch(/search +Bayesian, 7 of 8 training jobs, Completed/);
    expect(stdout).toMatch(/found +best validation:rmse 14.50/);
    expect(stdout).toMatch(
      new RegExp(`start +TransferLearning from ${FIRST}: changed since its parents: data`),
    );
    expect(stdout).toMatch(new RegExp(`parent +${FIRST}: the customer's own`));
    expect(stdout).toMatch(/start +from nothing: no earlier search to start from/);
  });

  test("as JSON has the training jobs too, the best first", async () => {
    expect(await runJson("history", FLEET, "ATL")).toMatchObject({
      customer: "ATL",
      searches: [
        {
          tuningJobName: SECOND,
          cycle: "2013-08-01",
          testing: false,
          objective: { metric: "validation:rmse", direction: "minimize" },
          best: { value: 14.5, hyperparameters: { eta: "0.2" } },
          warmStart: { type: "TransferLearning", parents: [FIRST] },
          trials: [
            { trainingJobName: "best", value: 14.5 },
            { trainingJobName: "worse" },
            { trainingJobName: "none", value: null },
          ],
        },
        { tuningJobName: FIRST, warmStart: { type: null, parents: [] }, trials: [] },
      ],
    });
  });

  test("of a customer without a search is what it was", async () => {
    expect(await runJson("history", FLEET, "ORD")).toMatchObject({ searches: [] });
  });
});

test("lineage names the search that found the model", async () => {
  expect(await runJson("lineage", FLEET, "ATL")).toMatchObject({
    trainingJob: { hyperparameters: { max_depth: "5", eta: "0.2" } },
    tuningJob: {
      name: SECOND,
      objective: "validation:rmse",
      best: 14.5,
      maxJobs: 8,
      warmStart: "TransferLearning",
      parents: [FIRST],
    },
  });
  const { stdout } = await run("lineage", FLEET, "ATL");
  expect(stdout).toContain(`found by  ${SECOND}: best validation:rmse 14.50 of 8 jobs`);
});
