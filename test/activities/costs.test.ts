/** What jobs cost, from SageMaker's answers to the ledger, and the budget that stops further ones. */
import { SageMakerClient, StopTrainingJobCommand } from "@aws-sdk/client-sagemaker";
import { describe, expect, test } from "vitest";
import { createCycleActivities } from "../../activities/cycles.js";
import { createEvaluationActivities } from "../../activities/evaluation.js";
import { settleCosts } from "../../activities/job-cost.js";
import { recordSearchCost } from "../../activities/ledger/costs.js";
import { createNotificationActivities } from "../../activities/notifications.js";
import { createTrainingActivities } from "../../activities/training.js";
import { describeJob } from "../../activities/describe-job.js";
import { aFleet, CYCLE, openCycle } from "./a-fleet.js";
import { noopFleet, plannedCycle, type NoopFleetOptions } from "./noop-fleet.js";
import { run, useParts } from "./parts.js";

const parts = useParts(19880);

const training = (sagemaker: SageMakerClient = parts().sagemaker) =>
  createTrainingActivities({ ...parts(), sagemaker, watchSeconds: 0.05 });

/** The real parts, but for what SageMaker says of a training job: invented durations. */
function inventing(told: object): SageMakerClient {
  const { sagemaker } = parts();
  const send = async (command: { readonly input: object }) => {
    const answer: object = await sagemaker.send(command as never);
    return "TrainingJobStatus" in answer ? { ...answer, ...told } : answer;
  };
  return Object.assign(Object.create(sagemaker) as SageMakerClient, { send });
}

interface Place {
  readonly fleet: string;
  readonly cycle: string;
}

const start = ({ fleet, cycle }: Place, customerKey = "site-1", round = 0) =>
  run(training().startTrainingJob, { fleet, cycle, customerKey, round });

const ended = (name: string) =>
  expect
    .poll(async () => (await describeJob(parts().sagemaker, name))?.TrainingJobStatus)
    .toBe("Completed");

const costsOf = async (fleet: string) =>
  (
    await parts().ledger.query<Record<string, unknown>>(
      "select * from costs where fleet = $1 order by job_name",
      [fleet],
    )
  ).rows;

/** A job of the customer that ended after so many billed seconds. */
async function spend(place: Place, billableSeconds: number, customerKey = "site-1") {
  const { trainingJobName } = await start(place, customerKey);
  await ended(trainingJobName);
  const sagemaker = inventing({ BillableTimeInSeconds: billableSeconds });
  await run(training(sagemaker).findEndedJob, { trainingJobName });
  return trainingJobName;
}

