/** A cohort on its way through several stages: as one version, with what people change, denials and newer cohorts. */
import type { WorkflowHandle } from "@temporalio/client";
import { describe, expect, test } from "vitest";
import type { PromotionCommand } from "../../fleet/promotion.js";
import {
  cohortPublished,
  decide,
  overtaken,
  promote,
  type ReleaseCohortInput,
  type WithdrawCohortInput,
  workflowIds,
} from "../../workflows/messages.js";
import type { releaseCohort } from "../../workflows/release-cohort.js";
import type { withdrawCohort } from "../../workflows/withdraw-cohort.js";
import { aFleetName, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { type Activities, createFakes, type Fakes } from "./fakes.js";
import {
  approval,
  byPolicy,
  DENIED_WHILE_PUBLISHING,
  denial,
  placesOf as callsOf,
  stagesOf,
  standingsOf,
  untilStanding,
  waitsForProd,
} from "./promotions.js";
import { held } from "./releases.js";

const temporal = useTemporal();

interface Started {
  readonly input: ReleaseCohortInput;
  readonly fakes: Fakes;
  readonly handle: WorkflowHandle<typeof releaseCohort>;
}

async function start(
  changes: Partial<ReleaseCohortInput> = {},
  activities: Partial<Activities> = {},
): Promise<Started> {
  const input: ReleaseCohortInput = {
    ...{ fleet: aFleetName(), stage: "sandbox", stages: stagesOf(), cycle: "2026-11-01" },
    ...{ version: 3, members: 20, evaluation: "20 models.", pace: testPace },
    ...changes,
  };
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, { activities });
  const { taskQueue } = await temporal.worker(fakes.activities);
  const handle = await temporal.client().workflow.start<typeof releaseCohort>("releaseCohort", {
    taskQueue,
    workflowId: workflowIds.releaseCohort(input.fleet, input.version),
    args: [input],
  });
  return { input, fakes, handle };
}

/** In which stages, in order, whatever the number of pages. */
const placesOf = (fakes: Fakes, name: keyof Activities): string[] => [
  ...new Set(callsOf(fakes, name)),
];

const until = ({ fakes }: Started, states: Readonly<Record<string, string>>) =>
  untilStanding(fakes, states);

const change = ({ handle }: Started, command: PromotionCommand) =>
  handle.executeUpdate(promote, { args: [command] });

/** Of the withdrawal that a release has started: its ledger says where the cohort has been. */
const reaching = (stages: readonly string[]): Partial<Activities> => ({
  recordCohortWithdrawal: async () => ({ stages: [...stages] }),
});

const withdrawal = ({ input }: Started) =>
  temporal
    .client()
    .workflow.getHandle<typeof withdrawCohort>(
      workflowIds.withdrawCohort(input.fleet, input.version),
    );

