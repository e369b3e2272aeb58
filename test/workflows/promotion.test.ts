/** A release on its way through several stages: what goes on by itself, what people change, and every instant of a denial. */
import { WorkflowUpdateFailedError } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import {
  decide,
  overtaken,
  promote,
  published,
  type ReleaseModelInput,
  workflowIds,
} from "../../workflows/messages.js";
import type { withdrawModel } from "../../workflows/withdraw-model.js";
import { aReleaseInput, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { type Activities, createFakes, type FakeChoices, type Fakes } from "./fakes.js";
import {
  approval,
  byPolicy,
  DENIED_WHILE_PUBLISHING,
  denial,
  placesOf,
  stagesOf,
  standingsOf,
  untilStanding,
  waitsForProd,
} from "./promotions.js";
import { held, startRelease as startReleaseOn, type StartedRelease } from "./releases.js";

const temporal = useTemporal();

const startRelease = (changes: Partial<ReleaseModelInput> = {}, choices: FakeChoices = {}) =>
  startReleaseOn(temporal, { stages: stagesOf(), ...changes }, choices);

const until = ({ fakes }: StartedRelease, states: Readonly<Record<string, string>>) =>
  untilStanding(fakes, states);

/** Of the withdrawal that a release has started: its ledger says where the version has been. */
function withdrawals(reached: readonly string[]): Partial<Activities> {
  return { recordWithdrawal: async () => ({ stages: [...reached] }) };
}

const withdrawal = ({ input }: StartedRelease) =>
  temporal
    .client()
    .workflow.getHandle<typeof withdrawModel>(
      workflowIds.withdrawModel(input.fleet, input.customerKey, input.version),
    );

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.catch((caught: unknown) => caught);
  if (!(error instanceof WorkflowUpdateFailedError)) throw new Error("not refused");
  return error.cause?.message ?? "";
}

describe("an approved version", () => {
  test("goes from stage to stage, each of which has verified it before the next begins", async () => {
    const started = await startRelease({ stages: stagesOf({ prod: { lagSeconds: 0.2 } }) });
    temporal.keep("release-model-promoted", started.handle.workflowId);
    await started.handle.executeUpdate(decide, { args: [approval] });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    expect(placesOf(started.fakes, "copyArtifacts")).toEqual(["sandbox", "qa", "prod"]);
    expect(placesOf(started.fakes, "verifyAndPoint")).toEqual(["sandbox", "qa", "prod"]);
    expect(standingsOf(started.fakes)).toEqual({
      sandbox: "serving",
      qa: "serving",
      prod: "serving",
    });
    expect(started.recorded()).toMatchObject([{ decision: approval, state: "approved" }]);
  });

  test("goes no further than the stage that rejects it", async () => {
    const started = await startRelease(byPolicy, {
      activities: {
        // The endpoint of this stage has no answer: the test gives it.
        copyArtifacts: async ({ stage, publications }) => ({
          rejected: stage === "qa" ? publications.map((one) => ({ ...one, because: "" })) : [],
          overwritten: [],
        }),
      },
    });
    await until(started, { qa: "publishing" });
    await started.handle.signal(published, {
      ...{ kind: "rejected", stage: "qa", version: 7, because: "answers otherwise" },
    });

    expect(await started.handle.result()).toEqual({
      kind: "rejected",
      because: "in stage qa: answers otherwise",
    });
    expect(standingsOf(started.fakes)).toEqual({
      sandbox: "serving",
      qa: "rejected",
      prod: "ahead",
    });
  });

  test("waits for the lag, which the page and the ledger tell", async () => {
    const started = await startRelease({ ...byPolicy, stages: waitsForProd });
    await until(started, { sandbox: "serving", qa: "serving", prod: "lag" });

    expect(await started.page()).toContain("prod: lag until 2");
    expect(placesOf(started.fakes, "copyArtifacts")).toEqual(["sandbox", "qa"]);
  });
});