describe("a training job's cost", () => {
  test("is its billable seconds by the price of its instances, in one row however often it is read", async () => {
    const cycle = await plannedCycle(parts(), { name: "read-twice" });
    const { trainingJobName } = await start(cycle);
    await ended(trainingJobName);
    const sagemaker = inventing({ BillableTimeInSeconds: 3600 });
    const evaluation = createEvaluationActivities({ ...parts(), sagemaker });
    await run(evaluation.evaluateModel, {
      ...{ fleet: cycle.fleet, cycle: CYCLE, customerKey: "site-1" },
      trainingJobName,
    });
    await run(training(sagemaker).findEndedJob, { trainingJobName });
    expect(await costsOf("read-twice")).toMatchObject([
      {
        ...{ job_name: trainingJobName, customer_key: "site-1", kind: "training", instances: 1 },
        ...{
          instance_type: "ml.m5.large",
          billable_seconds: 3600,
          usd_per_hour: 0.115,
          usd: 0.115,
        },
        price_source: "list price of us-east-1, 2025",
      },
    ]);
  });

  test("counts the time that its instances were kept for the next one, once that is over", async () => {
    const cycle = await plannedCycle(parts(), {
      name: "kept-warm",
      training: { keepAliveSeconds: 60 },
    });
    const { trainingJobName } = await start(cycle);
    await ended(trainingJobName);
    const pool = (Status: string, seconds: number) =>
      inventing({
        BillableTimeInSeconds: 100,
        WarmPoolStatus: { Status, ResourceRetainedBillableTimeInSeconds: seconds },
      });
    await run(training(pool("Available", 0)).findEndedJob, { trainingJobName });
    expect(await costsOf("kept-warm")).toMatchObject([
      { warm_pool_open: true, warm_pool_seconds: 0 },
    ]);
    const { account, region, ledger } = parts();
    const later = { ledger, sagemaker: pool("Terminated", 60) };
    await settleCosts(later, { account, region });
    expect(await costsOf("kept-warm"), "not before it can be over").toMatchObject([
      { warm_pool_open: true },
    ]);
    await ledger.query("update jobs set ended_at = now() - interval '3 minutes' where fleet = $1", [
      "kept-warm",
    ]);
    await settleCosts(later, { account, region });
    const [row] = await costsOf("kept-warm");
    expect(row).toMatchObject({ warm_pool_open: false, warm_pool_seconds: 60 });
    expect(row?.usd).toBeCloseTo((160 / 3600) * 0.115, 9);
  });

  test("of a stopped one, which nobody asks about, is read by the watcher", async () => {
    const cycle = await plannedCycle(parts(), { name: "stopped" });
    const { trainingJobName } = await start(cycle);
    await parts()
      .sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: trainingJobName }))
      .catch(() => undefined);
    await parts().ledger.query(
      "update jobs set state = 'ended', status = 'Stopped', ended_at = now() - interval '3 minutes' where fleet = 'stopped'",
    );
    const { account, region, ledger } = parts();
    const sagemaker = inventing({ TrainingJobStatus: "Stopped", BillableTimeInSeconds: 36 });
    await expect
      .poll(async () => {
        await settleCosts({ ledger, sagemaker }, { account, region });
        return costsOf("stopped");
      })
      .toMatchObject([{ billable_seconds: 36 }]);
  });

  test("is missing, not guessed, where the price is not known; and is the fleet file's where that gives one", async () => {
    const instanceType = "ml.p5.48xlarge";
    const unknown = await plannedCycle(parts(), { name: "no-price", training: { instanceType } });
    await spend(unknown, 100);
    expect(await costsOf("no-price")).toMatchObject([
      { instance_type: instanceType, billable_seconds: 100, usd_per_hour: null, usd: null },
    ]);
  });

  test("of a search is that of all its training jobs, in one row", async () => {
    const cycle = await plannedCycle(parts(), { name: "searched" });
    const { ledger, account, region } = parts();
    await ledger.query(
      `insert into jobs (job_name, account, region, kind, fleet, cycle, customer_key, round, request_hash, request,
                         workflow_id, state)
       values ('search', $1, $2, 'tuning', 'searched', $3, 'site-1', 0, 'hash', $4, 'w', 'ended')`,
      [
        ...[account, region, cycle.cycle],
        { TrainingJobDefinition: { ResourceConfig: { InstanceType: "ml.m5.xlarge" } } },
      ],
    );
    await ledger.query(
      `insert into tuning_jobs (fleet, cycle, customer_key, round, work_hash, tuning_job_name, account, region, testing,
                                strategy, objective_metric, objective_direction, max_jobs, parallel, ranges,
                                static_hyperparameters, code_hash, image, parents, warm_start_because, reasons)
       values ('searched', $3, 'site-1', 0, 'work', 'search', $1, $2, false, 'Bayesian', 'm', 'minimize', 2, 1, '{}', '{}',
               'code', 'image', '[]', 'none', '[]')`,
      [account, region, cycle.cycle],
    );
    await ledger.query(
      `insert into tuning_trials (tuning_job_name, training_job_name, status, hyperparameters, started_at, ended_at)
       select 'search', 'trial-' || n, 'Completed', '{}', now(), now() + n * interval '100 s' from generate_series(1, 2) n`,
    );
    await recordSearchCost(ledger, "search");
    await recordSearchCost(ledger, "search");
    const [row, ...more] = await costsOf("searched");
    expect(row).toMatchObject({ kind: "tuning", training_jobs: 2, billable_seconds: 300 });
    expect(row?.usd).toBeCloseTo((300 / 3600) * 0.23, 9);
    expect(more).toEqual([]);
  });
});

describe("a planned cycle", () => {
  test("keeps what it was thought to come to", async () => {
    const cycle = await plannedCycle(parts(), { name: "planned", customers: 3 });
    const read = async () =>
      (
        await parts().ledger.query<{ estimate: object }>(
          "select estimate from cycles where fleet = 'planned'",
        )
      ).rows[0]?.estimate;
    // Three jobs of two minutes, as long as none has run.
    expect(await read()).toEqual({ usd: 0.01, trainingJobs: 3 });
    await spend(cycle, 3600);
    const cycles = createCycleActivities(parts());
    await run(cycles.planCycle, { fleet: "planned", cycle: CYCLE, shardSize: 250, force: false });
    expect(await read(), "what was spent before comes on top").toMatchObject({ trainingJobs: 3 });
  });
});

