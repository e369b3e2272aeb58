/** A cohort's release: decided as one, published in pages between other requests, denied at any moment. */
import { WorkflowUpdateFailedError, type WorkflowHandle } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import {
  approve,
  cohortPublished,
  decide,
  type Decision,
  deny,
  publish,
  type ReleaseCohortInput,
  superseded,
  type WithdrawCohortInput,
  workflowIds,
} from "../../workflows/messages.js";
import type { releaseCohort } from "../../workflows/release-cohort.js";
import { attributeKeys, searchAttributes } from "../../workflows/search-attributes.js";
import type { serveEndpoint } from "../../workflows/serve-endpoint.js";
import type { withdrawCohort } from "../../workflows/withdraw-cohort.js";
import { aFleetName, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type Activities, type Fakes } from "./fakes.js";
import { held } from "./releases.js";

const temporal = useTemporal();

const ann: Decision = { verdict: "approve", by: "ann" };
const bob: Decision = { verdict: "deny", by: "bob", note: "wrong weather" };
const denied = { kind: "denied", by: "bob", note: "wrong weather" };
const BY_POLICY = { approvedBy: "policy:energy" };

interface Started {
  readonly input: ReleaseCohortInput;
  readonly fakes: Fakes;
  readonly handle: WorkflowHandle<typeof releaseCohort>;
  readonly taskQueue: string;
  stopWorker(): Promise<void>;
}

async function start(
  changes: Partial<ReleaseCohortInput> = {},
  activities: Partial<Activities> = {},
): Promise<Started> {
  const input: ReleaseCohortInput = {
    ...{ fleet: aFleetName(), stage: "sandbox", cycle: "2026-11-01", version: 3, members: 20 },
    ...{ evaluation: "20 models, 2 of which ask for a person.", pace: testPace },
    ...changes,
  };
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, { activities });
  const { taskQueue, stop } = await temporal.worker(fakes.activities);
  const handle = await temporal.client().workflow.start<typeof releaseCohort>("releaseCohort", {
    taskQueue,
    workflowId: workflowIds.releaseCohort(input.fleet, input.version),
    args: [input],
    typedSearchAttributes: searchAttributes({
      fleet: input.fleet,
      approvalState: input.approvedBy === undefined ? "PENDING" : "APPROVED",
    }),
  });
  return { input, fakes, handle, taskQueue, stopWorker: stop };
}

async function refusal({ handle }: Started, decision: Decision): Promise<string> {
  const error: unknown = await handle
    .executeUpdate(decide, { args: [decision] })
    .catch((caught: unknown) => caught);
  if (!(error instanceof WorkflowUpdateFailedError)) throw new Error("not refused");
  return error.cause instanceof ApplicationFailure ? error.cause.message : "without a reason";
}

const names = ({ fakes }: Started): string[] => fakes.calls.map(({ name }) => name);

async function withdrawalOf({ input }: Started) {
  const workflowId = workflowIds.withdrawCohort(input.fleet, input.version);
  const { events } = await temporal.client().workflow.getHandle(workflowId).fetchHistory();
  return events?.[0]?.workflowExecutionStartedEventAttributes;
}

describe("decided by a person", () => {
  test("it is published page by page once it is approved, the approval on record before", async () => {
    const started = await start();
    temporal.keep("release-cohort-approved", started.handle.workflowId);
    const { fleet, stage } = started.input;
    const decision = { ...ann, except: ["c7"] };
    // Decided before its first task, it would ask nobody.
    await expect.poll(() => names(started)).toContain("findCohortApproval");
    await started.handle.executeUpdate(decide, { args: [decision] });

    expect(await started.handle.result()).toEqual({
      ...{ kind: "serving", serving: 20, rejected: 0, leftOut: 0 },
    });
    temporal.keep("serve-endpoint-cohort", workflowIds.serveEndpoint(fleet, stage));
    expect(names(started)).toEqual([
      ...["findCohortApproval", "recordCohortDecision", "requestCohortPublication"],
      ...["copyCohortPage", "copyCohortPage", "ensureEndpoint", "verifyCohort"],
      ...["pointCohortPage", "pointCohortPage", "answerCohort"],
    ]);
    expect(started.fakes.named("recordCohortDecision")).toMatchObject([
      { version: 3, decision, state: "approved" },
    ]);
    expect(started.fakes.named("copyCohortPage")).toMatchObject([{ after: "" }, { after: "m" }]);
    const { typedSearchAttributes } = await started.handle.describe();
    expect(typedSearchAttributes.get(attributeKeys.approvalState)).toBe("APPROVED");
  });

  test("nothing of it is published once it is denied, and an approval after is refused", async () => {
    const step = held();
    const recordCohortDecision = async () => {
      await step.step();
      return { unknown: [] };
    };
    const started = await start({}, { recordCohortDecision });
    await started.handle.executeUpdate(decide, { args: [bob] });
    expect(await refusal(started, ann)).toContain("already decided: denied by bob");
    step.letGo();

    expect(await started.handle.result()).toEqual(denied);
    expect(started.fakes.named("requestCohortPublication")).toEqual([]);
  });

  test("a denial that leaves customers out is refused, and so is one without a reason", async () => {
    const started = await start();
    expect(await refusal(started, { ...bob, except: ["c7"] })).toContain("about every member");
    expect(await refusal(started, { verdict: "deny", by: "bob" })).toContain("needs a reason");
  });

  test("names that are no members' are told on the page", async () => {
    const step = held();
    const copyCohortPage = async () => {
      await step.step();
      return { after: null, stopped: true };
    };
    const recordCohortDecision = async () => ({ unknown: ["c999"] });
    const started = await start({}, { recordCohortDecision, copyCohortPage });
    await started.handle.signal(approve, { by: "ann", except: ["c999"] });
    const page = async () =>
      JSON.stringify(await started.handle.query<unknown>("__temporal_workflow_metadata"));
    await expect.poll(page, { timeout: 30_000 }).toContain("nobody was left out by: c999");
    step.letGo();
  });

  test("superseded first, the approval is refused; approved first, it is published", async () => {
    const late = await start();
    await late.handle.signal(superseded, { version: 4 });
    expect(await late.handle.result()).toEqual({ kind: "superseded", version: 4 });
    expect(late.fakes.named("recordCohortDecision")).toMatchObject([{ state: "superseded" }]);

    const early = await start();
    await early.handle.executeUpdate(decide, { args: [ann] });
    await early.handle.signal(superseded, { version: 4 });
    expect(await early.handle.result()).toMatchObject({ kind: "serving" });
  });
});

