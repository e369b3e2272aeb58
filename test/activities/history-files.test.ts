/** The files with a fleet's whole history, beside what the ledger has. */
import { describe, expect, test } from "vitest";
import { createHistoryFilesActivities } from "../../activities/history-files.js";
import { s3Keys } from "../../fleet/names.js";
import { aFleet, openCycle } from "./a-fleet.js";
import { readObject, run, useParts } from "./parts.js";

const parts = useParts(19432);

const write = (fleet: string) =>
  run(createHistoryFilesActivities(parts()).writeHistoryFiles, { fleet });

async function linesOf(fleet: string, file: string): Promise<string[]> {
  const text = await readObject(parts(), s3Keys.history(fleet, file));
  return (text ?? "").split("\n").slice(0, -1);
}

/** Evaluated at `at`; without champion. */
async function addEvaluation(o: {
  fleet: string;
  cycle: string;
  customer: string;
  at: string;
  testing?: boolean;
}): Promise<void> {
  const { ledger } = parts();
  await ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, state)
     values ($1, $2, $3, $4, 'evaluated')`,
    [o.fleet, o.cycle, `key-${o.customer.length}`, o.customer],
  );
  await ledger.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, champion_metrics, baseline_metrics,
                              artifact_uri, predictions, decision, because, improvement, test_rows, objective_metric,
                              objective_value, testing, created_at)
     values ($1, $2, $3, 'mf-job', '{"mae": 8.5, "rmse": 10, "stdev_error": 9}', '{"mae": 9, "rmse": 11, "stdev_error": 10}',
             '{"mae": 16, "rmse": 20}', 's3://bucket/model.tar.gz', '[]', 'ask', 'better, as "asked"',
             '{"metric": "rmse", "confidence": 0.95, "estimate": 0.09, "low": 0.01, "high": 0.2}', 10,
             'validation:rmse', 10.5, $5, $4)`,
    [o.fleet, o.cycle, `key-${o.customer.length}`, o.at, o.testing ?? false],
  );
}

async function aCycle(name: string, cycle: string): Promise<void> {
  await openCycle(parts(), aFleet({ name }), cycle);
}

/** One cycle, with so many customers that S3 takes their evaluations in several parts. */
async function aLongHistory(fleet: string, customers: number): Promise<void> {
  const { ledger } = parts();
  await aCycle(fleet, "2013-07-01");
  await ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, state)
     select $1, '2013-07-01', 'key-' || n, 'customer ' || n, 'evaluated' from generate_series(1, $2::int) n`,
    [fleet, customers],
  );
  await ledger.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, baseline_metrics, artifact_uri,
                              predictions, decision, because, created_at)
     select $1, '2013-07-01', 'key-' || n, 'mf-job', '{}', '{}', 'uri', '[]', 'ask', repeat('because ', 50),
            timestamptz '2013-07-01Z' + n * interval '1 second' from generate_series(1, $2::int) n`,
    [fleet, customers],
  );
}