describe("a budget", () => {
  const budgeted = async (o: NoopFleetOptions & { perCycleUsd: number }) => {
    const { perCycleUsd, ...options } = o;
    const cycle = await plannedCycle(parts(), options);
    const spec = { ...cycle.spec, budget: { perCycleUsd } };
    await parts().ledger.query(
      `with spec as (insert into fleet_specs (fleet, spec_hash, spec) values ($1, $2, $3) on conflict do nothing)
       update cycles set spec_hash = $2 where fleet = $1`,
      [cycle.fleet, `budget-${cycle.fleet}`, JSON.stringify(spec)],
    );
    return { ...cycle, spec };
  };
  const states = async (fleet: string) =>
    (
      await parts().ledger.query<Record<string, string>>(
        "select customer_key, state, error_type, reason from customers where fleet = $1 order by customer_key",
        [fleet],
      )
    ).rows;

  test("starts no further job when what was spent leaves no room, and skips the rest with the reason", async () => {
    // An hour costs $0.115: the first job uses it up.
    const cycle = await budgeted({ name: "used-up", customers: 3, perCycleUsd: 0.12 });
    await spend(cycle, 3600);
    await expect(start(cycle, "site-2")).rejects.toMatchObject({
      type: "BudgetExceeded",
      nonRetryable: true,
      message: expect.stringMatching(
        /^budget\.perCycleUsd allows \$0\.12: \$0\.12 are spent, what runs comes to about \$0\.00/,
      ) as unknown,
    });
    expect(await states("used-up")).toMatchObject([
      { customer_key: "site-1", state: "training" },
      { customer_key: "site-2", state: "skipped", error_type: "BudgetExceeded" },
      { customer_key: "site-3", state: "skipped", error_type: "BudgetExceeded" },
    ]);
  });

  test("counts what runs as long as earlier jobs took, and lets one of two that ask at once pass", async () => {
    const cycle = await budgeted({
      name: "at-once",
      customers: 3,
      perCycleUsd: 0.12 + 0.115 * 0.5,
    });
    await parts().ledger.query(
      `insert into costs (job_name, fleet, cycle, customer_key, kind, region, instance_type, instances, billable_seconds)
       values ('before', 'at-once', $1, 'site-9', 'training', 'us-east-1', 'ml.m5.large', 1, 3600)`,
      [cycle.cycle],
    );
    const asked = await Promise.allSettled([start(cycle, "site-2"), start(cycle, "site-3")]);
    expect(asked.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("adopts a job that exists, however much is spent", async () => {
    const cycle = await budgeted({ name: "adopted", customers: 2, perCycleUsd: 0.12 });
    const { trainingJobName } = await start(cycle);
    await ended(trainingJobName);
    await run(training(inventing({ BillableTimeInSeconds: 36_000 })).findEndedJob, {
      trainingJobName,
    });
    await expect(start(cycle)).resolves.toMatchObject({ trainingJobName });
    await expect(start(cycle, "site-2")).rejects.toMatchObject({ type: "BudgetExceeded" });
  });

  test("lets an attempt go on that was admitted before and died, although the budget is closed now", async () => {
    const cycle = await budgeted({ name: "half-way", customers: 2, perCycleUsd: 0.12 });
    const { trainingJobName } = await start(cycle, "site-1");
    await ended(trainingJobName);
    await parts().ledger.query("update jobs set state = 'admitted' where job_name = $1", [
      trainingJobName,
    ]);
    await parts().ledger.query("update cycles set over_budget = 'closed' where fleet = 'half-way'");
    await expect(start(cycle, "site-1")).resolves.toMatchObject({ trainingJobName });
    await expect(start(cycle, "site-2")).rejects.toMatchObject({ message: "closed" });
  });

  test("that was raised trains the rest when the cycle is run again", async () => {
    const cycle = await budgeted({ name: "raised", customers: 2, perCycleUsd: 0.12 });
    await spend(cycle, 3600);
    await expect(start(cycle, "site-2")).rejects.toMatchObject({ type: "BudgetExceeded" });
    const { rows } = await parts().ledger.query<{ over_budget: string }>(
      "select over_budget from cycles where fleet = 'raised'",
    );
    expect(rows[0]?.over_budget).toContain("allows $0.12");

    const spec = { ...cycle.spec, budget: { perCycleUsd: 1 } };
    await openCycle(parts(), spec);
    const cycles = createCycleActivities(parts());
    const planned = { fleet: "raised", cycle: CYCLE, shardSize: 250, force: false };
    await run(cycles.planCycle, planned);
    await expect(start(cycle, "site-2")).resolves.toMatchObject({
      trainingJobName: expect.any(String) as unknown,
    });
  });

  test("over instances without a price is refused when the cycle is opened, before anything is recorded", async () => {
    const spec = {
      ...noopFleet({ name: "unpriced", training: { instanceType: "ml.p5.48xlarge" } }),
      budget: { perCycleUsd: 10 },
    };
    await expect(openCycle(parts(), spec)).rejects.toMatchObject({
      message: expect.stringContaining("training.instanceType ml.p5.48xlarge") as unknown,
    });
    const { rowCount } = await parts().ledger.query("select from cycles where fleet = 'unpriced'");
    expect(rowCount).toBe(0);
    await openCycle(parts(), { ...spec, prices: { "ml.p5.48xlarge": 98 } });
  });

  test("that is reached is told once a run of the cycle", async () => {
    const { createServer } = await import("node:http");
    const told: string[] = [];
    const server = createServer((request, response) => {
      request.on("data", (chunk: Buffer) => told.push(chunk.toString()));
      request.on("end", () => response.end());
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    try {
      const spec = aFleet({ name: "told" });
      await openCycle(parts(), spec);
      const secret = () => Promise.resolve(`http://127.0.0.1:${port}/`);
      const notifications = createNotificationActivities({ ...parts(), secret });
      const input = { fleet: "told", cycle: CYCLE, because: "too dear", webhook: "HOOK" };
      await run(notifications.notifyOverBudget, input);
      await run(notifications.notifyOverBudget, input);
      expect(told).toEqual([expect.stringContaining("its budget is reached") as unknown]);
      await openCycle(parts(), spec);
      await run(notifications.notifyOverBudget, input);
      expect(told).toHaveLength(2);
    } finally {
      server.close();
    }
  });
});
