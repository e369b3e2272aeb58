/** A version's way through its fleet's stages: what comes next, and what people may change about it. */
import type { PromotionStage } from "./stages.js";

/** How far the version has come in one stage. */
export type Station =
  | { readonly kind: "ahead" }
  | { readonly kind: "publishing" }
  /** `since`: milliseconds; the next stage's lag counts from it. */
  | { readonly kind: "serving"; readonly since: number; readonly targetModel: string | null }
  /** `untried`: before anybody had approved it, so that it is tried again once somebody has. */
  | { readonly kind: "rejected"; readonly because: string; readonly untried: boolean }
  | { readonly kind: "skipped"; readonly by: string };

export interface StageApproved {
  readonly by: string;
  /** ISO time. */
  readonly at: string;
}

export interface Promotion {
  readonly stages: readonly PromotionStage[];
  /** By stage; one that is not here is ahead. */
  readonly stations: Readonly<Record<string, Station>>;
  /** By stage. */
  readonly approvals: Readonly<Record<string, StageApproved>>;
  readonly hold: { readonly by: string; readonly note: string } | null;
  /** The stage whose lag is waived. */
  readonly hurried: string | null;
}

export const openPromotion = (stages: readonly PromotionStage[]): Promotion => ({
  ...{ stages, stations: {}, approvals: {} },
  ...{ hold: null, hurried: null },
});

export type PromotionStep =
  | { readonly kind: "publish"; readonly stage: string }
  | { readonly kind: "publishing"; readonly stage: string }
  | { readonly kind: "wait"; readonly stage: string; readonly for: "approval" | "stage" | "hold" }
  /** `until`: milliseconds. */
  | {
      readonly kind: "wait";
      readonly stage: string;
      readonly for: "lag";
      readonly until: number;
    }
  | { readonly kind: "rejected"; readonly stage: string; readonly because: string }
  | { readonly kind: "done" };

/** `isApproved`: the version itself is; `now`: milliseconds. */
export interface Moment {
  readonly isApproved: boolean;
  readonly now: number;
}

/** Stage after stage; one that is not reached keeps those behind it waiting. */
export function nextStep(promotion: Promotion, moment: Moment): PromotionStep {
  const { stages } = promotion;
  const publishing = stages.find(({ name }) => stationOf(promotion, name).kind === "publishing");
  if (publishing !== undefined) return { kind: "publishing", stage: publishing.name };
  for (const stage of stages) {
    const station = stationOf(promotion, stage.name);
    if (station.kind === "serving" || station.kind === "skipped") continue;
    if (station.kind === "rejected" && !station.untried)
      return { kind: "rejected", stage: stage.name, because: station.because };
    if (station.kind === "rejected" && !moment.isApproved)
      return { kind: "wait", stage: stage.name, for: "approval" };
    return stepInto(promotion, stage, moment);
  }
  const last = stages.at(-1)?.name ?? "";
  return moment.isApproved ? { kind: "done" } : { kind: "wait", stage: last, for: "approval" };
}

function stepInto(
  promotion: Promotion,
  { name, approval }: PromotionStage,
  { isApproved, now }: Moment,
): PromotionStep {
  const wait = { kind: "wait", stage: name } as const;
  if (promotion.hold !== null) return { ...wait, for: "hold" };
  if (approval !== "none" && !isApproved) return { ...wait, for: "approval" };
  if (approval === "stage" && promotion.approvals[name] === undefined)
    return { ...wait, for: "stage" };
  const until = dueAt(promotion, name);
  if (until > now && promotion.hurried !== name) return { ...wait, for: "lag", until };
  return { kind: "publish", stage: name };
}

/** Milliseconds; 0 when it waits for no time to pass: no stage before it serves the version. */
function dueAt({ stages, stations }: Promotion, name: string): number {
  const place = stages.findIndex((stage) => stage.name === name);
  const served = stages.slice(0, place).flatMap((stage) => {
    const station = stations[stage.name];
    return station?.kind === "serving" ? [station.since] : [];
  });
  const since = served.at(-1);
  return since === undefined ? 0 : since + (stages[place]?.lagSeconds ?? 0) * 1000;
}

export const stationOf = ({ stations }: Promotion, stage: string): Station =>
  stations[stage] ?? { kind: "ahead" };

export const withStation = (promotion: Promotion, stage: string, station: Station): Promotion => ({
  ...promotion,
  stations: { ...promotion.stations, [stage]: station },
});

/** In order of promotion, those that serve the version. */
export const reachedStages = (promotion: Promotion): string[] =>
  promotion.stages
    .map(({ name }) => name)
    .filter((name) => stationOf(promotion, name).kind === "serving");

/** What people say about a promotion. */
export type PromotionCommand =
  | { readonly kind: "hold"; readonly by: string; readonly note?: string }
  | { readonly kind: "release"; readonly by: string }
  /** The version never comes into this stage. */
  | { readonly kind: "skip"; readonly stage: string; readonly by: string }
  /** The lag that is being waited for is over. */
  | { readonly kind: "hurry"; readonly by: string }
  | { readonly kind: "approve-stage"; readonly stage: string; readonly by: string };

/** Why the command cannot be taken, as a sentence with what to do; null when it can. */
export function refusalOfCommand(
  promotion: Promotion,
  command: PromotionCommand,
  moment: Moment,
): string | null {
  if (typeof command.by !== "string" || command.by.trim() === "")
    return "nobody is named: give `by`, the person who says so";
  switch (command.kind) {
    case "hold":
      return promotion.hold === null ? null : `held already, by ${promotion.hold.by}`;
    case "release":
      return promotion.hold === null ? "it is not held" : null;
    case "hurry":
      return refusalOfHurry(promotion, moment);
    case "skip":
      return unknownStage(promotion, command.stage) ?? refusalOfSkip(promotion, command.stage);
    case "approve-stage":
      return unknownStage(promotion, command.stage) ?? refusalOfApproval(promotion, command.stage);
    default:
      return 'the command must be "hold", "release", "skip", "hurry" or "approve-stage"';
  }
}