describe("an approved cohort", () => {
  test("that waits for a stage's own approval has people reminded of it, as one", async () => {
    const deadline = { kind: "remind", after: "2d", seconds: 0.1 } as const;
    const started = await start(
      { ...byPolicy, stages: stagesOf({ prod: { approval: "stage" } }) },
      {
        recordCohortPromotion: async ({ standings: told }) => ({
          overtakenBy: null,
          reminders: told.some(({ state }) => state === "stage-approval")
            ? { webhook: "HOOK", deadlines: [deadline] }
            : null,
        }),
      },
    );
    await started.fakes.called("notifyStageWaiting");
    await change(started, { kind: "approve-stage", stage: "prod", by: "ann" });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    const { fleet, cycle } = started.input;
    expect(started.fakes.named("notifyStageWaiting")).toMatchObject([
      { fleet, cycle, stage: "prod", kind: "remind", webhook: "HOOK" },
    ]);
  });

  test("goes from stage to stage, each of which has published all its pages before the next begins", async () => {
    const started = await start({ stages: stagesOf({ prod: { lagSeconds: 0.2 } }) });
    temporal.keep("release-cohort-promoted", started.handle.workflowId);
    await started.handle.executeUpdate(decide, { args: [approval] });

    expect(await started.handle.result()).toEqual({
      ...{ kind: "serving", serving: 20, rejected: 0, leftOut: 0 },
    });
    const steps = ["copyCohortPage", "verifyCohort", "pointCohortPage"];
    const done = started.fakes.calls.flatMap(({ name, input }) =>
      steps.includes(name) ? [`${(input as { stage: string }).stage} ${name}`] : [],
    );
    expect([...new Set(done)]).toEqual(
      ["sandbox", "qa", "prod"].flatMap((stage) => steps.map((step) => `${stage} ${step}`)),
    );
    expect(standingsOf(started.fakes)).toEqual({
      sandbox: "serving",
      qa: "serving",
      prod: "serving",
    });
    expect(started.fakes.named("recordCohortDecision")).toMatchObject([{ state: "approved" }]);
  });

  test("goes no further than the stage that rejects all of it", async () => {
    const because = "none of 20 sampled models answers as in training";
    const started = await start(byPolicy, {
      verifyCohort: async ({ stage }) =>
        stage === "qa" ? { kind: "broken", because } : { kind: "sound" },
    });

    expect(await started.handle.result()).toEqual({
      ...{ kind: "rejected", because: `in stage qa: ${because}` },
    });
    expect(standingsOf(started.fakes)).toEqual({
      sandbox: "serving",
      qa: "rejected",
      prod: "ahead",
    });
    expect(placesOf(started.fakes, "copyCohortPage")).toEqual(["sandbox", "qa"]);
  });

  test("is counted by the last stage that has it", async () => {
    const started = await start(byPolicy, {
      answerCohort: async ({ stage, version, releaseWorkflowId }) => {
        const rejected = stage === "sandbox" ? 0 : 5;
        const told = { stage, version, serving: 20 - rejected, rejected, leftOut: 0 };
        const release = temporal.client().workflow.getHandle(releaseWorkflowId);
        await release.signal(cohortPublished, { ...told, because: null });
      },
    });

    expect(await started.handle.result()).toMatchObject({ serving: 15, rejected: 5 });
    expect(standingsOf(started.fakes)).toMatchObject({ prod: "serving" });
  });

  test("asks a stage again whose endpoint's workflow was terminated", async () => {
    const { step, letGo } = held();
    let attempts = 0;
    const started = await start(
      { ...byPolicy, pace: { ...testPace, guardSeconds: 1 } },
      {
        verifyCohort: async ({ stage }) => {
          if (stage === "qa" && (attempts += 1) === 1) await step();
          return { kind: "sound" };
        },
      },
    );
    await expect.poll(() => attempts, { timeout: 30_000 }).toBe(1);
    const endpoint = workflowIds.serveEndpoint(started.input.fleet, "qa");
    await temporal.client().workflow.getHandle(endpoint).terminate();

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    letGo();
  });
});

describe("people change its way", () => {
  test("who hurries ends the lag; a stage that is skipped never gets it", async () => {
    const started = await start({ ...byPolicy, stages: waitsForProd });
    await change(started, { kind: "skip", stage: "qa", by: "ann" });
    await until(started, { sandbox: "serving", qa: "skipped", prod: "lag" });
    await change(started, { kind: "hurry", by: "ann" });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    expect(placesOf(started.fakes, "pointCohortPage")).toEqual(["sandbox", "prod"]);
  });

  test("what is held goes on when it is released", async () => {
    const started = await start();
    await change(started, { kind: "hold", by: "ann", note: "audit" });
    await started.handle.executeUpdate(decide, { args: [approval] });
    await until(started, { sandbox: "held" });
    expect(placesOf(started.fakes, "copyCohortPage")).toEqual([]);
    await change(started, { kind: "release", by: "ann" });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  });

  test("a stage with an approval of its own waits for it", async () => {
    const started = await start({
      ...byPolicy,
      stages: stagesOf({ prod: { approval: "stage" } }),
    });
    await until(started, { prod: "stage-approval" });
    expect(placesOf(started.fakes, "copyCohortPage")).toEqual(["sandbox", "qa"]);
    await change(started, { kind: "approve-stage", stage: "prod", by: "ann" });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  });
});

