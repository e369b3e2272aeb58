/** One customer's cycle by a search: the tuning job in place of the training job. */
import {
  type WorkflowHandleWithFirstExecutionRunId,
  WorkflowFailedError,
} from "@temporalio/client";
import { ApplicationFailure, CancelledFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import { jobEnded, type RetrainModelInput, workflowIds } from "../../workflows/messages.js";
import type { retrainFleet } from "../../workflows/retrain-fleet.js";
import type { retrainModel } from "../../workflows/retrain-model.js";
import { tuningSchema } from "../../fleet/tuning.schema.js";
import { aFleetSpec, aModelInput, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes, tuningJobNameOf } from "./fakes.js";

const temporal = useTemporal();

interface Started {
  readonly input: RetrainModelInput;
  readonly fakes: Fakes;
  readonly handle: WorkflowHandleWithFirstExecutionRunId<typeof retrainModel>;
}

const COMPLETED = { status: "Completed", bestTrainingJobName: "tuning-xna-0-003" } as const;

async function startTuning(
  choices: FakeChoices = {},
  changes: Partial<RetrainModelInput> = {},
): Promise<Started> {
  const input = aModelInput({ tune: true, ...changes });
  const all = { job: () => COMPLETED, ...choices };
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, all);
  const { taskQueue } = await temporal.worker(fakes.activities);
  const handle = await temporal.client().workflow.start<typeof retrainModel>("retrainModel", {
    taskQueue,
    workflowId: workflowIds.retrainModel(input.fleet, input.customerKey, input.cycle),
    args: [input],
  });
  return { input, fakes, handle };
}

async function failureOf({ handle }: Started): Promise<{ type: string; message: string }> {
  const error: unknown = await handle.result().catch((caught: unknown) => caught);
  if (!(error instanceof WorkflowFailedError) || !(error.cause instanceof ApplicationFailure))
    throw new Error("the workflow did not fail with an ApplicationFailure", { cause: error });
  return { type: error.cause.type ?? "", message: error.cause.message };
}

test("the best training job of the search is evaluated and registered", async () => {
  const started = await startTuning();
  temporal.keep("retrain-model-tuned", started.handle.workflowId);

  expect(await started.handle.result()).toEqual({ kind: "registered", version: 7 });
  expect(started.fakes.named("startTuningJob")).toHaveLength(1);
  expect(started.fakes.named("startTrainingJob")).toEqual([]);
  expect(started.fakes.named("evaluateModel")).toMatchObject([
    { trainingJobName: "tuning-xna-0-003" },
  ]);
  // As many actions as training costs: nothing is read that the signal does not carry.
  expect(started.fakes.named("findEndedTuningJob")).toEqual([]);
});

test("the workflow's page shows from where the search starts, and why", async () => {
  const warmStart =
    "Warm start (TransferLearning): changed since its parents: data\n- `june` taken";
  const started = await startTuning({
    job: () => "running",
    activities: {
      startTuningJob: async () => ({ tuningJobName: tuningJobNameOf("xna"), warmStart }),
    },
  });
  const page = async () => {
    const metadata: unknown = await started.handle.query("__temporal_workflow_metadata");
    return JSON.stringify(metadata);
  };
  await started.fakes.called("startTuningJob");
  await expect.poll(page).toContain("- `june` taken");
  await started.handle.signal(jobEnded, { jobName: tuningJobNameOf("xna"), ...COMPLETED });
  await started.handle.result();
  expect(await page()).toMatch(/Training job `tuning-xna-0-003`.*approve.*`june` taken/s);
});

