/** A whole cycle with its shards and customers, and what happens to it when parts fail. */
import { type WorkflowHandle, WorkflowFailedError } from "@temporalio/client";
import { ApplicationFailure, CancelledFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { cycleStatus, type RetrainFleetInput, workflowIds } from "../../workflows/messages.js";
import { attributeKeys } from "../../workflows/search-attributes.js";
import type { retrainFleet } from "../../workflows/retrain-fleet.js";
import { aFleetSpec, testPace } from "./builders.js";
import { type RunningWorker, useTemporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes, jobNameOf } from "./fakes.js";

const temporal = useTemporal();

const AT = "2013-07-01";

interface Opened {
  readonly spec: FleetSpec;
  readonly fakes: Fakes;
  readonly worker: RunningWorker;
  run(input?: Partial<RetrainFleetInput>): Promise<WorkflowHandle<typeof retrainFleet>>;
}

async function openCycle(
  choices: FakeChoices = {},
  changes: Partial<FleetSpec> = {},
): Promise<Opened> {
  const spec = aFleetSpec(changes);
  const fakes: Fakes = createFakes(temporal.client(), () => worker.taskQueue, choices);
  const worker = await temporal.worker(fakes.activities, { warehouse: true });
  const run = (input: Partial<RetrainFleetInput> = {}) =>
    temporal.client().workflow.start<typeof retrainFleet>("retrainFleet", {
      taskQueue: worker.taskQueue,
      workflowId: workflowIds.retrainFleet(spec.name, AT),
      args: [{ spec, at: AT, pace: testPace, ...input }],
    });
  return { spec, fakes, worker, run };
}

async function failureOf(
  handle: WorkflowHandle<typeof retrainFleet>,
): Promise<{ type: string; message: string }> {
  const error: unknown = await handle.result().catch((caught: unknown) => caught);
  if (!(error instanceof WorkflowFailedError) || !(error.cause instanceof ApplicationFailure))
    throw new Error("the workflow did not fail with an ApplicationFailure", { cause: error });
  return { type: error.cause.type ?? "", message: error.cause.message };
}

const names = (fakes: Fakes): string[] => fakes.calls.map((call) => call.name);

describe("a cycle", () => {
  test("exports, plans, retrains every customer of every shard, and reports from the ledger", async () => {
    const cycle = await openCycle({ shards: [["a", "b", "c"], ["d"]], decision: "ask" });
    const handle = await cycle.run();
    temporal.keep("retrain-fleet-completed", handle.workflowId);
    temporal.keep("retrain-shard-completed", workflowIds.retrainShard(cycle.spec.name, AT, 0));

    expect(await handle.result()).toEqual({
      fleet: cycle.spec.name,
      cycle: AT,
      customers: 4,
      registered: 4,
      championKept: 0,
      skipped: 0,
      failed: 0,
    });
    expect(names(cycle.fakes).slice(0, 5)).toEqual([
      "openCycle",
      "exportDataset",
      "setCycleState",
      "planCycle",
      "setCycleState",
    ]);
    expect(cycle.fakes.named("openCycle")).toMatchObject([
      {
        cycle: AT,
        window: { floor: "2013-01-01T00:00:00.000Z", ceiling: "2013-07-01T00:00:00.000Z" },
        workflowId: handle.workflowId,
        force: false,
      },
    ]);
    expect(names(cycle.fakes).slice(-2)).toEqual(["closeCycle", "writeHistoryFiles"]);
    expect(cycle.fakes.named("closeCycle")).toMatchObject([{ state: "completed" }]);
  });

  test("can be found and read while it runs", async () => {
    const cycle = await openCycle({
      shards: [["a", "b"]],
      job: (key) => (key === "a" ? { status: "Completed" } : "running"),
      decision: "keep-champion",
    });
    const handle = await cycle.run();
    await cycle.fakes.called("evaluateModel");
    await cycle.fakes.called("startTrainingJob", 2);

    expect(await handle.query(cycleStatus)).toMatchObject({
      phase: "training",
      report: { customers: 2, cycle: AT },
    });
    const { typedSearchAttributes } = await handle.describe();
    expect(typedSearchAttributes.get(attributeKeys.fleet)).toBe(cycle.spec.name);
    expect(typedSearchAttributes.get(attributeKeys.cycle)).toBe(AT);
    await cycle.fakes.endJob(jobNameOf("b"));
    await handle.result();
  });

  test("hears from its shards every few customers", async () => {
    const customers = Array.from({ length: 12 }, (_none, index) => `c${index}`);
    const cycle = await openCycle({
      shards: [customers],
      job: (key) => (key === "c11" ? "running" : { status: "Completed" }),
      decision: "keep-champion",
    });
    const handle = await cycle.run();
    temporal.keep("retrain-shard-progress", workflowIds.retrainShard(cycle.spec.name, AT, 0));
    await cycle.fakes.called("evaluateModel", 11);

    const told = async (): Promise<number> => (await handle.query(cycleStatus)).report.championKept;
    await expect.poll(told, { timeout: 20_000 }).toBe(10);
    await cycle.fakes.endJob(jobNameOf("c11"));
    expect(await handle.result()).toMatchObject({ championKept: 12 });
    expect(await told()).toBe(12);
  });

  test("keeps no more customers in flight than the fleet's concurrency", async () => {
    const customers = (shard: number): string[] =>
      Array.from({ length: 8 }, (_none, index) => `s${shard}c${index}`);
    const cycle = await openCycle(
      { shards: [customers(0), customers(1)], job: () => "running", decision: "keep-champion" },
      { concurrency: 4 },
    );
    const handle = await cycle.run();
    for (let started = 4; started <= 16; started++) {
      await cycle.fakes.called("startTrainingJob", started);
      const [oldest] = cycle.fakes.running;
      await cycle.fakes.endJob(oldest ?? "");
    }
    for (const jobName of cycle.fakes.running) await cycle.fakes.endJob(jobName);

    expect(await handle.result()).toMatchObject({ championKept: 16 });
    expect(cycle.fakes.mostRunning()).toBe(4);
  });

  test("of a schedule takes its id and window from the time it was due", async () => {
    const cycle = await openCycle({ shards: [["a"]], decision: "keep-champion" });
    const { schedule } = temporal.client();
    const handle = await schedule.create({
      scheduleId: cycle.spec.name,
      spec: { calendars: [{ dayOfMonth: 1, hour: 3 }] },
      state: { paused: true },
      action: {
        type: "startWorkflow",
        workflowType: "retrainFleet",
        taskQueue: cycle.worker.taskQueue,
        workflowId: `retrain-fleet/${cycle.spec.name}`,
        args: [{ spec: cycle.spec, pace: testPace }],
      },
    });
    const due = new Date("2013-05-01T03:00:00Z");
    await handle.backfill({ start: due, end: due, overlap: "ALLOW_ALL" });
    await cycle.fakes.called("closeCycle");

    expect(cycle.fakes.named("openCycle")).toMatchObject([
      {
        cycle: "2013-05-01t0300",
        window: { floor: "2012-11-01T03:00:00.000Z", ceiling: "2013-05-01T03:00:00.000Z" },
      },
    ]);
    await handle.delete();
  });

  test("for a time that is none fails at once with the reason", async () => {
    const cycle = await openCycle();
    const handle = await cycle.run({ at: "July" });

    expect(await failureOf(handle)).toMatchObject({
      type: "SpecInvalid",
      message: '"July" is no time',
    });
    expect(cycle.fakes.calls).toEqual([]);
  });
});

describe("customers that fail", () => {
  const failing = (bad: readonly string[]): NonNullable<FakeChoices["job"]> => {
    const failureReason = "AlgorithmError: ValueError: bad";
    return (key) =>
      bad.includes(key) ? { status: "Failed", failureReason } : { status: "Completed" };
  };

  test("leave the others and the cycle alone within the failure budget", async () => {
    const cycle = await openCycle(
      { shards: [["a", "b", "c", "d"]], job: failing(["b"]), decision: "ask" },
      { failureBudget: 0.25 },
    );
    const handle = await cycle.run();
    temporal.keep("retrain-fleet-with-a-failure", handle.workflowId);

    expect(await handle.result()).toMatchObject({ registered: 3, failed: 1 });
  });

  test("fail the cycle past the budget, after all others are done", async () => {
    const cycle = await openCycle(
      { shards: [["a", "b", "c", "d"]], job: failing(["a", "b"]), decision: "ask" },
      { failureBudget: 0.25 },
    );
    const handle = await cycle.run();
    temporal.keep("retrain-fleet-over-budget", handle.workflowId);

    const message = "2 of 4 customers failed (50 %), failureBudget allows 25 %";
    expect(await failureOf(handle)).toEqual({ type: "FailureBudgetExceeded", message });
    expect(cycle.fakes.named("registerModel")).toHaveLength(2);
    expect(cycle.fakes.named("closeCycle")).toMatchObject([{ state: "failed", reason: message }]);
  });

  test("count too when a person cancels just one of them", async () => {
    const cycle = await openCycle(
      { shards: [["a", "b"]], job: (key) => (key === "a" ? "running" : { status: "Completed" }) },
      { failureBudget: 1 },
    );
    const handle = await cycle.run();
    await cycle.fakes.called("startTrainingJob", 2);
    await temporal
      .client()
      .workflow.getHandle(workflowIds.retrainModel(cycle.spec.name, "a", AT))
      .cancel();

    expect(await handle.result()).toMatchObject({ registered: 1, failed: 1 });
  });
});

describe("a budget that is reached", () => {
  const because = "budget.perCycleUsd allows $1.00";
  const refusing = (refused: readonly string[]): NonNullable<FakeChoices["activities"]> => ({
    startTrainingJob: async ({ customerKey }) => {
      if (refused.includes(customerKey))
        throw ApplicationFailure.nonRetryable(because, "BudgetExceeded");
      const trainingJobName = jobNameOf(customerKey);
      return { trainingJobName, ended: { jobName: trainingJobName, status: "Completed" } };
    },
  });

  test("keeps what is made, begins with nobody else, and is told as the cycle's end", async () => {
    const cycle = await openCycle(
      { shards: [["a", "b", "c", "d"]], decision: "ask", activities: refusing(["b", "c", "d"]) },
      { concurrency: 1, approval: { onExpiry: "deny", webhook: "SLACK" } },
    );
    const handle = await cycle.run();
    temporal.keep("retrain-fleet-budget-reached", handle.workflowId);

    const message = `3 of 4 customers not begun with: ${because}`;
    expect(await failureOf(handle)).toEqual({ type: "BudgetExceeded", message });
    expect(cycle.fakes.named("startTrainingJob")).toHaveLength(2);
    expect(cycle.fakes.named("registerModel")).toHaveLength(1);
    // Nothing runs for them, and nothing of them failed.
    expect(cycle.fakes.named("stopTrainingJob")).toEqual([]);
    expect(cycle.fakes.named("recordFailure")).toEqual([]);
    expect(cycle.fakes.named("closeCycle")).toMatchObject([{ state: "failed", reason: message }]);
    expect(cycle.fakes.named("notifyOverBudget")).toMatchObject([
      { cycle: AT, because: message, webhook: "SLACK" },
    ]);
    expect(await handle.query(cycleStatus)).toMatchObject({
      report: { customers: 4, registered: 1, skipped: 3, failed: 0 },
    });
  });
});

describe("an export that fails", () => {
  test("ends the cycle with the reason, in the ledger and as the run's failure", async () => {
    const message = 'column "arr_dely" does not exist';
    const cycle = await openCycle({
      activities: {
        exportDataset: async () => {
          throw ApplicationFailure.nonRetryable(message, "QueryInvalid");
        },
      },
    });
    const handle = await cycle.run();
    temporal.keep("retrain-fleet-query-invalid", handle.workflowId);

    expect(await failureOf(handle)).toEqual({ type: "QueryInvalid", message });
    expect(cycle.fakes.named("closeCycle")).toMatchObject([{ state: "failed", reason: message }]);
    expect(cycle.fakes.named("planCycle")).toEqual([]);
  });

  test("leaves the files of the fleet's history complete all the same", async () => {
    const cycle = await openCycle({
      activities: {
        exportDataset: async () => {
          throw ApplicationFailure.nonRetryable("no rows", "NoRows");
        },
        writeHistoryFiles: async () => {
          throw ApplicationFailure.nonRetryable("the bucket is gone", "AccessDenied");
        },
      },
    });
    const handle = await cycle.run();

    // A bucket that is gone as well does not hide why the cycle failed.
    expect(await failureOf(handle)).toEqual({ type: "NoRows", message: "no rows" });
    expect(cycle.fakes.named("writeHistoryFiles")).toEqual([{ fleet: cycle.spec.name }]);
  });

  test("for want of the warehouse is tried ten times, and then told", async () => {
    const message = "the warehouse at db:5432 refuses connections";
    const cycle = await openCycle({
      activities: {
        exportDataset: async () => {
          // The worker's own back-off takes three minutes: too long for a test.
          throw ApplicationFailure.create({
            type: "WarehouseUnreachable",
            message,
            nextRetryDelay: 5,
          });
        },
      },
    });
    const handle = await cycle.run();

    expect(await failureOf(handle)).toEqual({ type: "WarehouseUnreachable", message });
    expect(cycle.fakes.named("exportDataset")).toHaveLength(10);
  });
});

describe("cancelled", () => {
  test("a cycle stops the jobs that run, begins no others, and says so in the ledger", async () => {
    const cycle = await openCycle(
      { shards: [["a", "b", "c"]], job: () => "running" },
      { concurrency: 2 },
    );
    const handle = await cycle.run();
    temporal.keep("retrain-fleet-cancelled", handle.workflowId);
    temporal.keep("retrain-shard-cancelled", workflowIds.retrainShard(cycle.spec.name, AT, 0));
    await cycle.fakes.called("startTrainingJob", 2);
    await handle.cancel();

    await expect(handle.result()).rejects.toMatchObject({
      cause: expect.any(CancelledFailure) as unknown,
    });
    expect(cycle.fakes.named("stopTrainingJob")).toHaveLength(2);
    expect(cycle.fakes.named("startTrainingJob")).toHaveLength(2);
    expect(cycle.fakes.running.size).toBe(0);
    expect(cycle.fakes.named("closeCycle")).toMatchObject([{ state: "cancelled" }]);
  });

  test("a cycle can be run again at once, and trains what the first run left", async () => {
    let calm = false;
    const cycle = await openCycle({
      shards: [["a", "b"]],
      job: () => (calm ? { status: "Completed" } : "running"),
      decision: "keep-champion",
    });
    const first = await cycle.run();
    await cycle.fakes.called("startTrainingJob", 2);
    await first.terminate("an operator was in a hurry");
    calm = true;
    const second = await cycle.run();

    expect(await second.result()).toMatchObject({ championKept: 2 });
    expect(cycle.fakes.named("evaluateModel")).toMatchObject([
      { trainingJobName: expect.stringMatching(/-1$/) as unknown },
      { trainingJobName: expect.stringMatching(/-1$/) as unknown },
    ]);
  });
});

test("a worker that dies in the middle is replaced, and no job is started twice", async () => {
  const customers = Array.from({ length: 10 }, (_none, index) => `c${index}`);
  const cycle = await openCycle({ shards: [customers], job: () => "running", decision: "ask" });
  const handle = await cycle.run();
  await cycle.fakes.called("startTrainingJob", 5);
  await cycle.worker.stop();
  for (const jobName of [...cycle.fakes.running]) await cycle.fakes.endJob(jobName);

  // The second worker knows nothing but what Temporal and the account hold.
  await temporal.worker(cycle.fakes.activities, {
    taskQueue: cycle.worker.taskQueue,
    warehouse: true,
  });
  await cycle.fakes.called("startTrainingJob", 10);
  for (const jobName of [...cycle.fakes.running]) await cycle.fakes.endJob(jobName);

  expect(await handle.result()).toMatchObject({ registered: 10, failed: 0 });
  expect(cycle.fakes.created()).toHaveLength(10);
});
