/** What would change when a schedule is applied, and whose doing it is. */
import { describe, expect, test } from "vitest";
import { monthly } from "../../index.js";
import {
  appliedFacts,
  changedLines,
  compareSchedules,
  declaredFacts,
  editsSince,
  fleetFacts,
  type ScheduleFacts,
} from "../../fleet/schedule-diff.js";
import { scheduleSchema, type ScheduleInput } from "../../fleet/schedule.schema.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { aFleetSpec } from "../workflows/builders.js";

const facts = (
  schedule: Partial<Extract<ScheduleInput, { kind: "monthly" }>> = {},
  spec: Partial<FleetSpec> = {},
): ScheduleFacts =>
  declaredFacts(
    aFleetSpec({ name: "churn", ...spec }),
    scheduleSchema.parse({ ...monthly({ day: 1, at: "03:00" }), ...schedule }),
    "retrainOnSchedule",
  );

test("what is as declared has no changes", () => {
  expect(compareSchedules(facts(), facts(), appliedFacts(facts()))).toEqual([]);
});

test("equal declarations in other words have no changes", () => {
  const [one, other] = [facts({ jitter: "60m" }), facts({ jitter: "1h" })];
  expect(compareSchedules(one, other, appliedFacts(one))).toEqual([]);
});

describe("a change", () => {
  test("of the file is told with what was and what becomes", () => {
    const [standing, declared] = [facts(), facts({ day: 2, at: "04:30" }, { concurrency: 20 })];
    expect(compareSchedules(standing, declared, appliedFacts(standing))).toEqual([
      {
        field: "schedule",
        was: "at 03:00 on day 1 of every month",
        becomes: "at 04:30 on day 2 of every month",
        editedByHand: false,
      },
      { field: "concurrency", was: "50", becomes: "20", editedByHand: false },
    ]);
  });

  test("by hand is told apart from one of the file", () => {
    const [applied, standing] = [facts({ jitter: "10m" }), facts({ jitter: "5m" })];
    const declared = facts({ jitter: "10m", overlap: "buffer-one" });
    expect(compareSchedules(standing, declared, appliedFacts(applied))).toMatchObject([
      { field: "schedule.jitter", was: "5m", becomes: "10m", editedByHand: true },
      { field: "schedule.overlap", was: "skip", becomes: "buffer-one", editedByHand: false },
    ]);
  });

  test("by hand in the fleet that is started is told, too", () => {
    const [applied, standing] = [facts(), facts({}, { concurrency: 500 })];
    expect(compareSchedules(standing, applied, appliedFacts(applied))).toMatchObject([
      { field: "concurrency", was: "500", becomes: "50", editedByHand: true },
    ]);
  });

  test("without a note of what was applied is a hand's", () => {
    expect(compareSchedules(facts({ jitter: "5m" }), facts(), undefined)).toMatchObject([
      { field: "schedule.jitter", editedByHand: true },
    ]);
  });

  test("that only a hand can make is taken back", () => {
    const standing = facts();
    const ended = new Map([...standing.schedule, ["schedule.endAt", "2027-01-01T00:00:00.000Z"]]);
    const edited = { ...standing, schedule: ended };
    const expected = { field: "schedule.endAt", was: "2027-01-01T00:00:00.000Z", becomes: null };
    expect(compareSchedules(edited, standing, appliedFacts(standing))).toEqual([
      { ...expected, editedByHand: true },
    ]);
    expect(editsSince(edited, appliedFacts(standing))).toMatchObject([
      { field: "schedule.endAt", was: null, becomes: "2027-01-01T00:00:00.000Z" },
    ]);
  });
});

test("edits since are unknown without a note of what was applied", () => {
  expect(editsSince(facts(), undefined)).toBeUndefined();
  expect(editsSince(facts(), appliedFacts(facts()))).toEqual([]);
});

test("the fleet's leaves are told by their paths; the schedule is told apart", () => {
  const spec = { ...aFleetSpec(), schedule: { kind: "monthly" }, approval: undefined };
  const leaves = fleetFacts({ ...spec, extra: { a: "5", b: 5, c: [1, 2] } });
  expect(leaves.get("source.window.months")).toBe("6");
  expect(leaves.get("stages")).toBe('[{"account":"111111111111","name":"sandbox"}]');
  expect([leaves.get("extra.a"), leaves.get("extra.b"), leaves.get("extra.c")]).toEqual([
    '"5"',
    "5",
    "[1,2]",
  ]);
  expect([...leaves.keys()].filter((path) => /schedule|approval/.test(path))).toEqual([]);
});

test("of a long text only the lines that differ are shown", () => {
  expect(changedLines("select a\nfrom t\nwhere x\n", "select a, b\nfrom t\nwhere x\n")).toEqual([
    "- select a",
    "+ select a, b",
  ]);
  expect(changedLines("a\nb", "a\nb\nc")).toEqual(["+ c"]);
});
