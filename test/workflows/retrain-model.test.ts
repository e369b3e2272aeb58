/** One customer's cycle, from the training job to the release. */
import {
  type WorkflowHandleWithFirstExecutionRunId,
  WorkflowFailedError,
} from "@temporalio/client";
import { ApplicationFailure, CancelledFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import { jobEnded, type RetrainModelInput, workflowIds } from "../../workflows/messages.js";
import { attributeKeys } from "../../workflows/search-attributes.js";
import type { retrainModel } from "../../workflows/retrain-model.js";
import type { releaseModel } from "../../workflows/release-model.js";
import { aModelInput, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes, jobNameOf } from "./fakes.js";

const temporal = useTemporal();

interface Started {
  readonly input: RetrainModelInput;
  readonly fakes: Fakes;
  readonly handle: WorkflowHandleWithFirstExecutionRunId<typeof retrainModel>;
}

async function startRetraining(
  choices: FakeChoices = {},
  changes: Partial<RetrainModelInput> = {},
): Promise<Started> {
  const input = aModelInput(changes);
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, choices);
  const { taskQueue } = await temporal.worker(fakes.activities);
  const handle = await temporal.client().workflow.start<typeof retrainModel>("retrainModel", {
    taskQueue,
    workflowId: workflowIds.retrainModel(input.fleet, input.customerKey, input.cycle),
    args: [input],
  });
  return { input, fakes, handle };
}

/** What the web UI shows of a failed workflow. */
async function failureOf({ handle }: Started): Promise<{ type: string; message: string }> {
  const error: unknown = await handle.result().catch((caught: unknown) => caught);
  if (!(error instanceof WorkflowFailedError) || !(error.cause instanceof ApplicationFailure))
    throw new Error("the workflow did not fail with an ApplicationFailure", { cause: error });
  return { type: error.cause.type ?? "", message: error.cause.message };
}

const releaseOf = ({ input }: Started) =>
  temporal
    .client()
    .workflow.getHandle<typeof releaseModel>(workflowIds.releaseModel(input.fleet, "xna", 7));

describe("a challenger that passes the gate", () => {
  test("is registered, and released by a workflow that outlives this one", async () => {
    const started = await startRetraining({ decision: "approve" });
    temporal.keep("retrain-model-registered", started.handle.workflowId);

    expect(await started.handle.result()).toEqual({ kind: "registered", version: 7 });
    expect(await releaseOf(started).result()).toEqual({
      kind: "serving",
      targetModel: "xna/v000007.tar.gz",
    });
    expect(started.fakes.named("startTrainingJob")).toHaveLength(1);
    expect(started.fakes.named("recordDecision")).toEqual([]);
  });

  test("waits for a person, findable as PENDING, when the policy asks for one", async () => {
    const started = await startRetraining({ decision: "ask" });

    expect(await started.handle.result()).toEqual({ kind: "registered", version: 7 });
    const release = await releaseOf(started).describe();
    expect(release.status.name).toBe("RUNNING");
    expect(release.typedSearchAttributes.get(attributeKeys.approvalState)).toBe("PENDING");
    expect(release.typedSearchAttributes.get(attributeKeys.customer)).toBe("xna");
  });

  test("is released even if the cycle is cancelled while it is being registered", async () => {
    const started: Started = await startRetraining({
      activities: {
        registerModel: async () => {
          await started.handle.cancel();
          return { version: 7, approvedBy: "policy:fleet" };
        },
      },
    });

    expect(await started.handle.result()).toEqual({ kind: "registered", version: 7 });
    expect(await releaseOf(started).result()).toMatchObject({ kind: "serving" });
  });
});

test("a challenger that does not beat the champion is not registered", async () => {
  const started = await startRetraining({ decision: "keep-champion" });
  temporal.keep("retrain-model-champion-kept", started.handle.workflowId);

  expect(await started.handle.result()).toEqual({
    kind: "champion-kept",
    because: "rmse 9 is 10 % below the champion's 10",
  });
  expect(started.fakes.named("registerModel")).toEqual([]);
});

