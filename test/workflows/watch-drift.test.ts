/** A look for drift: who has drifted is retrained by a cycle of its own, and nobody by one that only looks. */
import { expect, test } from "vitest";
import { ApplicationFailure } from "@temporalio/common";
import type { createDriftActivities, createDriftRunActivities } from "../../activities/drift.js";
import { driftSchema } from "../../fleet/drift.schema.js";
import { daily } from "../../fleet/schedule.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { workflowIds } from "../../workflows/messages.js";
import { aFleetSpec, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes } from "./fakes.js";

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
  return { spec, fakes, asked, noted, watch, workflowId };
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
