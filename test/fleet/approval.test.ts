/** How long a model may wait for a decision, as the fleet file says it. */
import { describe, expect, test } from "vitest";
import { approvalSchema } from "../../fleet/approval.schema.js";
import { deadlinesOf, stageReminders } from "../../fleet/approval.js";
import { secondsOf } from "../../fleet/duration.js";
import { registryChange } from "../../fleet/registry-change.js";

test.each([
  ["45s", 45],
  ["30m", 1800],
  ["12h", 43_200],
  ["2d", 172_800],
])("%s is %d seconds", (text, seconds) => {
  expect(secondsOf(text)).toBe(seconds);
});

test.each(["", "2", "d", "2 d", "1.5h", "-1d", "2w"])("%j is no duration", (text) => {
  expect(secondsOf(text)).toBeNaN();
});

describe("the declaration", () => {
  test("has deadlines in the order of time", () => {
    const policy = approvalSchema.parse({
      remindAfter: "2d",
      escalateAfter: "5d",
      expireAfter: "14d",
      webhook: "SLACK_WEBHOOK_URL",
    });
    expect(deadlinesOf(policy)).toEqual([
      { kind: "remind", after: "2d", seconds: 172_800 },
      { kind: "escalate", after: "5d", seconds: 432_000 },
      { kind: "expire", after: "14d", seconds: 1_209_600 },
    ]);
  });

  test("without any waits for ever", () => {
    expect(deadlinesOf(undefined)).toEqual([]);
    expect(approvalSchema.parse({})).toEqual({ onExpiry: "deny" });
  });

  test.each([
    [{ remindAfter: "soon", webhook: "HOOK" }, "remindAfter", "a whole number with its unit"],
    [{ remindAfter: "0d", webhook: "HOOK" }, "remindAfter", "a whole number with its unit"],
    [{ remindAfter: "2d" }, "remindAfter", "needs `webhook`"],
    [{ escalateAfter: "2d" }, "escalateAfter", "needs `webhook`"],
    [
      { remindAfter: "2d", escalateAfter: "48h", webhook: "HOOK" },
      "escalateAfter",
      "must be longer than remindAfter, which is 2d",
    ],
    [
      { remindAfter: "2d", expireAfter: "1d", webhook: "HOOK" },
      "expireAfter",
      "must be longer than remindAfter, which is 2d",
    ],
    [{ webhook: "https://hooks.slack.com/services/T0/B0/x" }, "webhook", "the name of a secret"],
    [{ onExpiry: "approve" }, "onExpiry", ""],
    [{ remind: "2d" }, "", "remind"],
  ])("%j is refused at %s", (declared, field, message) => {
    const issues = approvalSchema.safeParse(declared).error?.issues ?? [];
    expect(issues.map((issue) => issue.path.join("."))).toContain(field);
    expect(issues.map((issue) => issue.message).join("\n")).toContain(message);
  });
});

describe("what a stage tells that waits for its own approval", () => {
  const declared = { remindAfter: "2d", escalateAfter: "5d", expireAfter: "14d" };

  test("is the reminder and the escalation: there nothing expires", () => {
    expect(stageReminders(approvalSchema.parse({ ...declared, webhook: "HOOK" }))).toEqual({
      webhook: "HOOK",
      deadlines: [
        { kind: "remind", after: "2d", seconds: 172_800 },
        { kind: "escalate", after: "5d", seconds: 432_000 },
      ],
    });
  });

  test.each([undefined, {}, { expireAfter: "14d" }, { webhook: "HOOK", expireAfter: "14d" }])(
    "is nothing of %j",
    (policy) => {
      const parsed = policy === undefined ? undefined : approvalSchema.parse(policy);
      expect(stageReminders(parsed)).toBeNull();
    },
  );
});

test.each([
  ["pending", "Approved", "approve"],
  ["pending", "Rejected", "deny"],
  ["pending", "PendingManualApproval", null],
  ["approved", "Rejected", "deny"],
  ["approved", "Approved", null],
  ["serving", "Rejected", "withdraw"],
  ["serving", "Approved", null],
  ["serving", "PendingManualApproval", null],
  ["serving", undefined, null],
] as const)("a version that is %s here and %s in the registry: %s", (state, status, change) => {
  expect(registryChange(state, status)).toBe(change);
});