describe("people change its way", () => {
  test("who hurries ends the lag", async () => {
    const started = await startRelease({ ...byPolicy, stages: waitsForProd });
    await until(started, { prod: "lag" });
    await started.handle.executeUpdate(promote, { args: [{ kind: "hurry", by: "ann" }] });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    expect(placesOf(started.fakes, "verifyAndPoint")).toEqual(["sandbox", "qa", "prod"]);
  });

  test("what is held goes on when it is released", async () => {
    const started = await startRelease();
    const hold = { kind: "hold", by: "ann", note: "audit" } as const;
    await started.handle.executeUpdate(promote, { args: [hold] });
    await started.handle.executeUpdate(decide, { args: [approval] });
    await until(started, { sandbox: "held" });
    expect(placesOf(started.fakes, "copyArtifacts")).toEqual([]);

    await started.handle.executeUpdate(promote, { args: [{ kind: "release", by: "ann" }] });
    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  });

  test("a stage that is skipped never gets it", async () => {
    const started = await startRelease();
    const skip = { kind: "skip", stage: "qa", by: "ann" } as const;
    await started.handle.executeUpdate(promote, { args: [skip] });
    expect(await refusal(started.handle.executeUpdate(promote, { args: [skip] }))).toContain(
      "skipped already",
    );
    await started.handle.executeUpdate(decide, { args: [approval] });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    expect(placesOf(started.fakes, "copyArtifacts")).toEqual(["sandbox", "prod"]);
    expect(standingsOf(started.fakes)).toEqual({
      sandbox: "serving",
      qa: "skipped",
      prod: "serving",
    });
  });

  test("a stage with an approval of its own waits for it, with who gave it on record before", async () => {
    const stages = stagesOf({ prod: { approval: "stage" } });
    const started = await startRelease({ ...byPolicy, stages });
    await until(started, { prod: "stage-approval" });
    const given = { kind: "approve-stage", stage: "prod", by: "ann" } as const;
    await started.handle.executeUpdate(promote, { args: [given] });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    const calls = started.fakes.calls.map(({ name, input }) => ({ name, input }));
    const recorded = calls.findIndex(
      ({ name, input }) =>
        name === "recordPromotion" && JSON.stringify(input).includes('"by":"ann"'),
    );
    const copied = calls.findLastIndex(({ name }) => name === "copyArtifacts");
    expect(recorded).toBeGreaterThan(-1);
    expect(recorded).toBeLessThan(copied);
  });
});

describe("a stage that wants no approval", () => {
  const stages = stagesOf({ sandbox: { approval: "none" } });

  test("has the version before anybody has decided", async () => {
    const started = await startRelease({ stages });
    await until(started, { sandbox: "serving", qa: "approval" });
    expect(placesOf(started.fakes, "copyArtifacts")).toEqual(["sandbox"]);
    await started.handle.executeUpdate(decide, { args: [approval] });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    expect(placesOf(started.fakes, "copyArtifacts")).toEqual(["sandbox", "qa", "prod"]);
  });

  test("has it withdrawn when it is denied", async () => {
    const started = await startRelease({ stages }, { activities: withdrawals(["sandbox"]) });
    await until(started, { sandbox: "serving", qa: "approval" });
    await started.handle.executeUpdate(decide, { args: [denial] });

    expect(await started.handle.result()).toMatchObject({ kind: "denied", by: "bob" });
    expect(await withdrawal(started).result()).toMatchObject({ stage: "sandbox" });
    expect(standingsOf(started.fakes)).toEqual({ sandbox: "serving", qa: "ended", prod: "ended" });
  });
});

