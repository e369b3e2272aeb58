/** What a cell of `modelfleet status --stages` says. */
import { expect, test } from "vitest";
import { cellText } from "../../client/cli/stage-matrix.js";
import type { ComingVersion } from "../../client/stage-matrix.js";

const now = Date.parse("2026-01-01T00:00:00Z");
const coming = (changes: Partial<ComingVersion>): ComingVersion => ({
  ...{ version: 3, state: "ahead", due: null, note: null },
  ...changes,
});

test.each<[number | null, ComingVersion | null, string]>([
  [2, null, "2"],
  [null, null, "–"],
  [2, coming({}), "2 → 3"],
  [null, coming({ state: "publishing" }), "– → 3 being published"],
  [2, coming({ state: "lag", due: "2026-01-01T00:00:40.000Z" }), "2 → 3 in 40 s"],
  [2, coming({ state: "lag", due: "2026-01-07T04:30:00.000Z" }), "2 → 3 in 6 d 4 h"],
  [2, coming({ state: "lag", due: "2025-12-31T23:59:00.000Z" }), "2 → 3 in 0 s"],
  [2, coming({ state: "held", note: "by ann: audit" }), "2 → 3 held by ann: audit"],
  [2, coming({ state: "approval" }), "2 → 3 waits for approval"],
  [2, coming({ state: "stage-approval" }), "2 → 3 waits for the stage's approval"],
  [2, coming({ state: "rejected", note: "no capacity" }), "2 → 3 rejected: no capacity"],
])("version %j, then %j", (version, next, text) => {
  expect(cellText({ stage: "prod", version, coming: next }, now)).toBe(text);
});