function unknownStage({ stages }: Promotion, stage: string): string | null {
  const names = stages.map(({ name }) => name);
  return names.includes(stage) ? null : `there is no stage "${stage}": it has ${names.join(", ")}`;
}

function refusalOfHurry(promotion: Promotion, moment: Moment): string | null {
  const step = nextStep(promotion, moment);
  if (step.kind === "wait" && step.for === "lag") return null;
  return `no lag is being waited for: ${describeStep(promotion, step)}`;
}

function refusalOfSkip(promotion: Promotion, stage: string): string | null {
  const { kind } = stationOf(promotion, stage);
  if (kind === "publishing") return `it is being published in stage ${stage}`;
  if (kind === "serving") return `stage ${stage} serves it already: deny it to withdraw it`;
  if (kind === "skipped") return `stage ${stage} is skipped already`;
  const isElsewhere = promotion.stages.some(
    ({ name }) => name !== stage && stationOf(promotion, name).kind !== "skipped",
  );
  return isElsewhere ? null : "no stage would be left to serve it: deny it";
}

function refusalOfApproval({ stages, approvals }: Promotion, stage: string): string | null {
  if (stages.find(({ name }) => name === stage)?.approval !== "stage")
    return `stage ${stage} wants no approval of its own: approve the version without --stage`;
  const known = approvals[stage];
  return known === undefined ? null : `approved for stage ${stage} already, by ${known.by}`;
}

/** After `refusalOfCommand` found nothing. `at`: ISO time. */
export function commanded(promotion: Promotion, command: PromotionCommand, at: string): Promotion {
  const { by } = command;
  switch (command.kind) {
    case "hold":
      return { ...promotion, hold: { by, note: command.note ?? "" } };
    case "release":
      return { ...promotion, hold: null };
    case "skip":
      return withStation(promotion, command.stage, { kind: "skipped", by });
    case "hurry": {
      const next = nextStep(promotion, { isApproved: true, now: 0 });
      return { ...promotion, hurried: "stage" in next ? next.stage : null };
    }
    case "approve-stage":
      return {
        ...promotion,
        approvals: { ...promotion.approvals, [command.stage]: { by, at } },
      };
  }
}

export type StandingState =
  | "ahead"
  | "approval"
  | "stage-approval"
  | "held"
  | "lag"
  | "publishing"
  | "serving"
  | "rejected"
  | "skipped"
  | "ended";

/** One stage of a version's way, as the ledger keeps it. */
export interface Standing {
  readonly stage: string;
  readonly state: StandingState;
  /** ISO time; of a lag. */
  readonly due: string | null;
  /** Of a stage that wants an approval of its own. */
  readonly approved: StageApproved | null;
  readonly note: string | null;
}

const WAITS = { approval: "approval", stage: "stage-approval", hold: "held", lag: "lag" } as const;

/** `step`: what comes next; null: the way is over, wherever it has come to. */
export const standingsOf = (promotion: Promotion, step: PromotionStep | null): Standing[] =>
  promotion.stages.map(({ name }) => ({
    stage: name,
    due: null,
    approved: promotion.approvals[name] ?? null,
    ...standingOf(promotion, name, step),
  }));

function standingOf(
  promotion: Promotion,
  stage: string,
  step: PromotionStep | null,
): Pick<Standing, "state" | "note"> & { readonly due?: string } {
  const station = stationOf(promotion, stage);
  switch (station.kind) {
    case "serving":
    case "publishing":
      return { state: station.kind, note: null };
    case "skipped":
      return { state: "skipped", note: `by ${station.by}` };
    case "rejected":
      return { state: "rejected", note: station.because };
    case "ahead":
      break;
  }
  if (step === null) return { state: "ended", note: null };
  if (!("stage" in step) || step.stage !== stage) return { state: "ahead", note: null };
  if (step.kind !== "wait") return { state: "publishing", note: null };
  const { hold } = promotion;
  const note = step.for === "hold" && hold !== null ? words(hold) : null;
  const due = step.for === "lag" ? { due: new Date(step.until).toISOString() } : {};
  return { state: WAITS[step.for], note, ...due };
}

const words = ({ by, note }: { readonly by: string; readonly note: string }): string =>
  `by ${by}${note === "" ? "" : `: ${note}`}`;

/** One sentence for people, on what comes next. */
export function describeStep(promotion: Promotion, step: PromotionStep): string {
  switch (step.kind) {
    case "publish":
    case "publishing":
      return `it is being published in stage ${step.stage}`;
    case "rejected":
      return `stage ${step.stage} has rejected it: ${step.because}`;
    case "done":
      return "it has come through every stage";
    case "wait":
      return describeWait(promotion, step);
  }
}

function describeWait(
  { hold }: Promotion,
  step: Extract<PromotionStep, { readonly kind: "wait" }>,
): string {
  switch (step.for) {
    case "approval":
      return `stage ${step.stage} waits for the version's approval`;
    case "stage":
      return `stage ${step.stage} waits for an approval of its own`;
    case "hold":
      return `held before stage ${step.stage}${hold === null ? "" : ` ${words(hold)}`}`;
    case "lag":
      return `stage ${step.stage} comes at ${new Date(step.until).toISOString()}`;
  }
}
