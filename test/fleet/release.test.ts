/** The states of a release. */
import { describe, expect, test } from "vitest";
import {
  decideRelease,
  describeRelease,
  openRelease,
  refusalOf,
  type ReleaseDecision,
  type ReleaseState,
} from "../../fleet/release.js";

const open = openRelease(undefined);
const approval: ReleaseDecision = { verdict: "approve", by: "ann" };
const denial: ReleaseDecision = { verdict: "deny", by: "bob", note: "drift in May" };

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
    { kind: "serving", approvedBy: "ann", targetModel: "xna/v000007.tar.gz" },
    { kind: "rejected", approvedBy: "ann", because: "its artifact is gone" },
  ])("anything once it is decided: $kind", (state) => {
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
