/** A look for drift: who has drifted is retrained by a cycle of its own, and nobody by one that only looks. */
import { describe, expect, onTestFinished, test } from "vitest";
import { ApplicationFailure } from "@temporalio/common";
import type { createDriftActivities, createDriftRunActivities } from "../../activities/drift.js";
import { approvalSchema } from "../../fleet/approval.schema.js";
import { driftSchema } from "../../fleet/drift.schema.js";
import { daily } from "../../fleet/schedule.js";
import { COHORT_KEY } from "../../fleet/names.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { driftScheduleId, workflowIds, WORKFLOWS } from "../../workflows/messages.js";
import { aFleetSpec, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes, jobNameOf } from "./fakes.js";

const temporal = useTemporal();

type Drift = ReturnType<typeof createDriftActivities> & ReturnType<typeof createDriftRunActivities>;

const AT = "2013-07-01T00:00:00.000Z";
const counts = (retrain: number) => ({ customers: 9, compared: 8, scored: 0, drifted: 3, retrain });

interface Course {
  readonly retrain: number;
  readonly spec?: Partial<FleetSpec>;
  readonly fakes?: FakeChoices;
  readonly drift?: Partial<Drift>;
}

async function aWatch({ retrain, spec: changes = {}, fakes: choices = {}, drift = {} }: Course) {
  const spec: FleetSpec = {
    ...aFleetSpec(),
    drift: driftSchema.parse({ schedule: daily({ at: "05:00" }), error: { ratio: 1.5 } }),
    ...changes,
  };
  const asked: string[] = [];
  const noted: { name: string; input: unknown }[] = [];
  const note = (name: string) => async (input: unknown) => {
    asked.push(name);
    noted.push({ name, input });
    return counts(retrain);
  };
  const looks: Drift = {
    openDriftRun: async (input) => void (await note("openDriftRun")(input)),
    compareWindows: note("compareWindows"),
    scoreChampions: note("scoreChampions"),
    decideDrift: note("decideDrift"),
    closeDriftRun: note("closeDriftRun"),
    ...drift,
  };
  const client = temporal.client();
  const fakes: Fakes = createFakes(client, () => worker.taskQueue, {
    shards: [["a"]],
    decision: "keep-champion",
    ...choices,
  });
  const worker = await temporal.worker({ ...fakes.activities, ...looks }, { warehouse: true });
  const workflowId = workflowIds.watchDrift(spec.name, "drift");
  const watch = async (o: { dryRun?: boolean } = {}) => {
    const handle = await client.workflow.start("watchDrift", {
      taskQueue: worker.taskQueue,
      workflowId,
      args: [{ spec, at: AT, pace: testPace, ...o }],
    });
    const report: unknown = await handle.result();
    return report;
  };
  return { spec, fakes, asked, noted, watch, workflowId, taskQueue: worker.taskQueue };
}

test("compares, asks models, decides, and retrains by a cycle of its own, marked with its cause", async () => {
  const { spec, fakes, asked, watch, workflowId } = await aWatch({ retrain: 1 });
  expect(await watch()).toEqual({
    fleet: spec.name,
    run: "2013-07-01-drift",
    ...counts(1),
    cycle: "2013-07-01-drift",
  });
  expect(asked).toEqual([
    "openDriftRun",
    "compareWindows",
    "scoreChampions",
    "decideDrift",
    "closeDriftRun",
  ]);
  expect(fakes.named("openCycle")).toMatchObject([
    { cycle: "2013-07-01-drift", cause: "drift", force: false },
  ]);
  expect(fakes.named("closeCycle")).toMatchObject([{ state: "completed" }]);
  temporal.keep("watch-drift-retrained", workflowId);
});