describe("denied while it is published", () => {
  const STEPS = ["copyCohortPage", "verifyCohort", "pointCohortPage"] as const;
  for (const name of STEPS)
    test(`in ${name}: the step comes to its end, and what serves is withdrawn`, async () => {
      const step = held();
      let isDenied = false;
      const stopped = async () => {
        await step.step();
        return { after: null, stopped: isDenied };
      };
      const sound = async () => {
        await step.step();
        return { kind: "sound" as const };
      };
      const started = await start(BY_POLICY, {
        [name]: name === "verifyCohort" ? sound : stopped,
        recordCohortDecision: async () => {
          isDenied = true;
          return { unknown: [] };
        },
      });
      await started.fakes.called(name);
      await started.handle.signal(deny, { by: "bob", note: "wrong weather" });
      await started.fakes.called("recordCohortDecision");
      step.letGo();

      expect(await started.handle.result()).toEqual(denied);
      expect((await withdrawalOf(started))?.workflowType?.name).toBe("withdrawCohort");
    });

  test("before any member serves: nothing is withdrawn", async () => {
    const answerCohort = async () => undefined;
    const started = await start(BY_POLICY, { answerCohort });
    temporal.keep("release-cohort-denied", started.handle.workflowId);
    await started.fakes.called("answerCohort");
    await started.handle.executeUpdate(decide, { args: [bob] });
    await started.fakes.called("recordCohortDecision");
    const nobody = { serving: 0, rejected: 0, leftOut: 20, because: null };
    await started.handle.signal(cohortPublished, { stage: "sandbox", version: 3, ...nobody });

    expect(await started.handle.result()).toEqual(denied);
    await expect(withdrawalOf(started)).rejects.toThrow();
  });
});