describe("a search that fails", () => {
  test("without any value of its objective fails the customer with the reason", async () => {
    const failureReason = "AlgorithmError: none of 8 training jobs reached validation:rmse";
    const started = await startTuning({ job: () => ({ status: "Failed", failureReason }) });

    expect(await failureOf(started)).toEqual({
      type: "TrainingAlgorithmError",
      message: `XNA: ${failureReason}`,
    });
    expect(started.fakes.named("startTuningJob")).toHaveLength(1);
  });

  test("by SageMaker's fault gets three rounds in all", async () => {
    const failureReason = "CapacityError: no instances";
    const started = await startTuning({ job: () => ({ status: "Failed", failureReason }) });

    expect(await failureOf(started)).toMatchObject({ type: "TrainingCapacityError" });
    expect(started.fakes.named("startTuningJob")).toMatchObject([
      { round: 0 },
      { round: 1 },
      { round: 2 },
    ]);
  });

  test("because somebody stopped it says so", async () => {
    const started = await startTuning({ job: () => ({ status: "Stopped" }) });
    expect(await failureOf(started)).toEqual({
      type: "TrainingStopped",
      message: "XNA: the tuning job was stopped",
    });
  });
});

test("cancelled, it stops the search", async () => {
  const started = await startTuning({ job: () => "running" });
  await started.fakes.called("startTuningJob");
  await started.handle.cancel();
  temporal.keep("retrain-model-tuning-cancelled", started.handle.workflowId);

  await expect(started.handle.result()).rejects.toMatchObject({
    cause: expect.any(CancelledFailure) as unknown,
  });
  expect(started.fakes.named("stopTuningJob")).toMatchObject([{ customerKey: "xna" }]);
  expect(started.fakes.named("stopTrainingJob")).toEqual([]);
  expect(started.fakes.running.size).toBe(0);
});

describe("waiting for the end of the search", () => {
  test("takes no completion that names no training job: the guard looks for it", async () => {
    const started: Started = await startTuning(
      {
        job: () => "running",
        activities: {
          findEndedTuningJob: async ({ tuningJobName }) =>
            started.fakes.named("findEndedTuningJob").length < 3
              ? null
              : { jobName: tuningJobName, ...COMPLETED },
        },
      },
      { pace: { ...testPace, guardSeconds: 0.02 } },
    );
    temporal.keep("retrain-model-tuning-guarded", started.handle.workflowId);
    await started.handle.signal(jobEnded, { jobName: tuningJobNameOf("xna"), status: "Completed" });

    expect(await started.handle.result()).toMatchObject({ kind: "registered" });
    expect(started.fakes.named("evaluateModel")).toMatchObject([
      { trainingJobName: "tuning-xna-0-003" },
    ]);
  });

  test("passes over searches that a cancelled run of the cycle left stopped", async () => {
    const started = await startTuning({
      activities: {
        startTuningJob: async ({ round }) => {
          const tuningJobName = tuningJobNameOf("xna", round);
          const ended =
            round < 2
              ? { jobName: tuningJobName, status: "Stopped" }
              : { jobName: tuningJobName, ...COMPLETED };
          return { tuningJobName, warmStart: "", ended };
        },
      },
    });
    expect(await started.handle.result()).toMatchObject({ kind: "registered" });
    expect(started.fakes.named("startTuningJob")).toHaveLength(3);
  });
});

describe("a cycle of a fleet that tunes", () => {
  const tuning = tuningSchema.parse({
    ranges: { x: { type: "continuous", min: 0, max: 1 } },
    maxJobs: 4,
  });

  test("searches for every customer; testing makes it a cycle of its own", async () => {
    const spec = aFleetSpec({ tuning });
    const choices = { shards: [["a", "b"]], job: () => COMPLETED };
    const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, choices);
    const { taskQueue } = await temporal.worker(fakes.activities, { warehouse: true });
    const cycle = await temporal.client().workflow.start<typeof retrainFleet>("retrainFleet", {
      taskQueue,
      workflowId: workflowIds.retrainFleet(spec.name, "2013-07-01-testing"),
      args: [{ spec, at: "2013-07-01", testing: true, pace: testPace }],
    });
    expect(await cycle.result()).toMatchObject({ cycle: "2013-07-01-testing", registered: 2 });
    expect(fakes.named("openCycle")).toMatchObject([
      { cycle: "2013-07-01-testing", testing: true },
    ]);
    expect(fakes.named("startTuningJob")).toHaveLength(2);
    expect(fakes.named("startTrainingJob")).toEqual([]);
  });
});
