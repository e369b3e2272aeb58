/** Carries one version through its fleet's stages, from its registration until it serves in the last. */
import {
  ApplicationFailure,
  condition,
  setHandler,
  upsertSearchAttributes,
} from "@temporalio/workflow";
import type { CycleRef } from "../activities/ledger/cycles.js";
import type { PromotionRecord, RecordedPromotion } from "../activities/promotion.js";
import type { StageReminders } from "../fleet/approval.js";
import {
  commanded,
  describeStep,
  nextStep,
  openPromotion,
  type Promotion,
  type PromotionCommand,
  type PromotionStep,
  reachedStages,
  refusalOfCommand,
  standingsOf,
  stationOf,
  withStation,
} from "../fleet/promotion.js";
import type { ReleaseState } from "../fleet/release.js";
import { isStaged, type PromotionStage } from "../fleet/stages.js";
import { type StageWait, untilStageApproved } from "./await-stage.js";
import { type FleetStages, overtaken, promote, type PublicationOutcome } from "./messages.js";
import { type Desk, take, tellWay, type Verdict } from "./release-desk.js";
import { APPROVAL_STATES, attributeKeys } from "./search-attributes.js";

/** What is carried: one customer's version, or all of a cohort. */
export interface Traveller {
  /** That has made it. */
  readonly cycle: CycleRef;
  /** Asks the stage's endpoint to publish it; the answer comes by signal, to `arrive`. */
  readonly request: (stage: string) => Promise<void>;
  /** Without an answer for this long it is asked again, doubled up to sixteenfold; by default never. */
  readonly guardSeconds?: number;
  /** Once it is denied, a stage that does not answer for this long does not keep it in the others. */
  readonly denialSeconds: number;
  readonly recordVerdict: (verdict: Verdict) => Promise<void>;
  readonly recordWay: (record: PromotionRecord) => Promise<RecordedPromotion>;
}

export interface Way {
  promotion: Promotion;
  /** A newer version that is approved and serves. */
  overtakenBy: number | null;
  /** The stage whose own approval it waits for; null: it waits for none. */
  wait: StageWait | null;
  /** What the ledger holds of it, as JSON. */
  recorded: string;
  /** Counts what has changed it from outside. */
  changes: number;
}

/** As they were handed down. */
export const stagesIn = ({ stage, stages }: FleetStages): FleetStages =>
  stages === undefined ? { stage } : { stage, stages };

const wayStages = ({ stage, stages }: FleetStages): readonly PromotionStage[] =>
  stages ?? [{ name: stage, approval: "release", lagSeconds: 0 }];

/** Handlers are set before the first wait: nothing that comes is lost, whenever it comes. */
export function openWay(stages: FleetStages, desk: Desk): Way {
  const promotion = openPromotion(wayStages(stages));
  const way: Way = { promotion, overtakenBy: null, wait: null, recorded: "", changes: 0 };
  setHandler(overtaken, ({ version }) => {
    if (version <= desk.docket.version) return;
    way.overtakenBy = Math.max(version, way.overtakenBy ?? 0);
    way.changes++;
  });
  setHandler(
    promote,
    (command) => {
      way.promotion = commanded(way.promotion, command, new Date().toISOString());
      way.changes++;
      return command;
    },
    { validator: (command: PromotionCommand) => refuse(way, desk, command) },
  );
  return way;
}

/** The first answer of a stage counts: whether this is it. */
export function arrive(way: Way, desk: Desk, outcome: PublicationOutcome): boolean {
  const { kind } = stationOf(way.promotion, outcome.stage);
  if (kind !== "ahead" && kind !== "publishing") return false;
  way.promotion = withStation(
    way.promotion,
    outcome.stage,
    outcome.kind === "serving"
      ? { kind: "serving", since: Date.now(), targetModel: outcome.targetModel }
      : { kind: "rejected", because: outcome.because, untried: isUndecided(desk.state) },
  );
  way.changes++;
  return true;
}

function refuse({ promotion }: Way, { state }: Desk, command: PromotionCommand): void {
  const refused = isOpen(state)
    ? refusalOfCommand(promotion, command, momentOf(state))
    : "its way is over";
  if (refused !== null)
    throw ApplicationFailure.create({
      type: "PromotionRefused",
      message: refused,
      nonRetryable: true,
    });
}

const isUndecided = ({ kind }: ReleaseState): boolean => kind === "awaiting-approval";
const isDenied = ({ kind }: ReleaseState): boolean => kind === "denied-while-publishing";
const isApproved = ({ kind }: ReleaseState): boolean => kind === "publishing";
const isOpen = (state: ReleaseState): boolean => isUndecided(state) || isApproved(state);
const momentOf = (state: ReleaseState) => ({ isApproved: isApproved(state), now: Date.now() });

/**
 * Returns when the version serves in the last stage, or comes into no further one: the desk's state says why, and
 * no stage is publishing it any more, unless it is denied and that one gives no answer. Decisions are recorded as they
 * come, an approval before anything serves by it.
 */
export async function carryThrough(traveller: Traveller, desk: Desk, way: Way): Promise<void> {
  for (;;) {
    await recordVerdicts(traveller, desk);
    const step = nextStep(way.promotion, momentOf(desk.state));
    if (way.overtakenBy !== null && step.kind !== "publishing")
      take(desk, { kind: "overtaken", version: way.overtakenBy });
    const isOver = !isOpen(desk.state);
    // What has come meanwhile is looked at first.
    if (await recordWay(traveller, desk, way, isOver ? null : step)) continue;
    if (step.kind === "publishing") {
      if (!(await untilAnswered(traveller, desk, way, step.stage))) return;
    } else if (isOver) return;
    else if (step.kind === "publish") {
      way.promotion = withStation(way.promotion, step.stage, { kind: "publishing" });
      await traveller.request(step.stage);
    } else if (way.wait !== null)
      await untilStageApproved(traveller.cycle, desk, way.wait, watchChanges(desk, way));
    else if (step.kind === "wait") await untilChanged(desk, way, step);
    else return take(desk, endOf(way.promotion, step));
  }
}

