/** What people are told: how many, who for example, why, and the commands that act on it. */
import { describe, expect, test } from "vitest";
import {
  delayMessage,
  driftMessage,
  stageBackMessage,
  stageClosedMessage,
  stageWaitingMessage,
  waitingMessage,
  type DriftFound,
} from "../../fleet/notifications.js";

describe("of models that wait for their decision", () => {
  const waiting = {
    fleet: "delays",
    cycle: "2026-11-01",
    waiting: 37,
    customers: ["ATL", "ORD"],
    isCohort: false,
  };

  test("tells how many wait, who for example, and what to do", () => {
    const message = waitingMessage(waiting, { kind: "remind", after: "2d" }, "deny");
    expect(message.title).toBe("delays: 37 models wait for a decision");
    expect(message.body).toBe("Cycle 2026-11-01: ATL, ORD, and 35 more.");
    expect(message.commands).toContain("modelfleet models delays --pending");
  });

  test("of the last deadline says what happens now", () => {
    const last = { kind: "expire", after: "14d" } as const;
    const one = { ...waiting, waiting: 1, customers: ["ATL"] };
    expect(waitingMessage(one, last, "deny").body).toContain("Each is denied");
    expect(waitingMessage(one, last, "keep-waiting").body).toContain("wait on");
    expect(waitingMessage(one, last, "deny").title).toContain("1 model waits");
  });

  test("of a cohort asks for its one decision", () => {
    const cohort = { ...waiting, isCohort: true };
    const message = waitingMessage(cohort, { kind: "expire", after: "14d" }, "deny");
    expect(message.title).toBe(
      "delays: 37 models wait for one decision, and the time for it, 14d, is up",
    );
    expect(message.body).toMatch(/They are denied, all at once\.$/);
    expect(message.commands).toEqual([
      "modelfleet models delays --pending",
      "modelfleet approve delays --cohort 2026-11-01",
    ]);
  });
});

describe("of models that wait for a stage's own approval", () => {
  const waiting = {
    ...{ fleet: "delays", cycle: "2026-11-01", waiting: 2 },
    ...{ customers: ["ATL", "Old O'Hare"], isCohort: false },
  };
  const reminder = { stage: "prod", kind: "remind", after: "2d" } as const;

  test("names the stage, and the command for those who are named", () => {
    expect(stageWaitingMessage(waiting, reminder)).toEqual({
      title: "delays: 2 models wait for the approval of stage prod",
      body: "Cycle 2026-11-01: ATL, Old O'Hare. What serves in the stages before serves on meanwhile.",
      commands: [
        "modelfleet status delays --stages",
        String.raw`modelfleet approve delays ATL 'Old O'\''Hare' --stage prod`,
      ],
    });
  });

  test("later says how long", () => {
    const one = { ...waiting, waiting: 1, customers: ["ATL"] };
    const { title } = stageWaitingMessage(one, { ...reminder, kind: "escalate", after: "5d" });
    expect(title).toBe("delays: 1 model waits for the approval of stage prod for more than 5d");
  });

  test("of a cohort approves all of it", () => {
    const { commands, body } = stageWaitingMessage(
      { ...waiting, waiting: 500, isCohort: true },
      reminder,
    );
    expect(body).toContain("ATL, Old O'Hare, and 498 more.");
    expect(commands).toContain("modelfleet approve delays --cohort 2026-11-01 --stage prod");
  });
});

describe("of a stage that cannot be reached", () => {
  const closed = {
    ...{ fleet: "delays", stage: "prod", account: "333333333333" },
    since: "2026-11-21T14:30:12.345Z",
  };

  test("says since when, and why", () => {
    const { title, body, commands } = stageClosedMessage(closed, "the role is gone.");
    expect(title).toBe("delays: stage prod cannot be reached since 2026-11-21 14:30 UTC");
    expect(body).toMatch(/^Account 333333333333: the role is gone\. What is on its way into/);
    expect(commands).toEqual(["modelfleet doctor", "modelfleet status delays --stages"]);
  });

  test("cuts a service's long words short, so that ours are read", () => {
    const { body } = stageClosedMessage(closed, "x".repeat(5000));
    expect(body.length).toBeLessThan(700);
    expect(body).toMatch(/other stages go on\.$/);
  });

  test("says when it is back", () => {
    expect(stageBackMessage(closed)).toMatchObject({
      title: "delays: stage prod can be reached again",
      body: expect.stringContaining("since 2026-11-21 14:30 UTC") as string,
    });
  });
});

test("of versions that were denied and serve on says how many, where and why", () => {
  const delayed = { fleet: "delays", stage: "prod", waiting: 9, customers: ["ATL", "ORD"] };
  expect(delayMessage(delayed, "the endpoint is Failed")).toMatchObject({
    title: "delays: 9 versions that were denied serve on in stage prod",
    body: "ATL, ORD, and 7 more: the endpoint is Failed. It is tried again until it is done.",
  });
  const one = { ...delayed, waiting: 1, customers: ["ATL"] };
  expect(delayMessage(one, "").title).toContain("1 version that was denied serves on");
});

describe("of customers that have drifted", () => {
  const found: DriftFound = {
    ...{ fleet: "machines", run: "2025-05-01-drift", compared: 40, drifted: 9, retrained: 3 },
    customers: ["M010", "M003", "M007"],
    worst: {
      ...{ measure: "psi", column: "load", value: 0.4123, threshold: 0.25 },
      ...{ byChance: 0.02, exceeds: true },
    },
    left: [
      { customers: 4, because: "drift.maxRetrainings is 3, and others are worse" },
      { customers: 1, because: "cycle 2025-05-01 is retraining it already" },
      { customers: 1, because: "version 3 waits for a decision or is being published" },
    ],
  };

  test("tells who is retrained, the worst figure, who is left and why, and where to look", () => {
    expect(driftMessage(found)).toEqual({
      title: "machines: 3 customers have drifted and are retrained",
      body:
        "Of 40 compared, 9 have drifted. Retrained: M010, M003, M007. " +
        "The worst, M010: PSI of load 0.412, at most 0.25 is tolerated. " +
        "Left for now: 6 (4 as drift.maxRetrainings is 3, and others are worse; " +
        "1 as cycle 2025-05-01 is retraining it already; " +
        "1 as version 3 waits for a decision or is being published).",
      commands: [
        "modelfleet drift machines --run 2025-05-01-drift",
        "modelfleet status machines --cycle 2025-05-01-drift",
      ],
    });
  });

  test("says no more than there is", () => {
    const one = { ...found, drifted: 1, retrained: 1, customers: ["M010"], left: [] };
    const { title, body } = driftMessage(one);
    expect(title).toBe("machines: 1 customer has drifted and is retrained");
    expect(body).not.toContain("Left");
  });

  test("names only the commonest reasons", () => {
    const left = ["a", "b", "c", "d"].map((because) => ({ customers: 1, because }));
    expect(driftMessage({ ...found, left }).body).toMatch(/1 as c; others for other reasons\)\.$/);
  });
});
