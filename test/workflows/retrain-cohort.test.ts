/** A cycle whose customers one sharded job trains, and what happens to it when parts fail. */
import { type WorkflowHandle, WorkflowFailedError } from "@temporalio/client";
import { ApplicationFailure, CancelledFailure } from "@temporalio/common";
import { expect, test } from "vitest";
import { COHORT_KEY } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { workflowIds } from "../../workflows/messages.js";
import type { retrainFleet } from "../../workflows/retrain-fleet.js";
import { aFleetSpec, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes, jobNameOf } from "./fakes.js";

const temporal = useTemporal();

const AT = "2013-07-01";
const { instanceType, ...script } = aFleetSpec().training;
const training: FleetSpec["training"] = {
  ...script,
  instanceType,
  kind: "sharded",
  instances: 2,
};

async function openCycle(choices: FakeChoices, changes: Partial<FleetSpec> = {}) {
  const spec = aFleetSpec({ training, ...changes });
  const fakes: Fakes = createFakes(temporal.client(), () => worker.taskQueue, choices);
  const worker = await temporal.worker(fakes.activities, { warehouse: true });
  const run = () =>
    temporal.client().workflow.start<typeof retrainFleet>("retrainFleet", {
      taskQueue: worker.taskQueue,
      workflowId: workflowIds.retrainFleet(spec.name, AT),
      workflowIdReusePolicy: "ALLOW_DUPLICATE",
      args: [{ spec, at: AT, pace: testPace }],
    });
  return { spec, fakes, run };
}

async function failureOf(handle: WorkflowHandle<typeof retrainFleet>) {
  const error: unknown = await handle.result().catch((caught: unknown) => caught);
  if (!(error instanceof WorkflowFailedError)) throw new Error("it did not fail", { cause: error });
  return error.cause;
}

const shards = [["a", "b"], ["c"]];

test("one job for all shards, one evaluation, one version", async () => {
  const cycle = await openCycle({ shards });
  const handle = await cycle.run();
  temporal.keep("retrain-fleet-sharded", handle.workflowId);
  temporal.keep("retrain-cohort-completed", workflowIds.retrainCohort(cycle.spec.name, AT));
  await handle.result();
  expect(cycle.fakes.created()).toEqual([jobNameOf(COHORT_KEY)]);
  expect(cycle.fakes.named("evaluateCohort")).toEqual([
    { fleet: cycle.spec.name, cycle: AT, trainingJobName: jobNameOf(COHORT_KEY) },
  ]);
  expect(cycle.fakes.named("registerCohort")).toHaveLength(1);
  expect(cycle.fakes.named("readShard")).toEqual([]);
});

test("without anybody to train there is no job", async () => {
  const cycle = await openCycle({});
  await (await cycle.run()).result();
  expect(cycle.fakes.created()).toEqual([]);
});

test("without anybody to release there is no version", async () => {
  const cycle = await openCycle({ shards, decision: "keep-champion" });
  await (await cycle.run()).result();
  expect(cycle.fakes.named("registerCohort")).toEqual([]);
});

test("customers that failed count against the failure budget", async () => {
  const evaluateCohort = async () => ({ evaluated: 1, championKept: 0, failed: 2 });
  const cycle = await openCycle({ shards, activities: { evaluateCohort } });
  expect(await failureOf(await cycle.run())).toMatchObject({
    type: "FailureBudgetExceeded",
    message: "2 of 3 customers failed (66.7 %), failureBudget allows 5 %",
  });
  // What was good is released all the same.
  expect(cycle.fakes.named("registerCohort")).toHaveLength(1);
});

test("a job that SageMaker itself failed is followed by another round", async () => {
  const cycle = await openCycle({
    shards,
    job: (_key, round) =>
      round === 0
        ? { status: "Failed", failureReason: "CapacityError: no instances" }
        : { status: "Completed" },
  });
  await (await cycle.run()).result();
  expect(cycle.fakes.created()).toEqual([jobNameOf(COHORT_KEY), jobNameOf(COHORT_KEY, 1)]);
});

test("a job that its script failed fails the cycle by its reason, and every customer of the cohort", async () => {
  const failureReason =
    'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "DataError: two features"';
  const cycle = await openCycle({ shards, job: () => ({ status: "Failed", failureReason }) });
  const failure = await failureOf(await cycle.run());
  expect(failure).toBeInstanceOf(ApplicationFailure);
  expect(failure).toMatchObject({
    type: "TrainingAlgorithmError",
    message: "DataError: two features",
  });
  expect(cycle.fakes.named("recordCohortFailure")).toMatchObject([
    { errorType: "TrainingAlgorithmError", reason: "DataError: two features" },
  ]);
});

test("a cancelled cycle stops its job; run again, the next round goes on from its checkpoints", async () => {
  const cycle = await openCycle({
    shards,
    job: (_key, round) => (round === 0 ? "running" : { status: "Completed" }),
  });
  const first = await cycle.run();
  await cycle.fakes.called("startShardedJob");
  await expect.poll(() => cycle.fakes.running.size).toBe(1);
  await first.cancel();
  expect(await failureOf(first)).toBeInstanceOf(CancelledFailure);
  expect(cycle.fakes.named("stopTrainingJob")).toEqual([
    { fleet: cycle.spec.name, cycle: AT, customerKey: COHORT_KEY },
  ]);
  expect(cycle.fakes.running.size).toBe(0);

  await (await cycle.run()).result();
  expect(cycle.fakes.created()).toEqual([jobNameOf(COHORT_KEY), jobNameOf(COHORT_KEY, 1)]);
});
