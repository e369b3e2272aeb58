/** What is done once for a whole cycle: in which order, and what becomes of it when a job fails. */
import { WorkflowFailedError, type WorkflowHandle } from "@temporalio/client";
import { ApplicationFailure, CancelledFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { cycleStatus, jobEnded, workflowIds } from "../../workflows/messages.js";
import type { retrainFleet } from "../../workflows/retrain-fleet.js";
import { aFleetSpec, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { completed } from "./fake-preparation.js";
import { createFakes, type Activities, type Fakes } from "./fakes.js";

const temporal = useTemporal();

const AT = "2013-07-01";
const sourceHash = "0".repeat(64);

const prepared = (): FleetSpec =>
  fleetSpecSchema.parse({
    ...aFleetSpec(),
    preparation: { kind: "processing", source: "prepare", sourceHash },
  });

const pipeline = (): FleetSpec =>
  fleetSpecSchema.parse({
    ...aFleetSpec(),
    training: {
      kind: "pipeline",
      source: "model",
      sourceHash,
      preprocessor: { source: "preprocessor", sourceHash },
    },
    endpoint: { kind: "pipeline" },
  });

async function runCycle(
  spec: FleetSpec,
  activities: Partial<Activities> = {},
): Promise<{ fakes: Fakes; handle: WorkflowHandle<typeof retrainFleet> }> {
  const choices = { shards: [["a", "b"]], decision: "keep-champion" as const, activities };
  const fakes: Fakes = createFakes(temporal.client(), () => worker.taskQueue, choices);
  const worker = await temporal.worker(fakes.activities, { warehouse: true });
  const handle = await temporal.client().workflow.start<typeof retrainFleet>("retrainFleet", {
    taskQueue: worker.taskQueue,
    workflowId: workflowIds.retrainFleet(spec.name, AT),
    args: [{ spec, at: AT, pace: testPace }],
  });
  return { fakes, handle };
}

const steps = ({ calls }: Fakes): string[] =>
  calls.map(({ name }) => name).filter((name) => name !== "setCycleState");

async function failureOf(handle: WorkflowHandle<typeof retrainFleet>) {
  const error: unknown = await handle.result().catch((caught: unknown) => caught);
  if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure)
    return { type: error.cause.type, message: error.cause.message };
  throw new Error("the workflow did not fail with an ApplicationFailure", { cause: error });
}

const failed = (jobName: string, failureReason: string) => ({
  jobName,
  ended: { jobName, status: "Failed", failureReason },
});

describe("a preparation", () => {
  test("stands between the export and the plan", async () => {
    const { fakes, handle } = await runCycle(prepared());
    await handle.result();
    expect(steps(fakes).slice(0, 5)).toEqual([
      ...["openCycle", "exportDataset", "startProcessingJob", "readPrepared", "planCycle"],
    ]);
    expect(fakes.named("readPrepared")).toMatchObject([{ folder: "made/" }]);
  });

  test("that fails fails the cycle with its reason, and nothing is planned", async () => {
    const { fakes, handle } = await runCycle(prepared(), {
      startProcessingJob: async () => ({
        ...failed("prepare-0", "AlgorithmError: exit code: 1: KeyError: 'rates'"),
        folder: "made/",
      }),
    });
    expect(await failureOf(handle)).toEqual({
      type: "PreparationFailed",
      message: "the preparation failed: AlgorithmError: exit code: 1: KeyError: 'rates'",
    });
    expect(fakes.named("planCycle")).toEqual([]);
    expect(fakes.named("closeCycle")).toMatchObject([{ state: "failed" }]);
  });

  test("goes another round when SageMaker itself failed it", async () => {
    const { fakes, handle } = await runCycle(prepared(), {
      startProcessingJob: async ({ round }) => ({
        ...(round === 0 ? failed("prepare-0", "InternalServerError: try again") : completed("p-1")),
        folder: `round-${round}/`,
      }),
    });
    await handle.result();
    expect(fakes.named("readPrepared")).toMatchObject([{ folder: "round-1/" }]);
  });

  const running = { jobName: "prepare-0", folder: "made/" };

  test("that runs is waited for by the watcher's signal", async () => {
    const { fakes, handle } = await runCycle(prepared(), {
      startProcessingJob: async () => running,
    });
    await fakes.called("startProcessingJob");
    expect(await handle.query(cycleStatus)).toMatchObject({ phase: "preparing" });
    await handle.signal(jobEnded, { jobName: "prepare-0", status: "Completed" });
    await handle.result();
    expect(fakes.named("stopCycleJobs")).toEqual([]);
  });

  test("that runs is stopped with its cycle", async () => {
    const { fakes, handle } = await runCycle(prepared(), {
      startProcessingJob: async () => running,
    });
    await fakes.called("startProcessingJob");
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({
      cause: expect.any(CancelledFailure) as unknown,
    });
    expect(fakes.named("stopCycleJobs")).toHaveLength(1);
  });
});

describe("a pipeline", () => {
  test("fits its preprocessor, prepares all rows with it, and only then trains", async () => {
    const { fakes, handle } = await runCycle(pipeline());
    await handle.result();
    expect(steps(fakes).slice(2, 10)).toEqual([
      ...["planCycle", "startPreprocessorJob", "keepPreprocessor", "planTransforms"],
      ...["startTransformJob", "startTransformJob", "startTransformJob", "keepTransformed"],
    ]);
    expect(fakes.named("keepTransformed")).toMatchObject([{ generation: 1, folder: "made/" }]);
    expect(fakes.named("startTrainingJob")).toHaveLength(2);
  });

  test("uses the preprocessor that is there", async () => {
    const { fakes, handle } = await runCycle(pipeline(), {
      startPreprocessorJob: async () => ({ kind: "there", generation: 3 }),
    });
    await handle.result();
    expect(fakes.named("keepPreprocessor")).toEqual([]);
    expect(fakes.named("planTransforms")).toMatchObject([{ generation: 3 }]);
  });

  test("whose rows cannot be prepared fails with the reason, and stops the other transforms", async () => {
    const { fakes, handle } = await runCycle(pipeline(), {
      startTransformJob: async ({ part }) =>
        part === "test"
          ? failed("test-0", "ClientError: a row has 3 fields, the preprocessor takes 8")
          : { jobName: `${part}-0` },
    });
    expect(await failureOf(handle)).toEqual({
      type: "PreparationFailed",
      message:
        "the batch transform of the test rows failed: ClientError: a row has 3 fields, the preprocessor takes 8",
    });
    expect(fakes.named("stopCycleJobs")).toHaveLength(1);
    expect(fakes.named("startTrainingJob")).toEqual([]);
  });

  test("that trains nobody fits nothing", async () => {
    const { fakes, handle } = await runCycle(pipeline(), {
      planCycle: async () => ({ customers: 2, train: 0, skipped: 2, failed: 0, shards: 0 }),
    });
    await handle.result();
    expect(fakes.named("startPreprocessorJob")).toEqual([]);
  });
});
