import { describe, expect, test } from "vitest";
import {
  refusalOfWithdrawal,
  versionToGoBackTo,
  withdrawalWords,
  type RecordedState,
  type RecordedVersion,
} from "../../fleet/way-back.js";

const version = (
  number: number,
  state: RecordedState,
  changes: Partial<RecordedVersion> = {},
): RecordedVersion => ({ version: number, state, verified: true, serves: false, ...changes });

const SERVING = version(5, "withdrawn", { serves: true });

describe("the version to go back to", () => {
  test.each<[string, RecordedVersion[], number | null]>([
    ["is the newest that has served", [version(1, "retired"), version(2, "retired")], 2],
    ["is none when there is no other", [], null],
    ["has been verified in this stage", [version(4, "approved", { verified: false })], null],
    ["may be approved and verified, without having served long", [version(4, "approved")], 4],
    ["was never denied", [version(4, "denied"), version(3, "retired")], 3],
    ["was never withdrawn", [version(4, "withdrawn"), version(3, "retired")], 3],
    ["was never rejected", [version(4, "rejected"), version(3, "retired")], 3],
    [
      "is none that was superseded or expired",
      [version(4, "superseded"), version(3, "expired")],
      null,
    ],
    ["is none that waits", [version(6, "pending")], null],
    ["may be newer than the one that leaves", [version(6, "retired"), version(4, "retired")], 6],
  ])("%s", (_what, others, expected) => {
    const leaving = { version: 5, passedOver: [] };
    expect(versionToGoBackTo([SERVING, ...others], leaving)).toBe(expected);
  });

  const others = [1, 2, 3].map((number) => version(number, "retired"));

  test("is the one that was asked for", () => {
    expect(versionToGoBackTo(others, { version: 5, to: 1, passedOver: [] })).toBe(1);
  });

  test("is another when the one that was asked for did not answer well", () => {
    expect(versionToGoBackTo(others, { version: 5, to: 1, passedOver: [1] })).toBe(3);
    expect(versionToGoBackTo(others, { version: 5, passedOver: [3, 2, 1] })).toBeNull();
  });
});

describe("a withdrawal is refused", () => {
  test.each<[string, RecordedVersion[], { version: number; to?: number }]>([
    ["there is no version 9", [SERVING], { version: 9 }],
    [
      "version 6 waits for a decision and does not serve: deny it",
      [version(6, "pending")],
      { version: 6 },
    ],
    [
      "version 6 does not serve: it is superseded already",
      [version(6, "superseded")],
      { version: 6 },
    ],
    ["version 6 does not serve: it is denied already", [version(6, "denied")], { version: 6 }],
    ["version 5 is the one that is to leave", [SERVING], { version: 5, to: 5 }],
    ["there is no version 9 to go back to", [SERVING], { version: 5, to: 9 }],
    [
      "version 4 cannot serve again: it was denied",
      [SERVING, version(4, "denied")],
      { version: 5, to: 4 },
    ],
    [
      "version 4 cannot serve again: nobody has approved it",
      [SERVING, version(4, "pending")],
      { version: 5, to: 4 },
    ],
    [
      "version 4 cannot serve again: it has never served in this stage",
      [SERVING, version(4, "approved", { verified: false })],
      { version: 5, to: 4 },
    ],
  ])("%s", (sentence, versions, asked) => {
    expect(refusalOfWithdrawal(versions, asked)).toBe(sentence);
  });

  test.each<[string, RecordedVersion]>([
    ["that serves", version(5, "serving", { serves: true })],
    ["that was denied while it was published", version(5, "denied", { serves: true })],
    ["that served before", version(5, "retired")],
    ["on its way to serving", version(5, "approved", { verified: false })],
  ])("not: a version %s", (_what, leaving) => {
    expect(refusalOfWithdrawal([leaving], { version: 5 })).toBeNull();
  });
});

test("a withdrawal is told in one clause, with its reason if there is one", () => {
  expect(withdrawalWords({ by: "ann", because: "too slow" })).toBe(
    "withdrawn: denied by ann: too slow",
  );
  expect(withdrawalWords({ by: "ann", because: null })).toBe("withdrawn: denied by ann");
});