describe("a version that nobody decides about", () => {
  test("leaves the stage that took it without an approval, when its time is up", async () => {
    const { step, letGo } = held();
    const started = await startRelease(
      { stages: stagesOf({ sandbox: { approval: "none" } }) },
      {
        activities: {
          ...withdrawals(["sandbox"]),
          findApproval: async () => {
            await step();
            const deadline = { kind: "expire", after: "14d", seconds: 0 } as const;
            return { supersededBy: null, deadlines: [deadline], onExpiry: "deny", webhook: null };
          },
        },
      },
    );
    await until(started, { sandbox: "serving", qa: "approval" });
    letGo();

    expect(await started.handle.result()).toEqual({ kind: "expired", after: "14d" });
    expect(started.recorded()).toMatchObject([{ state: "expired" }]);
    expect(await withdrawal(started).result()).toMatchObject({ stage: "sandbox" });
  });
});

describe("a denial", () => {
  test("before the approval keeps it out of every stage", async () => {
    const started = await startRelease();
    await started.handle.executeUpdate(decide, { args: [denial] });

    expect(await started.handle.result()).toMatchObject({ kind: "denied" });
    expect(placesOf(started.fakes, "copyArtifacts")).toEqual([]);
    expect(standingsOf(started.fakes)).toEqual({ sandbox: "ended", qa: "ended", prod: "ended" });
    await expect(withdrawal(started).describe()).rejects.toThrow();
  });

  test.each(DENIED_WHILE_PUBLISHING)(
    "while %s publishes waits for its answer, and withdraws",
    async (_what, place, reached) => {
      const { step, letGo } = held();
      const started = await startRelease(byPolicy, {
        activities: {
          ...withdrawals(reached),
          copyArtifacts: async ({ stage }) => {
            if (stage === place) await step();
            return { rejected: [], overwritten: [] };
          },
        },
      });
      await until(started, { [place]: "publishing" });
      await expect.poll(() => placesOf(started.fakes, "copyArtifacts")).toContain(place);
      await started.handle.executeUpdate(decide, { args: [denial] });
      await started.fakes.called("recordDecision");
      letGo();

      expect(await started.handle.result()).toMatchObject({ kind: "denied", by: "bob" });
      expect(await withdrawal(started).result()).toMatchObject({ stage: reached[0] });
      expect(placesOf(started.fakes, "settleWithdrawals")).toEqual(reached);
      expect(placesOf(started.fakes, "removeWithdrawnArtifact")).toEqual(reached);
      expect(standingsOf(started.fakes)).toMatchObject({ prod: "ended" });
    },
  );

  test("while a stage publishes that gives no answer withdraws from the others all the same", async () => {
    const { step, letGo } = held();
    const started = await startRelease(
      { ...byPolicy, pace: { ...testPace, headStartSeconds: 0.2 } },
      {
        activities: {
          ...withdrawals(["qa", "sandbox"]),
          copyArtifacts: async ({ stage }) => {
            if (stage === "prod") await step();
            return { rejected: [], overwritten: [] };
          },
        },
      },
    );
    await until(started, { prod: "publishing" });
    await started.handle.executeUpdate(decide, { args: [denial] });

    expect(await started.handle.result()).toMatchObject({ kind: "denied", by: "bob" });
    expect(await withdrawal(started).result()).toMatchObject({ stage: "qa" });
    expect(placesOf(started.fakes, "settleWithdrawals")).toEqual(["qa", "sandbox"]);
    letGo();
  });

  test("during the lag stops what is still to come", async () => {
    const reached = ["qa", "sandbox"];
    const started = await startRelease(
      { ...byPolicy, stages: waitsForProd },
      { activities: withdrawals(reached) },
    );
    temporal.keep("release-model-denied-in-lag", started.handle.workflowId);
    await until(started, { prod: "lag" });
    await started.handle.executeUpdate(decide, { args: [denial] });

    expect(await started.handle.result()).toMatchObject({ kind: "denied" });
    await withdrawal(started).result();
    expect(placesOf(started.fakes, "settleWithdrawals")).toEqual(reached);
    expect(standingsOf(started.fakes)).toEqual({
      sandbox: "serving",
      qa: "serving",
      prod: "ended",
    });
    expect(placesOf(started.fakes, "copyArtifacts")).toEqual(["sandbox", "qa"]);
  });
});

