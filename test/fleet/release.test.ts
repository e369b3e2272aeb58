/** The states of a release. */
import { describe, expect, test } from "vitest";
import {
  describeRelease,
  isEcho,
  nextState,
  openRelease,
  refusalOf,
  type ReleaseDecision,
  type ReleaseEvent,
  type ReleaseState,
} from "../../fleet/release.js";

const open = openRelease(undefined);
const approval: ReleaseDecision = { verdict: "approve", by: "ann" };
const denial: ReleaseDecision = { verdict: "deny", by: "bob", note: "drift in May" };
const decideRelease = (decision: ReleaseDecision): ReleaseState =>
  nextState(open, { kind: "decided", decision });

test("a release waits for a person unless the policy approved it", () => {
  expect(open).toEqual({ kind: "awaiting-approval" });
  expect(openRelease("policy:f")).toEqual({ kind: "publishing", approvedBy: "policy:f" });
});

test("a decision moves it on", () => {
  expect(decideRelease(approval)).toEqual({ kind: "publishing", approvedBy: "ann" });
  expect(decideRelease(denial)).toEqual({ kind: "denied", by: "bob", note: "drift in May" });
});

describe("refused", () => {
  test.each<[string, Partial<ReleaseDecision>, string]>([
    ["nobody", { verdict: "approve" }, "nobody is named"],
    ["an empty name", { verdict: "approve", by: "  " }, "nobody is named"],
    ["a denial without a reason", { verdict: "deny", by: "bob" }, "needs a reason"],
    ["no verdict", { by: "ann" }, "the verdict must be"],
  ])("%s", (_what, decision, message) => {
    expect(refusalOf(open, decision)).toContain(message);
  });

  test.each<ReleaseState>([
    decideRelease(approval),
    decideRelease(denial),
    { kind: "superseded", version: 8 },
    { kind: "expired", after: "14d" },
    { kind: "denied-while-publishing", by: "bob", note: "drift" },
    { kind: "serving", approvedBy: "ann", targetModel: "xna/v000007.tar.gz" },
    { kind: "denied-while-serving", by: "bob", note: "drift" },
    { kind: "rejected", approvedBy: "ann", because: "its artifact is gone" },
  ])("an approval once it is decided: $kind", (state) => {
    expect(refusalOf(state, approval)).toBe(`already decided: ${describeRelease(state)}`);
  });
});

test("complete decisions are not refused", () => {
  expect(refusalOf(open, approval)).toBeNull();
  expect(refusalOf(open, denial)).toBeNull();
});

test("every state says who and why", () => {
  expect(describeRelease(decideRelease(denial))).toBe("denied by bob: drift in May");
  expect(
    describeRelease({ kind: "rejected", approvedBy: "ann", because: "its artifact is gone" }),
  ).toBe("approved by ann, but not published: its artifact is gone");
});

const served: ReleaseEvent = { kind: "served", targetModel: "xna/v000007.tar.gz" };
const notServed: ReleaseEvent = { kind: "not-served", because: "its artifact is gone" };
const superseded: ReleaseEvent = { kind: "superseded", version: 8 };
const expired: ReleaseEvent = { kind: "expired", after: "14d" };
const approved: ReleaseEvent = { kind: "decided", decision: approval };
const denied: ReleaseEvent = { kind: "decided", decision: denial };
const after = (from: ReleaseState, ...events: ReleaseEvent[]): ReleaseState["kind"] =>
  events.reduce(nextState, from).kind;

describe("of two events in the same moment, the first that is taken decides", () => {
  const publishing = openRelease("ann");
  test.each<[string, ReleaseState, ReleaseEvent[], ReleaseState["kind"]]>([
    ["approve, deny", open, [approved, denied], "denied-while-publishing"],
    ["deny, approve", open, [denied, approved], "denied"],
    ["approve, supersede", open, [approved, superseded], "publishing"],
    ["supersede, approve", open, [superseded, approved], "superseded"],
    ["deny, supersede", open, [denied, superseded], "denied"],
    ["supersede, deny", open, [superseded, denied], "superseded"],
    ["expire, approve", open, [expired, approved], "expired"],
    ["approve, expire", open, [approved, expired], "publishing"],
    ["expire, supersede", open, [expired, superseded], "expired"],
    ["supersede, expire", open, [superseded, expired], "superseded"],
    ["deny, served", publishing, [denied, served], "denied-while-serving"],
    ["served, deny", publishing, [served, denied], "denied-while-serving"],
    ["deny, not served", publishing, [denied, notServed], "denied"],
    ["not served, deny", publishing, [notServed, denied], "denied"],
    ["served, not served", publishing, [served, notServed], "serving"],
    ["not served, served", publishing, [notServed, served], "rejected"],
    ["deny twice, served", publishing, [denied, denied, served], "denied-while-serving"],
    ["denied for good, approve", publishing, [denied, notServed, approved], "denied"],
  ])("%s", (_order, from, events, kind) => {
    expect(after(from, ...events)).toBe(kind);
  });

  test("what comes too late leaves the very same state", () => {
    for (const event of [superseded, expired, approved, notServed]) {
      const state: ReleaseState = { kind: "serving", approvedBy: "ann", targetModel: "t" };
      expect(nextState(state, event)).toBe(state);
    }
  });
});

test("what the registry says after us is an echo, what contradicts us is not", () => {
  const publishing = decideRelease(approval);
  expect(isEcho(open, "approve")).toBe(false);
  expect(isEcho(publishing, "approve")).toBe(true);
  expect(isEcho(publishing, "deny")).toBe(false);
  for (const state of [
    decideRelease(denial),
    nextState(open, superseded),
    nextState(open, expired),
  ]) {
    expect(isEcho(state, "deny")).toBe(true);
    expect(isEcho(state, "approve")).toBe(false);
  }
});