describe("people", () => {
  const approval = approvalSchema.parse({ webhook: "HOOK" });

  test("are told once of a run that retrains", async () => {
    const { spec, fakes, watch } = await aWatch({ retrain: 1, spec: { approval } });
    expect(await watch()).toMatchObject({ cycle: "2013-07-01-drift" });
    expect(fakes.named("notifyDrift")).toEqual([
      { fleet: spec.name, run: "2013-07-01-drift", webhook: "HOOK" },
    ]);
  });

  test.each([
    ["nobody is retrained", { retrain: 0, spec: { approval } }, {}],
    ["it only looks", { retrain: 1, spec: { approval } }, { dryRun: true }],
    ["the fleet has no webhook", { retrain: 1 }, {}],
  ])("are not told when %s", async (_why, course, flags) => {
    const { fakes, watch } = await aWatch(course);
    await watch(flags);
    expect(fakes.named("notifyDrift")).toEqual([]);
  });

  test("who cannot be told keep nobody from being retrained: the page tells", async () => {
    const notifyDrift = () =>
      Promise.reject(ApplicationFailure.nonRetryable("the webhook HOOK answered 404"));
    const { fakes, watch, workflowId } = await aWatch({
      retrain: 1,
      spec: { approval },
      fakes: { activities: { notifyDrift } },
    });
    expect(await watch()).toMatchObject({ cycle: "2013-07-01-drift" });
    expect(fakes.named("closeCycle")).toMatchObject([{ state: "completed" }]);
    const handle = temporal.client().workflow.getHandle(workflowId);
    expect(JSON.stringify(await handle.query<unknown>("__temporal_workflow_metadata"))).toContain(
      "The message about it was not sent: the webhook HOOK answered 404",
    );
  });
});

test("one that only looks starts no cycle, and has an id of its own", async () => {
  const { fakes, watch } = await aWatch({ retrain: 2 });
  expect(await watch({ dryRun: true })).toMatchObject({
    run: "2013-07-01-drift-look",
    retrain: 2,
    cycle: null,
  });
  expect(fakes.named("openCycle")).toEqual([]);
});

test("without drift, and without an error to watch, neither model is asked nor cycle started", async () => {
  const drift = driftSchema.parse({ schedule: daily({ at: "05:00" }) });
  const { asked, fakes, watch } = await aWatch({ retrain: 0, spec: { drift } });
  expect(await watch()).toMatchObject({ retrain: 0, cycle: null });
  expect(asked).not.toContain("scoreChampions");
  expect(fakes.named("openCycle")).toEqual([]);
});

test("what fails is on record with its sentence", async () => {
  const { noted, watch, workflowId } = await aWatch({
    retrain: 0,
    drift: {
      compareWindows: async () => {
        throw ApplicationFailure.create({
          type: "QueryInvalid",
          message: 'drift.ignore names "colur"',
          nonRetryable: true,
        });
      },
    },
  });
  await expect(watch()).rejects.toMatchObject({
    cause: { type: "QueryInvalid", message: 'drift.ignore names "colur"' },
  });
  expect(noted.at(-1)).toMatchObject({
    name: "closeDriftRun",
    input: { state: "failed", reason: 'drift.ignore names "colur"' },
  });
  temporal.keep("watch-drift-failed", workflowId);
});

/** Ends when it is told to; `begun` counts who waits for it. */
function aGate() {
  const waiting: (() => void)[] = [];
  return {
    begun: () => waiting.length,
    wait: () => new Promise<void>((open) => void waiting.push(open)),
    open: () => waiting.splice(0).forEach((open) => open()),
  };
}