describe("a withdrawal from every stage", () => {
  const reached = ["prod", "qa", "sandbox"];

  async function startWithdrawal(activities: Partial<Activities>, headStartSeconds: number) {
    const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {
      activities: { ...withdrawals(reached), ...activities },
    });
    const { taskQueue } = await temporal.worker(fakes.activities);
    const { fleet, customerKey } = aReleaseInput();
    const pace = { ...testPace, headStartSeconds };
    const handle = await temporal.client().workflow.start<typeof withdrawModel>("withdrawModel", {
      taskQueue,
      workflowId: workflowIds.withdrawModel(fleet, customerKey, 7),
      args: [{ fleet, stage: "prod", customerKey, version: 7, decision: denial, pace }],
    });
    return { handle, fakes };
  }

  /** Nothing serves instead, once `refuse` lets it. */
  const settledUnless =
    (refuse: (stage: string) => void): Activities["settleWithdrawals"] =>
    async ({ stage, withdrawals: asked }) => {
      refuse(stage);
      for (const { version, withdrawWorkflowId } of asked)
        await temporal
          .client()
          .workflow.getHandle(withdrawWorkflowId)
          .signal("withdrawn", { version, stage, servesNow: null });
      return { open: [] };
    };

  test("goes from production back, one stage after the other", async () => {
    const { handle, fakes } = await startWithdrawal({}, 300);
    temporal.keep("withdraw-model-from-every-stage", handle.workflowId);

    expect(await handle.result()).toMatchObject({ stage: "prod", servesNow: { version: 1 } });
    expect(placesOf(fakes, "settleWithdrawals")).toEqual(reached);
    expect(placesOf(fakes, "removeWithdrawnArtifact")).toEqual(reached);
  });

  test("asks the others, too, when a stage tells that it is closed", async () => {
    let isClosed = true;
    const refuse = (stage: string): void => {
      if (stage !== "prod" || !isClosed) return;
      throw ApplicationFailure.nonRetryable("the role may not be assumed", "AccessDenied");
    };
    const { handle, fakes } = await startWithdrawal(
      {
        restoreArtifacts: async ({ stage }) => {
          refuse(stage);
          return { restored: [], reload: false };
        },
        settleWithdrawals: settledUnless(refuse),
      },
      0.2,
    );
    await expect
      .poll(() => placesOf(fakes, "settleWithdrawals"), { timeout: 30_000 })
      .toEqual(reached);
    expect(placesOf(fakes, "tellDelay")).toEqual(["prod"]);
    isClosed = false;

    expect(await handle.result()).toMatchObject({ stage: "prod", servesNow: null });
  });

  test("is not kept from the others by a stage that gives no answer for a while", async () => {
    let isAway = true;
    const { handle, fakes } = await startWithdrawal(
      {
        settleWithdrawals: settledUnless((stage) => {
          if (stage === "prod" && isAway) throw new Error("unreachable");
        }),
      },
      0.2,
    );
    await expect
      .poll(() => placesOf(fakes, "settleWithdrawals"), { timeout: 30_000 })
      .toEqual(expect.arrayContaining(["qa", "sandbox"]));
    isAway = false;

    expect(await handle.result()).toMatchObject({ stage: "prod", servesNow: null });
  });
});

