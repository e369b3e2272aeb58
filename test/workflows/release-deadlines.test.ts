/** A release that nobody decides: reminds, escalates, expires, and never waits for whom it tells. */
import { ApplicationFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import type { FoundApproval } from "../../activities/approval.js";
import type { Deadline, DeadlineKind } from "../../fleet/approval.js";
import { decide } from "../../workflows/messages.js";
import { attributeKeys } from "../../workflows/search-attributes.js";
import { useTemporal } from "./environment.js";
import type { Activities } from "./fakes.js";
import { held, startRelease } from "./releases.js";

const temporal = useTemporal();

const deadline = (kind: DeadlineKind, seconds: number): Deadline => ({
  kind,
  seconds,
  after: `${seconds}s`,
});
const never = 3600;

const undecided = (
  deadlines: readonly Deadline[],
  changes: Partial<FoundApproval> = {},
  activities: Partial<Activities> = {},
) => {
  const found: FoundApproval = {
    ...{ supersededBy: null, deadlines, onExpiry: "deny", webhook: "SLACK_WEBHOOK_URL" },
    ...changes,
  };
  return startRelease(
    temporal,
    {},
    { activities: { findApproval: async () => found, ...activities } },
  );
};

const ann = { verdict: "approve", by: "ann" } as const;

describe("nobody decides", () => {
  test("so it reminds, escalates, and is denied when its time is up", async () => {
    const started = await undecided([
      deadline("remind", 0.2),
      deadline("escalate", 0.4),
      deadline("expire", 0.6),
    ]);
    temporal.keep("release-model-expired", started.handle.workflowId);

    expect(await started.handle.result()).toEqual({ kind: "expired", after: "0.6s" });
    expect(started.fakes.named("notifyWaiting")).toMatchObject([
      { kind: "remind", after: "0.2s", webhook: "SLACK_WEBHOOK_URL" },
      { kind: "escalate" },
      { kind: "expire" },
    ]);
    expect(started.recorded()).toMatchObject([
      { state: "expired", decision: { by: "modelfleet", note: "nobody decided within 0.6s" } },
    ]);
    const { typedSearchAttributes } = await started.handle.describe();
    expect(typedSearchAttributes.get(attributeKeys.approvalState)).toBe("EXPIRED");
  });

  test("and the fleet lets it wait on: it can still be approved", async () => {
    const started = await undecided([deadline("expire", 0.1)], { onExpiry: "keep-waiting" });
    await started.fakes.called("notifyWaiting");
    await started.handle.executeUpdate(decide, { args: [ann] });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  });

  test("and there is no webhook: it expires in silence", async () => {
    const started = await undecided([deadline("expire", 0.1)], { webhook: null });

    expect(await started.handle.result()).toMatchObject({ kind: "expired" });
    expect(started.fakes.named("notifyWaiting")).toEqual([]);
  });
});

describe("expire and approve", () => {
  test("expired first: the approval is refused", async () => {
    const step = held();
    const started = await undecided([deadline("expire", 0.1)], {}, { recordDecision: step.step });
    await started.fakes.called("recordDecision");
    const error = await started.handle
      .executeUpdate(decide, { args: [ann] })
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      cause: { message: "already decided: expired: nobody decided within 0.1s" },
    });
    step.letGo();

    expect(await started.handle.result()).toMatchObject({ kind: "expired" });
  });

  test("approved first: the time that is up in the same moment changes nothing", async () => {
    const step = held();
    const found: FoundApproval = {
      ...{ supersededBy: null, deadlines: [deadline("expire", 0)], onExpiry: "deny" },
      webhook: null,
    };
    const findApproval = async () => {
      await step.step();
      return found;
    };
    const started = await startRelease(temporal, {}, { activities: { findApproval } });
    await started.handle.executeUpdate(decide, { args: [ann] });
    step.letGo();

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    expect(started.recorded()).toMatchObject([{ state: "approved" }]);
  });
});

describe("a webhook that fails", () => {
  const failing = {
    notifyWaiting: async () => {
      throw ApplicationFailure.nonRetryable("the webhook SLACK_WEBHOOK_URL answered 404");
    },
  };

  test("is told on the page, and the decision is taken all the same", async () => {
    const deadlines = [deadline("remind", 0.1), deadline("expire", never)];
    const started = await undecided(deadlines, {}, failing);
    await expect
      .poll(() => started.page(), { timeout: 30_000 })
      .toContain("(remind) was not sent: the webhook SLACK_WEBHOOK_URL answered 404");
    await started.handle.executeUpdate(decide, { args: [ann] });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  });

  test("holds no decision up while it is being tried", async () => {
    const step = held();
    const deadlines = [deadline("remind", 0.1), deadline("expire", never)];
    const started = await undecided(deadlines, {}, { notifyWaiting: step.step });
    await started.fakes.called("notifyWaiting");
    await started.handle.executeUpdate(decide, { args: [ann] });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    step.letGo();
  });

  test("does not keep an expired version from being denied", async () => {
    const started = await undecided([deadline("expire", 0.1)], {}, failing);

    expect(await started.handle.result()).toMatchObject({ kind: "expired" });
    expect(started.recorded()).toMatchObject([{ state: "expired" }]);
  });
});