describe("the endpoint's workflow", () => {
  test("does what else is asked of it between two pages", async () => {
    const step = held();
    let first = true;
    const started = await start(BY_POLICY, {
      copyCohortPage: async ({ after }) => {
        if (first) await step.step();
        first = false;
        return { after: after === "" ? "m" : null, stopped: false };
      },
    });
    await started.fakes.called("copyCohortPage");
    const { fleet, stage } = started.input;
    const endpoint = temporal.client().workflow.getHandle(workflowIds.serveEndpoint(fleet, stage));
    await endpoint.signal(publish, { customerKey: "a", version: 1, releaseWorkflowId: "gone" });
    step.letGo();
    await started.handle.result();

    const pages = names(started).filter((name) => /copy|verifyAndPoint/.test(name));
    expect(pages).toEqual(["copyCohortPage", "copyArtifacts", "verifyAndPoint", "copyCohortPage"]);
  });

  test("is asked again when it was terminated, and the cohort is published all the same", async () => {
    const step = held();
    let attempts = 0;
    const started = await start(
      { ...BY_POLICY, pace: { ...testPace, guardSeconds: 1 } },
      {
        verifyCohort: async () => {
          attempts += 1;
          if (attempts === 1) await step.step();
          return { kind: "sound" };
        },
      },
    );
    await started.fakes.called("verifyCohort");
    const { fleet, stage } = started.input;
    const endpoint = temporal.client().workflow.getHandle(workflowIds.serveEndpoint(fleet, stage));
    await endpoint.terminate();

    expect(await started.handle.result()).toMatchObject({ kind: "serving", serving: 20 });
    step.letGo();
  });

  test("goes on with another worker when one stops between two pages", async () => {
    const step = held();
    const started = await start(BY_POLICY, {
      verifyCohort: async () => {
        await step.step();
        return { kind: "sound" };
      },
    });
    await started.fakes.called("verifyCohort");
    step.letGo();
    await started.stopWorker();
    await temporal.worker(started.fakes.activities, { taskQueue: started.taskQueue });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  });

  test("that cannot be refreshed rejects the cohort with the reason", async () => {
    const refused = ApplicationFailure.create({
      ...{ type: "EndpointFailed", message: "no capacity", nonRetryable: true },
    });
    const ensureEndpoint = () => Promise.reject(refused);
    const started = await start(BY_POLICY, { ensureEndpoint });

    expect(await started.handle.result()).toEqual({ kind: "rejected", because: "no capacity" });
    expect(started.fakes.named("pointCohortPage")).toEqual([]);
  });

  test("asks each member when the sample was not sound, and none when nothing of it was", async () => {
    const doubtful = await start(BY_POLICY, { verifyCohort: async () => ({ kind: "doubtful" }) });
    await doubtful.handle.result();
    expect(doubtful.fakes.named("pointCohortPage")).toMatchObject([
      { verify: true },
      { verify: true },
    ]);

    const because = "none of 20 sampled models answers as in training";
    const verifyCohort = async () => ({ kind: "broken", because }) as const;
    const broken = await start(BY_POLICY, { verifyCohort });
    expect(await broken.handle.result()).toEqual({ kind: "rejected", because });
  });

  test("goes on where the run before it was when it continued as new", async () => {
    const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {});
    const { taskQueue } = await temporal.worker(fakes.activities);
    const fleet = aFleetName();
    await temporal.client().workflow.start<typeof serveEndpoint>("serveEndpoint", {
      taskQueue,
      workflowId: workflowIds.serveEndpoint(fleet, "sandbox"),
      args: [
        {
          ...{ fleet, stage: "sandbox", pace: testPace },
          cohorts: [
            {
              ...{ kind: "publish", step: "point", after: "m", verifyAll: true },
              publication: { version: 3, releaseWorkflowId: "gone" },
            },
          ],
        },
      ],
    });
    await fakes.called("answerCohort");
    expect(fakes.calls.map(({ name }) => name)).toEqual(["pointCohortPage", "answerCohort"]);
    expect(fakes.named("pointCohortPage")).toMatchObject([{ after: "m", verify: true }]);
  });
});

describe("withdrawn", () => {
  async function withdraw(activities: Partial<Activities> = {}) {
    const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, { activities });
    const { taskQueue } = await temporal.worker(fakes.activities);
    const fleet = aFleetName();
    const input: WithdrawCohortInput = {
      ...{ fleet, stage: "sandbox", version: 3, decision: bob, pace: testPace },
    };
    const workflowId = workflowIds.withdrawCohort(fleet, 3);
    const handle = await temporal.client().workflow.start<typeof withdrawCohort>("withdrawCohort", {
      ...{ taskQueue, workflowId, args: [input] },
    });
    return { fakes, handle };
  }

  test("on record first, then page by page, then its artifacts are taken away", async () => {
    const { fakes, handle } = await withdraw();
    temporal.keep("withdraw-cohort", handle.workflowId);
    expect(await handle.result()).toMatchObject({ moved: 20, open: 0 });
    expect(fakes.calls.map(({ name }) => name)).toEqual([
      ...["recordCohortWithdrawal", "requestCohortWithdrawal"],
      ...["settleCohortPage", "settleCohortPage", "answerCohortWithdrawal"],
      "removeCohortArtifacts",
    ]);
  });

  test("what does not move at once moves after a refresh", async () => {
    const { fakes, handle } = await withdraw({
      settleCohortPage: async ({ refreshed }) => ({ after: null, open: refreshed ? 0 : 4 }),
    });
    await handle.result();
    expect(fakes.calls.map(({ name }) => name)).toEqual([
      ...["recordCohortWithdrawal", "requestCohortWithdrawal", "settleCohortPage"],
      ...["ensureEndpoint", "settleCohortPage", "answerCohortWithdrawal", "removeCohortArtifacts"],
    ]);
  });

  test("members that still serve are tried again, however often that takes", async () => {
    let rounds = 0;
    const { fakes, handle } = await withdraw({
      settleCohortPage: async () => {
        rounds += 1;
        if (rounds === 1) throw ApplicationFailure.nonRetryable("S3 is away");
        return { after: null, open: 0 };
      },
      answerCohortWithdrawal: async ({ stage, version, withdrawWorkflowId, because }) => {
        const open = because === null ? 0 : 20;
        const told = { stage, version, moved: 20 - open, removed: 0, open, because };
        await temporal
          .client()
          .workflow.getHandle(withdrawWorkflowId)
          .signal("membersWithdrawn", told);
      },
    });
    expect(await handle.result()).toMatchObject({ moved: 20, open: 0 });
    expect(fakes.named("settleCohortPage")).toHaveLength(2);
  });
});