/** In the order they came: the registry and the ledger hold an approval before anything serves. */
async function recordVerdicts(traveller: Traveller, { unrecorded }: Desk): Promise<void> {
  for (let next = unrecorded.shift(); next !== undefined; next = unrecorded.shift()) {
    upsertSearchAttributes([
      { key: attributeKeys.approvalState, value: APPROVAL_STATES[next.state] },
    ]);
    await traveller.recordVerdict(next);
  }
}

/** True when something was recorded. Of a fleet with one stage its publication says it all. */
async function recordWay(
  traveller: Traveller,
  desk: Desk,
  way: Way,
  step: PromotionStep | null,
): Promise<boolean> {
  const { promotion } = way;
  if (!isStaged(promotion.stages)) return false;
  const standings = standingsOf(promotion, step);
  const isServing = isApproved(desk.state) && reachedStages(promotion).length > 0;
  const text = JSON.stringify([standings, isServing]);
  if (text === way.recorded) return false;
  tellWay(desk, wayText(promotion, step));
  way.recorded = text;
  const { overtakenBy, reminders } = await traveller.recordWay({ standings, isServing });
  if (overtakenBy !== null) way.overtakenBy = overtakenBy;
  way.wait = waitOf(way.wait, step, reminders);
  return true;
}

/** Counted from when the ledger held it: whoever is told from then on is told of this one, too. */
function waitOf(
  before: StageWait | null,
  step: PromotionStep | null,
  reminders: StageReminders | null,
): StageWait | null {
  if (step?.kind !== "wait" || step.for !== "stage") return null;
  if (before?.stage === step.stage) return before;
  return { stage: step.stage, since: Date.now(), reminders, passed: 0 };
}

function wayText(promotion: Promotion, step: PromotionStep | null): string {
  const lines = standingsOf(promotion, step).map(({ stage, state, due, note }) => {
    const when = due === null ? "" : ` until ${due}`;
    return `- ${stage}: ${state}${when}${note === null ? "" : ` (${note})`}`;
  });
  const next = step === null ? [] : [`Next: ${describeStep(promotion, step)}.`];
  return [...lines, "", ...next].join("\n").trim();
}

async function untilChanged(
  desk: Desk,
  way: Way,
  step: Extract<PromotionStep, { readonly kind: "wait" }>,
): Promise<void> {
  const isChanged = watchChanges(desk, way);
  if (step.for !== "lag") return condition(isChanged);
  const left = Math.max(step.until - Date.now(), 1);
  await condition(isChanged, left, { summary: `before stage ${step.stage}` });
}

/** From now on. */
function watchChanges(desk: Desk, way: Way): () => boolean {
  const { state } = desk;
  const { changes } = way;
  return () => desk.state !== state || way.changes !== changes;
}

/**
 * The endpoint's workflow loses nothing, but somebody may terminate it. Once the version is denied it stops by itself,
 * and answers what it was asked before. False: it is denied, others serve it, and this stage, which may be closed, has
 * given no answer. Their withdrawal asks this one, too.
 */
async function untilAnswered(
  { guardSeconds, denialSeconds, request }: Traveller,
  desk: Desk,
  way: Way,
  stage: string,
): Promise<boolean> {
  const isChanged = watchChanges(desk, way);
  if (isDenied(desk.state) && reachedStages(way.promotion).length > 0)
    return condition(isChanged, denialSeconds * 1000, {
      summary: `before the other stages, if ${stage} does not answer`,
    });
  if (guardSeconds === undefined) {
    await condition(isChanged);
    return true;
  }
  const summary = "before asking the endpoint again";
  for (let factor = 1; !isChanged(); factor = Math.min(2 * factor, 16)) {
    if (await condition(isChanged, guardSeconds * 1000 * factor, { summary })) break;
    await request(stage);
  }
  return true;
}

function endOf(
  promotion: Promotion,
  step: Extract<PromotionStep, { readonly kind: "done" | "rejected" }>,
) {
  if (step.kind === "done") return servedEvent(promotion);
  const because = isStaged(promotion.stages)
    ? `in stage ${step.stage}: ${step.because}`
    : step.because;
  return { kind: "not-served", because } as const;
}

/**
 * When its way is over: what the stages that serve it are told by its withdrawal, null when they may serve on, or none
 * does. A denial that came before an endpoint was asked, or between two stages, ends here.
 */
export function withdrawalAfter(
  desk: Desk,
  { promotion }: Way,
): { readonly by: string; readonly note: string } | null {
  const isReached = reachedStages(promotion).length > 0;
  take(
    desk,
    isReached ? servedEvent(promotion) : { kind: "not-served", because: "it was not asked for" },
  );
  return isReached ? denialOf(desk.state) : null;
}

function denialOf(state: ReleaseState): { readonly by: string; readonly note: string } | null {
  switch (state.kind) {
    case "denied":
    case "denied-while-serving":
      return state;
    case "expired":
      return { by: "modelfleet", note: `nobody decided within ${state.after}` };
    default:
      return null;
  }
}

/** As the stage that is nearest to the customers serves it. */
function servedEvent(promotion: Promotion) {
  const station = stationOf(promotion, reachedStages(promotion).at(-1) ?? "");
  const targetModel = station.kind === "serving" ? station.targetModel : null;
  return { kind: "served", targetModel } as const;
}