describe("a stage that wants no approval", () => {
  const stages = stagesOf({ sandbox: { approval: "none" } });

  test("has the cohort before anybody has decided, and has it withdrawn when it is denied", async () => {
    const started = await start({ stages }, reaching(["sandbox"]));
    await until(started, { sandbox: "serving", qa: "approval" });
    expect(placesOf(started.fakes, "copyCohortPage")).toEqual(["sandbox"]);
    await started.handle.executeUpdate(decide, { args: [denial] });

    expect(await started.handle.result()).toMatchObject({ kind: "denied", by: "bob" });
    expect(await withdrawal(started).result()).toMatchObject({ stage: "sandbox", open: 0 });
    expect(standingsOf(started.fakes)).toEqual({ sandbox: "serving", qa: "ended", prod: "ended" });
  });

  test("has it withdrawn when nobody decides in time", async () => {
    const { step, letGo } = held();
    const started = await start(
      { stages },
      {
        ...reaching(["sandbox"]),
        findCohortApproval: async () => {
          await step();
          const deadline = { kind: "expire", after: "14d", seconds: 0 } as const;
          return { supersededBy: null, deadlines: [deadline], onExpiry: "deny", webhook: null };
        },
      },
    );
    await until(started, { sandbox: "serving", qa: "approval" });
    letGo();

    expect(await started.handle.result()).toEqual({ kind: "expired", after: "14d" });
    expect(await withdrawal(started).result()).toMatchObject({ stage: "sandbox" });
  });
});

describe("a denial", () => {
  test.each(DENIED_WHILE_PUBLISHING)(
    "while %s publishes stops its pages, and withdraws",
    async (_what, place, reached) => {
      const { step, letGo } = held();
      let isDenied = false;
      const started = await start(byPolicy, {
        ...reaching(reached),
        recordCohortDecision: async () => {
          isDenied = true;
          return { unknown: [] };
        },
        pointCohortPage: async ({ stage }) => {
          if (stage === place) await step();
          return { after: null, stopped: isDenied };
        },
      });
      await expect
        .poll(() => placesOf(started.fakes, "pointCohortPage"), { timeout: 30_000 })
        .toContain(place);
      await started.handle.executeUpdate(decide, { args: [denial] });
      await started.fakes.called("recordCohortDecision");
      letGo();

      expect(await started.handle.result()).toMatchObject({ kind: "denied", by: "bob" });
      expect(await withdrawal(started).result()).toMatchObject({ stage: reached[0] });
      expect(placesOf(started.fakes, "settleCohortPage")).toEqual(reached);
      expect(placesOf(started.fakes, "removeCohortArtifacts")).toEqual(reached);
      expect(standingsOf(started.fakes)).toMatchObject({ prod: "ended" });
    },
  );

  test("while a stage publishes that gives no answer withdraws from the others all the same", async () => {
    const { step, letGo } = held();
    const started = await start(
      { ...byPolicy, pace: { ...testPace, headStartSeconds: 0.2 } },
      {
        ...reaching(["prod", "qa", "sandbox"]),
        pointCohortPage: async ({ stage }) => {
          if (stage === "prod") await step();
          return { after: null, stopped: stage === "prod" };
        },
      },
    );
    await until(started, { prod: "publishing" });
    await started.handle.executeUpdate(decide, { args: [denial] });

    expect(await started.handle.result()).toMatchObject({ kind: "denied", by: "bob" });
    await expect
      .poll(() => placesOf(started.fakes, "settleCohortPage"), { timeout: 30_000 })
      .toEqual(["qa", "sandbox"]);
    letGo();
    expect(await withdrawal(started).result()).toMatchObject({ stage: "prod", open: 0 });
  });

  test("during the lag stops what is still to come", async () => {
    const reached = ["qa", "sandbox"];
    const started = await start({ ...byPolicy, stages: waitsForProd }, reaching(reached));
    temporal.keep("release-cohort-denied-in-lag", started.handle.workflowId);
    await until(started, { prod: "lag" });
    await started.handle.executeUpdate(decide, { args: [denial] });

    expect(await started.handle.result()).toMatchObject({ kind: "denied" });
    await withdrawal(started).result();
    expect(placesOf(started.fakes, "settleCohortPage")).toEqual(reached);
    expect(placesOf(started.fakes, "copyCohortPage")).toEqual(["sandbox", "qa"]);
  });
});