describe("a newer version", () => {
  test("that is approved and serves overtakes what is still under way", async () => {
    const started = await startRelease({ ...byPolicy, stages: waitsForProd });
    temporal.keep("release-model-overtaken", started.handle.workflowId);
    await until(started, { prod: "lag" });
    await started.handle.signal(overtaken, { version: 6 });
    await started.handle.signal(overtaken, { version: 8 });

    expect(await started.handle.result()).toEqual({ kind: "superseded", version: 8 });
    expect(standingsOf(started.fakes)).toEqual({
      sandbox: "serving",
      qa: "serving",
      prod: "ended",
    });
    // What it serves, it was approved for: nothing is taken back.
    expect(started.recorded()).toEqual([]);
    await expect(withdrawal(started).describe()).rejects.toThrow();
  });

  test("that the ledger knows of keeps it from coming into the next stage", async () => {
    const started = await startRelease(
      { ...byPolicy, stages: waitsForProd },
      {
        activities: {
          recordPromotion: async ({ standings: told }) => ({
            reminders: null,
            overtakenBy: told.some(({ state }) => state === "serving") ? 9 : null,
          }),
        },
      },
    );

    expect(await started.handle.result()).toEqual({ kind: "superseded", version: 9 });
    expect(placesOf(started.fakes, "copyArtifacts")).toEqual(["sandbox"]);
  });

  test("is not waited with: what is being published is brought to its end", async () => {
    const { step, letGo } = held();
    const started = await startRelease(byPolicy, {
      activities: {
        copyArtifacts: async ({ stage }) => {
          if (stage === "qa") await step();
          return { rejected: [], overwritten: [] };
        },
      },
    });
    await expect.poll(() => placesOf(started.fakes, "copyArtifacts")).toContain("qa");
    await started.handle.signal(overtaken, { version: 8 });
    letGo();

    expect(await started.handle.result()).toEqual({ kind: "superseded", version: 8 });
    expect(standingsOf(started.fakes)).toEqual({
      sandbox: "serving",
      qa: "serving",
      prod: "ended",
    });
  });
});

describe("faults", () => {
  test("a stage that is unreachable for a while catches up, and keeps nobody else", async () => {
    let isAway = true;
    const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {
      activities: {
        copyArtifacts: async ({ stage }) => {
          if (stage === "qa" && isAway) throw new Error("unreachable");
          return { rejected: [], overwritten: [] };
        },
      },
    });
    const { taskQueue } = await temporal.worker(fakes.activities);
    const first = aReleaseInput({ ...byPolicy, stages: stagesOf() });
    const start = (customerKey: string) =>
      temporal.client().workflow.start("releaseModel", {
        taskQueue,
        workflowId: workflowIds.releaseModel(first.fleet, customerKey, first.version),
        args: [{ ...first, customerKey }],
      });
    const one = await start("xna");
    await expect.poll(() => placesOf(fakes, "copyArtifacts")).toContain("qa");
    const other = await start("yyz");
    const sandboxed = () =>
      placesOf(fakes, "verifyAndPoint").filter((stage) => stage === "sandbox");
    await expect.poll(() => sandboxed().length, { timeout: 30_000 }).toBe(2);
    isAway = false;

    for (const release of [one, other])
      expect(await release.result()).toMatchObject({ kind: "serving" });
  });

  test("a worker that dies between two stages is replaced, and nothing is done twice", async () => {
    const fakes: Fakes = createFakes(temporal.client(), () => first.taskQueue, {});
    const first = await temporal.worker(fakes.activities);
    const { taskQueue } = first;
    const input = aReleaseInput({ ...byPolicy, stages: waitsForProd });
    const handle = await temporal.client().workflow.start("releaseModel", {
      taskQueue,
      workflowId: workflowIds.releaseModel(input.fleet, input.customerKey, input.version),
      args: [input],
    });
    await expect
      .poll(() => placesOf(fakes, "verifyAndPoint"), { timeout: 30_000 })
      .toEqual(["sandbox", "qa"]);
    await first.stop();
    await temporal.worker(fakes.activities, { taskQueue });
    await handle.executeUpdate(promote, { args: [{ kind: "hurry", by: "ann" }] });

    expect(await handle.result()).toMatchObject({ kind: "serving" });
    expect(placesOf(fakes, "verifyAndPoint")).toEqual(["sandbox", "qa", "prod"]);
  });
});