test("its schedule starts it by itself, and no second one while it looks or retrains", async () => {
  const gate = aGate();
  const { spec, fakes, asked, taskQueue } = await aWatch({
    retrain: 1,
    drift: {
      compareWindows: async () => {
        await gate.wait();
        return counts(1);
      },
    },
  });
  // As apply makes it, but for a time that comes at once.
  const schedule = await temporal.client().schedule.create({
    scheduleId: driftScheduleId(spec.name),
    spec: { intervals: [{ every: "1s" }] },
    policies: { overlap: "SKIP" },
    action: {
      type: "startWorkflow",
      workflowType: WORKFLOWS.watchDrift,
      workflowId: workflowIds.watchDriftOnSchedule(spec.name),
      taskQueue,
      args: [{ spec, pace: testPace }],
    },
  });
  onTestFinished(async () => {
    await schedule.delete();
    gate.open();
  });
  const skipped = async () => (await schedule.describe()).info.numActionsSkippedOverlap;
  await expect.poll(skipped).toBeGreaterThan(0);
  expect([gate.begun(), asked.filter((name) => name === "openDriftRun").length]).toEqual([1, 1]);
  await schedule.pause();
  gate.open();
  await fakes.called("closeCycle");
  const [{ action } = { action: undefined }] = (await schedule.describe()).info.recentActions;
  const started = action?.workflow.workflowId ?? "";
  const report: unknown = await temporal.client().workflow.getHandle(started).result();
  // Named after the time that it was due, to the minute.
  const due = new Date(started.slice(-20)).toISOString();
  const cycle = `${due.slice(0, 10)}t${due.slice(11, 13)}${due.slice(14, 16)}-drift`;
  expect(report).toMatchObject({ run: cycle, retrain: 1, cycle });
  expect(fakes.named("openCycle")).toMatchObject([{ cycle, cause: "drift" }]);
});

test("one by hand for the minute of one that retrains finds its cycle, and leaves it to it", async () => {
  const { fakes, watch, spec, taskQueue } = await aWatch({
    retrain: 1,
    fakes: { job: () => "running" },
  });
  const first = watch();
  await fakes.called("startTrainingJob");
  const second: unknown = await temporal.client().workflow.execute("watchDrift", {
    taskQueue,
    workflowId: workflowIds.watchDriftOnSchedule(spec.name),
    args: [{ spec, at: AT, pace: testPace }],
  });
  expect(second).toMatchObject({ cycle: "2013-07-01-drift" });
  await fakes.endJob(jobNameOf("a"));
  expect(await first).toMatchObject({ cycle: "2013-07-01-drift" });
  expect(fakes.named("openCycle")).toHaveLength(1);
});

test("of a sharded fleet, one job trains who has drifted, on no more instances than they are", async () => {
  const { training } = aFleetSpec();
  const { fakes, watch } = await aWatch({
    retrain: 2,
    spec: { training: { ...training, kind: "sharded", instances: 5 } },
    fakes: { shards: [["a", "b"]], decision: "approve" },
  });
  expect(await watch()).toMatchObject({ cycle: "2013-07-01-drift" });
  expect(fakes.named("openCycle")).toMatchObject([
    { cause: "drift", spec: { training: { kind: "sharded", instances: 2 } } },
  ]);
  expect(fakes.created()).toEqual([jobNameOf(COHORT_KEY)]);
  expect(fakes.named("registerCohort")).toHaveLength(1);
});

test("of a pipeline fleet, who has drifted is trained behind the preprocessor that all have", async () => {
  const sourceHash = "0".repeat(64);
  const { training, endpoint } = fleetSpecSchema.parse({
    ...aFleetSpec(),
    training: {
      kind: "pipeline",
      source: "model",
      sourceHash,
      preprocessor: { source: "preprocessor", sourceHash },
    },
    endpoint: { kind: "pipeline" },
  });
  const { fakes, watch } = await aWatch({
    retrain: 1,
    spec: { training, endpoint },
    fakes: {
      activities: { startPreprocessorJob: async () => ({ kind: "there", generation: 3 }) },
    },
  });
  expect(await watch()).toMatchObject({ cycle: "2013-07-01-drift" });
  expect(fakes.named("keepPreprocessor")).toEqual([]);
  expect(fakes.named("planTransforms")).toMatchObject([
    { cycle: "2013-07-01-drift", generation: 3 },
  ]);
  expect(fakes.created()).toEqual([jobNameOf("a")]);
});