describe("a training job that fails", () => {
  const traceback =
    'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback (most recent call last):\n' +
    '  File "train.py", line 3\nValueError: no rows left\n"\nCommand "python train.py"';

  test("by its own script fails the customer with the traceback's last line", async () => {
    const started = await startRetraining({
      job: () => ({ status: "Failed", failureReason: traceback }),
    });
    temporal.keep("retrain-model-algorithm-error", started.handle.workflowId);

    expect(await failureOf(started)).toEqual({
      type: "TrainingAlgorithmError",
      message: "XNA: ValueError: no rows left",
    });
    expect(started.fakes.named("startTrainingJob")).toHaveLength(1);
    expect(started.fakes.named("recordFailure")).toEqual([
      expect.objectContaining({
        errorType: "TrainingAlgorithmError",
        reason: "ValueError: no rows left",
      }),
    ]);
  });

  test("without a reason in its signal is described once to learn it", async () => {
    const started = await startRetraining({
      job: () => ({ status: "Failed" }),
      activities: {
        findEndedJob: async ({ trainingJobName }) => ({
          jobName: trainingJobName,
          status: "Failed",
          failureReason: "ClientError: No S3 objects found",
        }),
      },
    });

    expect(await failureOf(started)).toEqual({
      type: "TrainingClientError",
      message: "XNA: ClientError: No S3 objects found",
    });
    expect(started.fakes.named("findEndedJob")).toHaveLength(1);
  });

  test.each([
    ["InternalServerError: We encountered an internal error.", "TrainingInternalError"],
    ["CapacityError: Unable to provision requested ML compute capacity.", "TrainingCapacityError"],
  ])("by SageMaker's fault (%s) gets three rounds in all", async (failureReason, type) => {
    const started = await startRetraining({ job: () => ({ status: "Failed", failureReason }) });

    expect(await failureOf(started)).toMatchObject({ type });
    expect(started.fakes.named("startTrainingJob")).toMatchObject([
      { round: 0 },
      { round: 1 },
      { round: 2 },
    ]);
    expect(started.fakes.named("recordFailure")).toHaveLength(1);
  });

  test("by SageMaker's fault is forgotten when the next round completes", async () => {
    const started = await startRetraining({
      job: (_customer, round) =>
        round === 0
          ? { status: "Failed", failureReason: "InternalServerError: try again" }
          : { status: "Completed" },
    });
    temporal.keep("retrain-model-second-round", started.handle.workflowId);

    expect(await started.handle.result()).toMatchObject({ kind: "registered" });
    expect(started.fakes.named("evaluateModel")).toMatchObject([
      { trainingJobName: jobNameOf("xna", 1) },
    ]);
  });

  test("because it was stopped is not started again", async () => {
    const started = await startRetraining({
      job: () => ({ status: "Stopped", failureReason: "MaxRuntimeExceeded" }),
    });

    expect(await failureOf(started)).toEqual({
      type: "TrainingStopped",
      message: "XNA: the training job was stopped: MaxRuntimeExceeded",
    });
  });
});

test.each(["startTrainingJob", "evaluateModel", "registerModel"] as const)(
  "what no retry mends in %s fails this customer with its reason",
  async (name) => {
    const refuse = async (): Promise<never> => {
      throw ApplicationFailure.nonRetryable("no permission for s3:GetObject", "AccessDenied");
    };
    const started = await startRetraining({ activities: { [name]: refuse } });

    expect(await failureOf(started)).toEqual({
      type: "AccessDenied",
      message: "XNA: no permission for s3:GetObject",
    });
    expect(started.fakes.named("recordFailure")).toMatchObject([{ errorType: "AccessDenied" }]);
  },
);

