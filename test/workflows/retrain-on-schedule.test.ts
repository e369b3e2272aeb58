/** What a schedule starts: one cycle for the time it was due, however late, and never a second time. */
import { type ScheduleHandle, WorkflowNotFoundError } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { expect, onTestFinished, test } from "vitest";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { scheduleId, workflowIds, WORKFLOWS } from "../../workflows/messages.js";
import { attributeKeys } from "../../workflows/search-attributes.js";
import { aFleetSpec, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes, jobNameOf } from "./fakes.js";

const temporal = useTemporal();

const DUE = "2013-05-01T03:00:00Z";
const CYCLE = "2013-05-01t0300";

interface Scheduled {
  readonly spec: FleetSpec;
  readonly fakes: Fakes;
  readonly taskQueue: string;
  readonly schedule: ScheduleHandle;
  /** Makes up for the times from `due` to `last`. */
  backfill(due?: string, last?: string): Promise<void>;
  /** What the schedule's workflow for a time came to, once it has started and ended. */
  outcome(due?: string): Promise<unknown>;
  /** The cycle as `modelfleet run` starts it. */
  run(at?: string): Promise<unknown>;
}

async function aSchedule(choices: FakeChoices = {}, jitter = 0): Promise<Scheduled> {
  const spec = aFleetSpec();
  const client = temporal.client();
  const fakes: Fakes = createFakes(client, () => worker.taskQueue, {
    shards: [["a"]],
    decision: "keep-champion",
    ...choices,
  });
  const worker = await temporal.worker(fakes.activities, { warehouse: true });
  const { taskQueue } = worker;
  const schedule = await client.schedule.create({
    scheduleId: scheduleId(spec.name),
    spec: { calendars: [{ dayOfMonth: 1, hour: 3 }], jitter },
    state: { paused: true },
    action: {
      type: "startWorkflow",
      workflowType: WORKFLOWS.retrainOnSchedule,
      workflowId: workflowIds.retrainOnSchedule(spec.name),
      taskQueue,
      args: [{ spec, pace: testPace }],
    },
  });
  onTestFinished(() => schedule.delete());
  const idOf = (due: string) => `${workflowIds.retrainOnSchedule(spec.name)}-${due}`;
  const started = async (due: string) => {
    try {
      return (await client.workflow.getHandle(idOf(due)).describe()).runId;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  };
  return {
    spec,
    fakes,
    taskQueue,
    schedule,
    backfill: async (due = DUE, last = due) => {
      const end = new Date(new Date(last).getTime() + jitter + 2000);
      await schedule.backfill({ start: new Date(due), end, overlap: "BUFFER_ALL" });
    },
    outcome: async (due = DUE) => {
      await expect.poll(() => started(due), { timeout: 20_000 }).toBeDefined();
      const outcome: unknown = await client.workflow.getHandle(idOf(due)).result();
      return outcome;
    },
    run: async (at = DUE) => {
      const handle = await client.workflow.start("retrainFleet", {
        taskQueue,
        workflowId: workflowIds.retrainFleet(spec.name, CYCLE),
        args: [{ spec, at, pace: testPace }],
        workflowIdReusePolicy: "ALLOW_DUPLICATE_FAILED_ONLY",
      });
      const report: unknown = await handle.result();
      return report;
    },
  };
}

test("the cycle has the id and the window of the time it was due, jitter or not", async () => {
  const scheduled = await aSchedule({}, 60 * 60 * 1000);
  await scheduled.backfill();

  expect(await scheduled.outcome()).toMatchObject({ kind: "ran", report: { cycle: CYCLE } });
  temporal.keep(
    "retrain-on-schedule-ran",
    `${workflowIds.retrainOnSchedule(scheduled.spec.name)}-${DUE}`,
  );
  expect(scheduled.fakes.named("openCycle")).toMatchObject([
    {
      cycle: CYCLE,
      window: { floor: "2012-11-01T03:00:00.000Z", ceiling: "2013-05-01T03:00:00.000Z" },
      workflowId: workflowIds.retrainFleet(scheduled.spec.name, CYCLE),
      force: false,
    },
  ]);
  const handle = temporal
    .client()
    .workflow.getHandle(`${workflowIds.retrainOnSchedule(scheduled.spec.name)}-${DUE}`);
  const { typedSearchAttributes } = await handle.describe();
  expect(typedSearchAttributes.get(attributeKeys.fleet)).toBe(scheduled.spec.name);
  expect(typedSearchAttributes.get(attributeKeys.cycle)).toBe(CYCLE);
});

test("cycles that are backfilled run one after the other, oldest first", async () => {
  const scheduled = await aSchedule();
  await scheduled.backfill(DUE, "2013-07-01T03:00:00Z");
  await scheduled.outcome("2013-07-01T03:00:00Z");

  const steps = scheduled.fakes.calls.filter(({ name }) => /^(open|close)Cycle$/.test(name));
  expect(steps.map(({ name, input }) => [name, (input as { cycle: string }).cycle])).toEqual(
    ["2013-05-01t0300", "2013-06-01t0300", "2013-07-01t0300"].flatMap((cycle) => [
      ["openCycle", cycle],
      ["closeCycle", cycle],
    ]),
  );
});

test("a cycle that was run by hand is not run again by the schedule", async () => {
  const scheduled = await aSchedule();
  await scheduled.run();
  await scheduled.backfill();

  expect(await scheduled.outcome()).toEqual({
    kind: "found",
    fleet: scheduled.spec.name,
    cycle: CYCLE,
  });
  temporal.keep(
    "retrain-on-schedule-found",
    `${workflowIds.retrainOnSchedule(scheduled.spec.name)}-${DUE}`,
  );
  expect(scheduled.fakes.named("openCycle")).toHaveLength(1);
});

test("a cycle that runs is left to run", async () => {
  const scheduled = await aSchedule({ job: () => "running" });
  const byHand = scheduled.run();
  await scheduled.fakes.called("startTrainingJob");
  await scheduled.backfill();

  expect(await scheduled.outcome()).toMatchObject({ kind: "found" });
  await scheduled.fakes.endJob(jobNameOf("a"));
  expect(await byHand).toMatchObject({ cycle: CYCLE, championKept: 1 });
});

test("a cycle that failed is run again, and its reason is that of the schedule's workflow", async () => {
  let attempts = 0;
  const scheduled = await aSchedule({
    activities: {
      openCycle: async () => {
        if (++attempts === 1)
          throw ApplicationFailure.nonRetryable("account 1 is not 2", "AccountMismatch");
        return { specHash: "0".repeat(64) };
      },
    },
  });
  await scheduled.backfill();
  await expect(scheduled.outcome()).rejects.toMatchObject({
    cause: { type: "AccountMismatch", message: "account 1 is not 2" },
  });
  await scheduled.backfill("2013-05-01T03:00:00Z");
  await scheduled.fakes.called("closeCycle", 2);

  expect(await scheduled.outcome()).toMatchObject({ kind: "ran", report: { cycle: CYCLE } });
});

test("whoever cancels the schedule's workflow cancels the cycle and its jobs", async () => {
  const scheduled = await aSchedule({ job: () => "running" });
  await scheduled.backfill();
  await scheduled.fakes.called("startTrainingJob");
  const id = `${workflowIds.retrainOnSchedule(scheduled.spec.name)}-${DUE}`;
  await temporal.client().workflow.getHandle(id).cancel();

  await expect(scheduled.outcome()).rejects.toThrow(/cancelled/i);
  expect(scheduled.fakes.named("closeCycle")).toMatchObject([{ state: "cancelled" }]);
  expect(scheduled.fakes.running.size).toBe(0);
});

test("a trigger starts a cycle for this minute", async () => {
  const scheduled = await aSchedule();
  const before = new Date();
  await scheduled.schedule.trigger("SKIP");
  await scheduled.fakes.called("closeCycle");

  const minutes = [before, new Date()].map((time) => time.toISOString().slice(0, 16));
  const [opened] = scheduled.fakes.named("openCycle") as { window: { ceiling: string } }[];
  expect(minutes).toContain(opened?.window.ceiling.slice(0, 16));
});