describe("a withdrawal from every stage", () => {
  const reached = ["prod", "qa", "sandbox"];

  async function withdraw(activities: Partial<Activities>, headStartSeconds: number) {
    const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {
      activities: { ...reaching(reached), ...activities },
    });
    const { taskQueue } = await temporal.worker(fakes.activities);
    const fleet = aFleetName();
    const input: WithdrawCohortInput = {
      ...{ fleet, stage: "prod", version: 3, decision: denial },
      pace: { ...testPace, headStartSeconds },
    };
    const workflowId = workflowIds.withdrawCohort(fleet, 3);
    const handle = await temporal.client().workflow.start<typeof withdrawCohort>("withdrawCohort", {
      ...{ taskQueue, workflowId, args: [input] },
    });
    return { handle, fakes };
  }

  test("goes from production back, page by page, one stage after the other", async () => {
    const { handle, fakes } = await withdraw({}, 300);
    temporal.keep("withdraw-cohort-from-every-stage", handle.workflowId);

    expect(await handle.result()).toMatchObject({ stage: "prod", moved: 20, open: 0 });
    expect(placesOf(fakes, "settleCohortPage")).toEqual(reached);
    expect(fakes.named("settleCohortPage")).toHaveLength(6);
    expect(placesOf(fakes, "removeCohortArtifacts")).toEqual(reached);
  });

  test("is not kept from the others by a stage that gives no answer for a while", async () => {
    let isAway = true;
    const { handle, fakes } = await withdraw(
      {
        settleCohortPage: async ({ stage }) => {
          if (stage === "prod" && isAway) throw new Error("unreachable");
          return { after: null, open: 0 };
        },
      },
      0.2,
    );
    await expect
      .poll(() => placesOf(fakes, "settleCohortPage"), { timeout: 30_000 })
      .toEqual(reached);
    isAway = false;

    expect(await handle.result()).toMatchObject({ stage: "prod", open: 0 });
  });
});

describe("a newer cohort", () => {
  test("that serves overtakes what is still under way, and takes nothing back", async () => {
    const started = await start({ ...byPolicy, stages: waitsForProd });
    temporal.keep("release-cohort-overtaken", started.handle.workflowId);
    await until(started, { prod: "lag" });
    await started.handle.signal(overtaken, { version: 2 });
    await started.handle.signal(overtaken, { version: 4 });

    expect(await started.handle.result()).toEqual({ kind: "superseded", version: 4 });
    expect(standingsOf(started.fakes)).toEqual({
      sandbox: "serving",
      qa: "serving",
      prod: "ended",
    });
    await expect(withdrawal(started).describe()).rejects.toThrow();
  });

  test("that the ledger knows of keeps it from coming into the next stage", async () => {
    const started = await start(byPolicy, {
      recordCohortPromotion: async ({ standings: told }) => ({
        reminders: null,
        overtakenBy: told.some(({ state }) => state === "serving") ? 9 : null,
      }),
    });

    expect(await started.handle.result()).toEqual({ kind: "superseded", version: 9 });
    expect(placesOf(started.fakes, "copyCohortPage")).toEqual(["sandbox"]);
  });
});
