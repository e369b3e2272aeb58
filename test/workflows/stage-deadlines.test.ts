/** A version that waits for a stage's own approval: people are reminded, it waits on, and never for whom it tells. */
import { ApplicationFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import type { StageReminders } from "../../fleet/approval.js";
import type { PromotionStage } from "../../fleet/stages.js";
import { promote } from "../../workflows/messages.js";
import { useTemporal } from "./environment.js";
import type { Activities } from "./fakes.js";
import { held, startRelease, type StartedRelease } from "./releases.js";

const temporal = useTemporal();

const stages: PromotionStage[] = [
  { name: "sandbox", approval: "release", lagSeconds: 0 },
  { name: "qa", approval: "stage", lagSeconds: 0 },
  { name: "prod", approval: "stage", lagSeconds: 0 },
];
const HOUR = 3600;
const reminders = (remind: number, escalate: number): StageReminders => ({
  webhook: "SLACK_WEBHOOK_URL",
  deadlines: [
    { kind: "remind", after: "2d", seconds: remind },
    { kind: "escalate", after: "5d", seconds: escalate },
  ],
});

/** Approved by the policy; while a stage waits, the ledger answers with these reminders. */
const start = (
  declared: StageReminders | null,
  activities: Partial<Activities> = {},
): Promise<StartedRelease> =>
  startRelease(
    temporal,
    { stages, approvedBy: "policy:flights" },
    {
      activities: {
        recordPromotion: async ({ standings }) => ({
          overtakenBy: null,
          reminders: standings.some(({ state }) => state === "stage-approval") ? declared : null,
        }),
        ...activities,
      },
    },
  );

const approve = ({ handle }: StartedRelease, stage: string) =>
  handle.executeUpdate(promote, { args: [{ kind: "approve-stage", stage, by: "ann" }] });

const told = ({ fakes }: StartedRelease) =>
  fakes
    .named("notifyStageWaiting")
    .map((input) => input as Parameters<Activities["notifyStageWaiting"]>[0]);

const waitsFor = (started: StartedRelease, stage: string) =>
  expect
    .poll(() => JSON.stringify(started.fakes.named("recordPromotion").at(-1)), { timeout: 30_000 })
    .toContain(`{"stage":"${stage}","due":null,"approved":null,"state":"stage-approval"`);

describe("nobody approves it for the stage", () => {
  test("so people are reminded and told again, from when it began to wait, in each such stage", async () => {
    const started = await start(reminders(0.1, 0.2));
    temporal.keep("release-model-stage-reminded", started.handle.workflowId);
    const { fleet, cycle } = started.input;
    await started.fakes.called("notifyStageWaiting", 2);
    await approve(started, "qa");
    await started.fakes.called("notifyStageWaiting", 4);
    await approve(started, "prod");

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    const common = { fleet, cycle, webhook: "SLACK_WEBHOOK_URL" };
    expect(told(started)).toMatchObject([
      { ...common, stage: "qa", kind: "remind", after: "2d" },
      { ...common, stage: "qa", kind: "escalate", after: "5d" },
      { ...common, stage: "prod", kind: "remind" },
      { ...common, stage: "prod", kind: "escalate" },
    ]);
    const [qa, again, prod] = told(started).map(({ since }) => Date.parse(since));
    expect(again).toBe(qa);
    expect(prod).toBeGreaterThan(qa ?? Infinity);
  });

  test("and what changes meanwhile is no reason to remind them again", async () => {
    const started = await start(reminders(0.1, HOUR));
    await started.fakes.called("notifyStageWaiting");
    await approve(started, "prod");
    await expect
      .poll(() => JSON.stringify(started.fakes.named("recordPromotion").at(-1)))
      .toContain('"by":"ann"');
    await approve(started, "qa");

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    expect(told(started)).toMatchObject([{ stage: "qa", kind: "remind" }]);
  });
});

test("who approves in time is not told", async () => {
  const started = await start(reminders(HOUR, 2 * HOUR));
  await waitsFor(started, "qa");
  await approve(started, "qa");
  await waitsFor(started, "prod");
  await approve(started, "prod");

  expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  expect(told(started)).toEqual([]);
});

test("without a webhook the wait takes no timer and no activity", async () => {
  const started = await start(null);
  await waitsFor(started, "qa");
  await approve(started, "qa");
  await waitsFor(started, "prod");
  await approve(started, "prod");

  expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  const { events } = await started.handle.fetchHistory();
  expect(events?.filter((event) => event.timerStartedEventAttributes != null)).toEqual([]);
  const activities = (events ?? []).flatMap(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
  );
  expect(new Set(activities)).toEqual(new Set(["recordPromotion", "requestPublication"]));
});

describe("a webhook that fails", () => {
  test("is told on the page, and the approval is taken all the same", async () => {
    const started = await start(reminders(0.1, HOUR), {
      notifyStageWaiting: async () => {
        throw ApplicationFailure.nonRetryable("the webhook SLACK_WEBHOOK_URL answered 404");
      },
    });
    await expect
      .poll(() => started.page(), { timeout: 30_000 })
      .toContain("stage qa (remind) was not sent: the webhook SLACK_WEBHOOK_URL answered 404");
    await approve(started, "qa");
    await approve(started, "prod");

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  });

  test("holds no approval up while it is being tried", async () => {
    const step = held();
    const started = await start(reminders(0.1, HOUR), { notifyStageWaiting: step.step });
    await started.fakes.called("notifyStageWaiting");
    await approve(started, "qa");
    await approve(started, "prod");

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    step.letGo();
  });
});
