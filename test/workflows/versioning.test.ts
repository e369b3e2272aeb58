/** A deploy in the middle of a cycle: two builds that do not replay each other's histories, side by side. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { WorkflowHandle } from "@temporalio/client";
import proto from "@temporalio/proto";
import { TestWorkflowEnvironment } from "@temporalio/testing";
import { Worker } from "@temporalio/worker";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { decide, WORKFLOWS, workflowIds } from "../../workflows/messages.js";
import { attributeKeys } from "../../workflows/search-attributes.js";
import { aFleetName, aModelInput, aReleaseInput } from "./builders.js";
import { quietWorkers, workflowBundle } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes } from "./fakes.js";
import { held } from "./releases.js";

const taskQueue = "versioned";
const deploymentName = "modelfleet";
const temporalBinary = process.env.MODELFLEET_TEST_TEMPORAL ?? "";
let temporal: TestWorkflowEnvironment;

beforeAll(async () => {
  quietWorkers();
  temporal = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: "existing-path", path: temporalBinary },
      searchAttributes: Object.values(attributeKeys),
      extraArgs: ["--output", "none"],
      log: { format: "pretty", level: "never" },
    },
  });
});
afterAll(() => temporal.teardown());

interface Build {
  /** Undefined of a worker that names none. */
  readonly id: string | undefined;
  readonly fakes: Fakes;
  stop(): Promise<void>;
}

/** The next release: it judges models by an activity of another name, which old histories do not have. */
const incompatible = (code: string): string => code.replaceAll("evaluateModel", "judgeModel");

async function startBuild(
  id: string | undefined,
  code: string,
  choices: FakeChoices = {},
): Promise<Build> {
  const fakes = createFakes(temporal.client, () => taskQueue, choices);
  const worker = await Worker.create({
    connection: temporal.nativeConnection,
    taskQueue,
    identity: id ?? "unversioned",
    workflowBundle: { code },
    activities: { ...fakes.activities, judgeModel: fakes.activities.evaluateModel },
    // A step that a worker does not take any more is offered to the others after this.
    stickyQueueScheduleToStartTimeout: "1s",
    shutdownGraceTime: 100,
    shutdownForceTime: "30s",
    ...(id === undefined
      ? {}
      : {
          workerDeploymentOptions: {
            useWorkerVersioning: true,
            version: { deploymentName, buildId: id },
            defaultVersioningBehavior: "PINNED",
          },
        }),
  });
  const run = worker.run();
  const stop = async () => {
    if (worker.getState() === "RUNNING") worker.shutdown();
    await run;
  };
  onTestFinished(stop);
  return { id, fakes, stop };
}

/** As docs/upgrade.md has it done. */
async function makeCurrent({ id }: Build): Promise<void> {
  const command = ["worker", "deployment", "set-current-version", "--yes"];
  const names = ["--deployment-name", deploymentName, "--build-id", id ?? ""];
  const address = ["--address", temporal.address];
  // The server learns of a build by its first polls.
  await expect
    .poll(
      () =>
        promisify(execFile)(temporalBinary, [...command, ...names, ...address]).then(
          () => "done",
          (error: { stderr?: string }) => error.stderr,
        ),
      { interval: 200 },
    )
    .toBe("done");
}

/** The build that a workflow is on, and whether it stays there. */
async function placeOf(handle: WorkflowHandle): Promise<{ build: unknown; pinned: boolean }> {
  const { versioningInfo } = (await handle.describe()).raw.workflowExecutionInfo ?? {};
  const { VERSIONING_BEHAVIOR_PINNED } = proto.temporal.api.enums.v1.VersioningBehavior;
  const pinned = versioningInfo?.behavior === VERSIONING_BEHAVIOR_PINNED;
  return { build: versioningInfo?.deploymentVersion?.buildId, pinned };
}

test("what began before workers were versioned moves to the first build that is made current, and stays", async () => {
  const code = await workflowBundle();
  const before = await startBuild(undefined, code);
  const release = await temporal.client.workflow.start(WORKFLOWS.releaseModel, {
    taskQueue,
    workflowId: "release/before",
    args: [aReleaseInput()],
  });
  await expect.poll(async () => (await release.describe()).historyLength).toBeGreaterThan(3);
  const zero = await startBuild("zero", code);
  await makeCurrent(zero);
  await release.executeUpdate(decide, { args: [{ verdict: "approve", by: "ann" }] });
  await release.result();
  expect(await placeOf(release)).toEqual({ build: "zero", pinned: true });
  // Whichever had the workflow in its cache when the decision came.
  const recorded = [before, zero].flatMap(({ fakes }) => fakes.named("recordDecision"));
  expect(recorded).toHaveLength(1);
});

test("a cycle ends on the build that it began with, the next begins on the new, and a release moves to it", async () => {
  const code = await workflowBundle();
  const registering = held();
  const one = await startBuild("one", code, {
    decision: "keep-champion",
    activities: {
      evaluateModel: async () => {
        await registering.step();
        return { decision: "keep-champion", because: "no gain" };
      },
    },
  });
  await makeCurrent(one);

  const { workflow } = temporal.client;
  const startModel = (customerKey: string) => {
    const input = aModelInput({ customerKey, fleet: aFleetName() });
    const workflowId = workflowIds.retrainModel(input.fleet, customerKey, input.cycle);
    return workflow.start(WORKFLOWS.retrainModel, { taskQueue, workflowId, args: [input] });
  };
  const before = await startModel("before");
  const release = await workflow.start(WORKFLOWS.releaseModel, {
    taskQueue,
    workflowId: "release/waiting",
    args: [aReleaseInput()],
  });
  await one.fakes.called("startTrainingJob");
  await expect.poll(() => placeOf(release)).toEqual({ build: "one", pinned: false });

  const two = await startBuild("two", incompatible(code), { decision: "keep-champion" });
  await makeCurrent(two);
  const after = await startModel("after");
  await after.result();
  await release.executeUpdate(decide, { args: [{ verdict: "approve", by: "ann" }] });
  await release.result();
  registering.letGo();
  await before.result();

  expect(await placeOf(before)).toEqual({ build: "one", pinned: true });
  expect(await placeOf(after)).toEqual({ build: "two", pinned: true });
  expect(await placeOf(release)).toEqual({ build: "two", pinned: false });
  expect(one.fakes.named("startTrainingJob")).toMatchObject([{ customerKey: "before" }]);
  expect(two.fakes.named("startTrainingJob")).toMatchObject([{ customerKey: "after" }]);
  expect(two.fakes.named("evaluateModel")).toMatchObject([{ customerKey: "after" }]);
  expect(two.fakes.named("recordDecision")).toHaveLength(1);
});