describe("evaluationhistory.csv", () => {
  test("has the columns of the notebooks first, and a row for each evaluation, oldest first", async () => {
    const fleet = "evaluations";
    for (const cycle of ["2013-07-01", "2013-08-01"]) await aCycle(fleet, cycle);
    await addEvaluation({
      fleet,
      cycle: "2013-08-01",
      customer: "b,c",
      at: "2013-08-01T03:00:05Z",
      testing: true,
    });
    await addEvaluation({ fleet, cycle: "2013-07-01", customer: "a", at: "2013-07-01T03:00:00Z" });
    await write(fleet);
    const [header, ...rows] = await linesOf(fleet, "evaluationhistory.csv");
    expect(header).toMatch(
      /^datetime,testing,trainingjob,objective,hyperparameter_tuning_metric,mae,rmse,stdev_error,customer,cycle,/,
    );
    expect(rows).toEqual([
      "2013/07/01 03:00:00,False,mf-job,reg:squarederror,validation:rmse,8.5,10,9,a,2013-07-01,10.5,10,,9,11,10,16,20," +
        'rmse,0.09,0.01,0.2,0.95,ask,"better, as ""asked""",,',
      '2013/08/01 03:00:05,True,mf-job,reg:squarederror,validation:rmse,8.5,10,9,"b,c",2013-08-01,10.5,10,,9,11,10,16,20,' +
        'rmse,0.09,0.01,0.2,0.95,ask,"better, as ""asked""",,',
    ]);
  });

  test("of a fleet without evaluations is a header", async () => {
    await write("nothing-yet");
    await expect(linesOf("nothing-yet", "evaluationhistory.csv")).resolves.toHaveLength(1);
  });

  test("holds what was committed before anybody asked, however many write at once", async () => {
    const fleet = "at-once";
    const cycles = Array.from({ length: 6 }, (_none, index) => `2013-0${index + 1}-01`);
    for (const cycle of cycles) await aCycle(fleet, cycle);
    await Promise.all(
      cycles.map(async (cycle, index) => {
        await addEvaluation({ fleet, cycle, customer: "a", at: `2013-0${index + 1}-01T00:00:00Z` });
        await write(fleet);
        const rows = await linesOf(fleet, "evaluationhistory.csv");
        expect(rows.some((row) => row.includes(`,${cycle},`))).toBe(true);
      }),
    );
    await expect(linesOf(fleet, "evaluationhistory.csv")).resolves.toHaveLength(7);
  });

  test("streams a history that is larger than one upload", async () => {
    await aLongHistory("long", 20_000);
    await write("long");
    const lines = await linesOf("long", "evaluationhistory.csv");
    expect(lines).toHaveLength(20_001);
    expect(lines.at(-1)).toContain(",customer 20000,");
  });

  test("stays as it was when the ledger is lost amid the writing, and the next attempt is not kept waiting", async () => {
    await write("cut");
    await aLongHistory("cut", 50_000);
    const { ledger, s3 } = parts();
    let lost = false;
    const loseLedger = async () => {
      if (lost) return;
      const { rowCount } = await ledger.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'copy (%' and state <> 'idle'",
      );
      lost = rowCount === 1;
    };
    s3.middlewareStack.add(
      (next) => async (request) => {
        await loseLedger();
        return next(request);
      },
      { step: "initialize", name: "loseLedger" },
    );
    await expect(write("cut")).rejects.toThrow();
    s3.middlewareStack.remove("loseLedger");
    expect(lost).toBe(true);
    await expect(linesOf("cut", "evaluationhistory.csv")).resolves.toHaveLength(1);
    await write("cut");
    await expect(linesOf("cut", "evaluationhistory.csv")).resolves.toHaveLength(50_001);
  });

  test("of which S3 takes nothing keeps no attempt waiting that comes after", async () => {
    await aLongHistory("refused", 20_000);
    const { writeHistoryFiles } = createHistoryFilesActivities({ ...parts(), bucket: "nowhere" });
    await expect(run(writeHistoryFiles, { fleet: "refused" })).rejects.toThrow();
    await write("refused");
    await expect(linesOf("refused", "evaluationhistory.csv")).resolves.toHaveLength(20_001);
  });
});

describe("tuningjobhistory.csv", () => {
  test("has the columns of the notebooks first, and a row for each search that has ended", async () => {
    const fleet = "searches";
    const { ledger } = parts();
    await aCycle(fleet, "2013-07-01");
    await ledger.query(
      "insert into customers (fleet, cycle, customer_key, customer, state) values ($1, '2013-07-01', 'a', 'A', 'trained')",
      [fleet],
    );
    const search = (round: number, endedAt: string | null) =>
      ledger.query(
        `insert into tuning_jobs (fleet, cycle, customer_key, round, work_hash, tuning_job_name, account, region, testing,
                                  strategy, objective_metric, objective_direction, max_jobs, parallel, ranges,
                                  static_hyperparameters, code_hash, image, warm_start_type, parents, warm_start_because,
                                  reasons, status, best_training_job_name, best_value, ended_at)
         values ($1, '2013-07-01', 'a', $2, 'hash', 'mf-search-' || $2::int, '111111111111', 'us-east-1', false, 'Bayesian',
                 'validation:rmse', 'minimize', 8, 2, '[]', '{}', 'code', 'image', 'TransferLearning',
                 '["mf-older", "mf-oldest"]', 'newest first', '[]', 'Completed', 'mf-search-003', 9.5, $3)`,
        [fleet, round, endedAt],
      );
    await search(0, "2013-07-01T03:00:00Z");
    await search(1, null);
    await write(fleet);
    await expect(linesOf(fleet, "tuningjobhistory.csv")).resolves.toEqual([
      "datetime,tuningjob,metric,layer,objective,eval_metric,eval_metric_value,trainingjobcount," +
        "customer,cycle,testing,status,direction,best_training_job,warm_start_type,parents,warm_start_because",
      "2013/07/01 03:00:00,mf-search-0,target,searches,reg:squarederror,validation:rmse,9.5,8," +
        "A,2013-07-01,False,Completed,minimize,mf-search-003,TransferLearning,mf-older mf-oldest,newest first",
    ]);
  });
});