test("a failure keeps the hint that its activity gave", async () => {
  const hint = "let the execution role read the bucket";
  const started = await startRetraining({
    activities: {
      evaluateModel: async () => {
        throw ApplicationFailure.create({
          type: "AccessDenied",
          message: "no permission",
          nonRetryable: true,
          details: [{ hint }],
        });
      },
    },
  });

  await expect(started.handle.result()).rejects.toMatchObject({ cause: { details: [{ hint }] } });
});

describe("cancelled", () => {
  test("it stops the job that runs, records it, and ends as cancelled", async () => {
    const started = await startRetraining({ job: () => "running" });
    await started.fakes.called("startTrainingJob");
    await started.handle.cancel();
    temporal.keep("retrain-model-cancelled", started.handle.workflowId);

    await expect(started.handle.result()).rejects.toMatchObject({
      cause: expect.any(CancelledFailure) as unknown,
    });
    expect(started.fakes.named("stopTrainingJob")).toMatchObject([{ customerKey: "xna" }]);
    expect(started.fakes.named("recordFailure")).toMatchObject([{ errorType: "TrainingStopped" }]);
    expect(started.fakes.running.size).toBe(0);
  });

  test("it records the customer even if the job cannot be stopped", async () => {
    const started = await startRetraining({
      job: () => "running",
      activities: {
        stopTrainingJob: async () => {
          throw ApplicationFailure.nonRetryable("no permission", "AccessDenied");
        },
      },
    });
    await started.fakes.called("startTrainingJob");
    await started.handle.cancel();

    await expect(started.handle.result()).rejects.toThrow(WorkflowFailedError);
    expect(started.fakes.named("recordFailure")).toHaveLength(1);
  });
});

describe("waiting for the job's end", () => {
  test("takes the signal for its own job, once, whatever else comes", async () => {
    const started = await startRetraining({ job: () => "running" });
    await started.fakes.called("startTrainingJob");
    await started.handle.signal(jobEnded, { jobName: "somebody-elses", status: "Failed" });
    await started.handle.signal(jobEnded, { jobName: jobNameOf("xna"), status: "InProgress" });
    await started.fakes.endJob(jobNameOf("xna"));
    await started.fakes.endJob(jobNameOf("xna"));

    expect(await started.handle.result()).toMatchObject({ kind: "registered" });
    expect(started.fakes.named("evaluateModel")).toHaveLength(1);
  });

  test("falls back to one look at the job when no signal comes", async () => {
    const started = await startRetraining(
      {
        job: () => "running",
        activities: {
          findEndedJob: async ({ trainingJobName }) =>
            started.fakes.named("findEndedJob").length < 3
              ? null
              : { jobName: trainingJobName, status: "Completed" },
        },
      },
      { pace: { ...testPace, guardSeconds: 0.02 } },
    );
    temporal.keep("retrain-model-guarded", started.handle.workflowId);

    expect(await started.handle.result()).toMatchObject({ kind: "registered" });
    expect(started.fakes.named("findEndedJob")).toHaveLength(3);
  });

  test("needs no signal for a job that an earlier attempt started and that has ended", async () => {
    const started = await startRetraining({
      activities: {
        startTrainingJob: async () => ({
          trainingJobName: "adopted",
          ended: { jobName: "adopted", status: "Completed" },
        }),
      },
    });

    expect(await started.handle.result()).toMatchObject({ kind: "registered" });
    expect(started.fakes.named("evaluateModel")).toMatchObject([{ trainingJobName: "adopted" }]);
  });

  test("passes over jobs that a cancelled run of the cycle left stopped", async () => {
    const started = await startRetraining({
      activities: {
        startTrainingJob: async ({ round }) => {
          const trainingJobName = jobNameOf("xna", round);
          const status = round < 4 ? "Stopped" : "Completed";
          return { trainingJobName, ended: { jobName: trainingJobName, status } };
        },
      },
    });

    expect(await started.handle.result()).toMatchObject({ kind: "registered" });
    expect(started.fakes.named("evaluateModel")).toMatchObject([
      { trainingJobName: jobNameOf("xna", 4) },
    ]);
  });
});
