import { describe, expect, test } from "vitest";
import { historyCost } from "../../bench/cycle/history-cost.js";

const at = (seconds: number) => ({ seconds, nanos: 0 });
const start = (attributes: object) => ({
  eventId: 1,
  workflowExecutionStartedEventAttributes: attributes,
});
const activity = ({ attempt = 1, heartbeatSeconds = 0, ranSeconds = 0 }) => [
  {
    eventId: 5,
    activityTaskScheduledEventAttributes: { heartbeatTimeout: at(heartbeatSeconds) },
  },
  { eventId: 6, eventTime: at(100), activityTaskStartedEventAttributes: { attempt } },
  {
    eventId: 7,
    eventTime: at(100 + ranSeconds),
    activityTaskCompletedEventAttributes: { scheduledEventId: 5, startedEventId: 6 },
  },
];
const cost = (...events: object[]) => historyCost({ events });

describe("billable actions of a history", () => {
  test("a start is one action, a child's start two", () => {
    expect(cost(start({})).actions).toBe(1);
    expect(cost(start({ parentWorkflowExecution: { workflowId: "parent" } })).actions).toBe(2);
  });

  test("a run that continues another one is one action, also of a child", () => {
    const continued = { continuedExecutionRunId: "before", parentWorkflowExecution: {} };
    expect(cost(start(continued)).actions).toBe(1);
  });

  test("an activity is one action, and each retry one more", () => {
    expect(cost(...activity({})).actions).toBe(1);
    expect(cost(...activity({ attempt: 4 })).actions).toBe(4);
  });

  test("timers, signals received, updates and upserts are one action each", () => {
    const { actions, events } = cost(
      { timerStartedEventAttributes: {} },
      { workflowExecutionSignaledEventAttributes: {} },
      { workflowExecutionUpdateAcceptedEventAttributes: {} },
      { upsertWorkflowSearchAttributesEventAttributes: {} },
      { workflowTaskCompletedEventAttributes: {} },
    );
    expect(actions).toBe(4);
    expect(events).toBe(5);
  });
});

describe("heartbeats, which leave no event", () => {
  test("are at most one per 0.8 of the heartbeat timeout", () => {
    expect(cost(...activity({ heartbeatSeconds: 10, ranSeconds: 80 })).heartbeats).toBe(10);
  });

  test("are held back for at most a minute, however long the timeout", () => {
    expect(cost(...activity({ heartbeatSeconds: 600, ranSeconds: 180 })).heartbeats).toBe(3);
  });

  test("do not come from activities without a heartbeat timeout", () => {
    expect(cost(...activity({ ranSeconds: 500 })).heartbeats).toBe(0);
  });
});
