/** A version's way through its stages: what comes next, and what people may say about it. */
import { describe, expect, test } from "vitest";
import {
  commanded,
  nextStep,
  openPromotion,
  type Promotion,
  type PromotionCommand,
  refusalOfCommand,
  standingsOf,
  withStation,
} from "../../fleet/promotion.js";
import type { PromotionStage } from "../../fleet/stages.js";

const stages: PromotionStage[] = [
  { name: "sandbox", approval: "none", lagSeconds: 0 },
  { name: "qa", approval: "release", lagSeconds: 0 },
  { name: "prod", approval: "stage", lagSeconds: 60 },
];
const at = "2026-01-01T00:00:00.000Z";
const undecided = { isApproved: false, now: 0 };
const approved = { isApproved: true, now: 100_000 };

const served = (promotion: Promotion, stage: string, since = 100_000): Promotion =>
  withStation(promotion, stage, { kind: "serving", since, targetModel: `${stage}.tar.gz` });
const rejected = (promotion: Promotion, stage: string, untried: boolean): Promotion =>
  withStation(promotion, stage, { kind: "rejected", because: "answers otherwise", untried });
const say = (promotion: Promotion, ...commands: PromotionCommand[]): Promotion =>
  commands.reduce((before, command) => commanded(before, command, at), promotion);

const open = openPromotion(stages);
const inSandbox = served(open, "sandbox");
const inQa = served(inSandbox, "qa");
const forProd: PromotionCommand = { kind: "approve-stage", stage: "prod", by: "ann" };

describe("what comes next", () => {
  test.each<[string, Promotion, { isApproved: boolean; now: number }, object]>([
    [
      "a stage that takes what nobody has approved",
      open,
      undecided,
      { kind: "publish", stage: "sandbox" },
    ],
    [
      "its answer",
      withStation(open, "sandbox", { kind: "publishing" }),
      undecided,
      { kind: "publishing", stage: "sandbox" },
    ],
    [
      "the version's approval",
      inSandbox,
      undecided,
      { kind: "wait", stage: "qa", for: "approval" },
    ],
    [
      "the same, where such a stage has rejected it",
      rejected(open, "sandbox", true),
      undecided,
      { kind: "wait", stage: "sandbox", for: "approval" },
    ],
    [
      "that stage again, once the version is approved",
      rejected(open, "sandbox", true),
      approved,
      { kind: "publish", stage: "sandbox" },
    ],
    ["the next stage", inSandbox, approved, { kind: "publish", stage: "qa" }],
    [
      "no further stage, after a rejection",
      rejected(inSandbox, "qa", false),
      approved,
      { kind: "rejected", stage: "qa", because: "answers otherwise" },
    ],
    ["the stage's own approval", inQa, approved, { kind: "wait", stage: "prod", for: "stage" }],
    [
      "the rest of the lag, counted from the stage before",
      say(served(inSandbox, "qa", 70_000), forProd),
      approved,
      { kind: "wait", stage: "prod", for: "lag", until: 130_000 },
    ],
    [
      "the stage, when the lag is over",
      say(served(inSandbox, "qa", 40_000), forProd),
      approved,
      { kind: "publish", stage: "prod" },
    ],
    [
      "the stage, when somebody hurries",
      say(inQa, forProd, { kind: "hurry", by: "ann" }),
      approved,
      { kind: "publish", stage: "prod" },
    ],
    [
      "nobody's next step while it is held",
      say(inSandbox, { kind: "hold", by: "bob", note: "audit" }),
      approved,
      { kind: "wait", stage: "qa", for: "hold" },
    ],
    [
      "the stage, when it is released",
      say(inSandbox, { kind: "hold", by: "bob" }, { kind: "release", by: "bob" }),
      approved,
      { kind: "publish", stage: "qa" },
    ],
    [
      "the stage after one that is skipped; the lag counts from where it serves",
      say(served(open, "sandbox", 70_000), { kind: "skip", stage: "qa", by: "ann" }, forProd),
      approved,
      { kind: "wait", stage: "prod", for: "lag", until: 130_000 },
    ],
    ["the end", served(inQa, "prod"), approved, { kind: "done" }],
    [
      "an approval before the end, though no stage is left that wants one",
      say(
        inSandbox,
        { kind: "skip", stage: "qa", by: "ann" },
        { kind: "skip", stage: "prod", by: "ann" },
      ),
      undecided,
      { kind: "wait", stage: "prod", for: "approval" },
    ],
  ])("%s", (_what, promotion, moment, step) => {
    expect(nextStep(promotion, moment)).toEqual(step);
  });
});

describe("refused, with a sentence", () => {
  const skipQa: PromotionCommand = { kind: "skip", stage: "qa", by: "ann" };
  test.each<[string, Promotion, PromotionCommand, string]>([
    ["nobody", open, { kind: "hold", by: " " }, "nobody is named"],
    ["held twice", say(open, { kind: "hold", by: "bob" }), { kind: "hold", by: "ann" }, "by bob"],
    ["released without being held", open, { kind: "release", by: "ann" }, "it is not held"],
    [
      "hurried without a lag",
      inSandbox,
      { kind: "hurry", by: "ann" },
      "no lag is being waited for",
    ],
    ["an unknown stage", open, { ...skipQa, stage: "live" }, "it has sandbox, qa, prod"],
    ["skipping what serves", inQa, skipQa, "serves it already: deny it"],
    ["skipping twice", say(inSandbox, skipQa), skipQa, "is skipped already"],
    [
      "skipping every stage",
      say(open, skipQa, { ...skipQa, stage: "sandbox" }),
      { ...skipQa, stage: "prod" },
      "no stage would be left",
    ],
    [
      "an approval for a stage that wants none",
      inSandbox,
      { ...forProd, stage: "qa" },
      "stage qa wants no approval of its own",
    ],
    ["an approval twice", say(open, forProd), forProd, "approved for stage prod already, by ann"],
  ])("%s", (_what, promotion, command, sentence) => {
    expect(refusalOfCommand(promotion, command, approved)).toContain(sentence);
  });

  test("nothing of what may be said", () => {
    const lagging = say(inQa, forProd);
    for (const command of [
      { kind: "hold", by: "ann" },
      { kind: "hurry", by: "ann" },
      { kind: "skip", stage: "prod", by: "ann" },
    ] as const)
      expect(refusalOfCommand(lagging, command, approved)).toBeNull();
    expect(refusalOfCommand(inSandbox, forProd, undecided)).toBeNull();
  });
});

test("the ledger is told where every stage stands", () => {
  const lagging = say(inQa, forProd);
  const told = standingsOf(lagging, nextStep(lagging, approved));
  expect(told).toMatchObject([
    { stage: "sandbox", state: "serving" },
    { stage: "qa", state: "serving" },
    {
      ...{ stage: "prod", state: "lag", due: "1970-01-01T00:02:40.000Z" },
      approved: { by: "ann", at },
    },
  ]);
  expect(standingsOf(inSandbox, null).map(({ state }) => state)).toEqual([
    "serving",
    "ended",
    "ended",
  ]);
});
