/** Carries one version through its fleet's stages, from its registration until it serves in the last. */
import {
  ApplicationFailure,
  condition,
  setHandler,
  upsertSearchAttributes,
} from "@temporalio/workflow";
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
import { messenger } from "./activities.js";
import {
  type FleetStages,
  overtaken,
  promote,
  type PublicationOutcome,
  published,
  type ReleaseModelInput,
} from "./messages.js";
import { type Desk, take, tellWay } from "./release-desk.js";
import { APPROVAL_STATES, attributeKeys } from "./search-attributes.js";

export interface Way {
  promotion: Promotion;
  /** A newer version that is approved and serves. */
  overtakenBy: number | null;
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
export function openWay(input: ReleaseModelInput, desk: Desk): Way {
  const promotion = openPromotion(wayStages(input));
  const way: Way = { promotion, overtakenBy: null, recorded: "", changes: 0 };
  setHandler(published, (outcome) => {
    if (outcome.version === input.version) arrive(way, desk, outcome);
  });
  setHandler(overtaken, ({ version }) => {
    if (version <= input.version) return;
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

/** The first answer of a stage counts. */
function arrive(way: Way, desk: Desk, outcome: PublicationOutcome): void {
  const { kind } = stationOf(way.promotion, outcome.stage);
  if (kind !== "ahead" && kind !== "publishing") return;
  way.promotion = withStation(
    way.promotion,
    outcome.stage,
    outcome.kind === "serving"
      ? { kind: "serving", since: Date.now(), targetModel: outcome.targetModel }
      : { kind: "rejected", because: outcome.because, untried: isUndecided(desk.state) },
  );
  way.changes++;
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
const isApproved = ({ kind }: ReleaseState): boolean => kind === "publishing";
const isOpen = (state: ReleaseState): boolean => isUndecided(state) || isApproved(state);
const momentOf = (state: ReleaseState) => ({ isApproved: isApproved(state), now: Date.now() });

/**
 * Returns when the version serves in the last stage, or comes into no further one: the desk's state says why, and
 * no stage is publishing it any more. Decisions are recorded as they come, an approval before anything serves by it.
 */
export async function carryThrough(
  input: ReleaseModelInput,
  desk: Desk,
  way: Way,
  request: (stage: string) => Promise<void>,
): Promise<void> {
  for (;;) {
    await recordVerdicts(input, desk);
    const step = nextStep(way.promotion, momentOf(desk.state));
    if (way.overtakenBy !== null && step.kind !== "publishing")
      take(desk, { kind: "overtaken", version: way.overtakenBy });
    const isOver = !isOpen(desk.state);
    // What has come meanwhile is looked at first.
    if (await recordWay(input, desk, way, isOver ? null : step)) continue;
    if (step.kind === "publishing") await untilChanged(desk, way);
    else if (isOver) return;
    else if (step.kind === "publish") {
      way.promotion = withStation(way.promotion, step.stage, { kind: "publishing" });
      await request(step.stage);
    } else if (step.kind === "wait") await untilChanged(desk, way, step);
    else return take(desk, endOf(way.promotion, step));
  }
}

/** In the order they came: the registry and the ledger hold an approval before anything serves. */
async function recordVerdicts(input: ReleaseModelInput, { unrecorded }: Desk): Promise<void> {
  const { fleet, customerKey, version } = input;
  for (let next = unrecorded.shift(); next !== undefined; next = unrecorded.shift()) {
    upsertSearchAttributes([
      { key: attributeKeys.approvalState, value: APPROVAL_STATES[next.state] },
    ]);
    await messenger.recordDecision({ fleet, customerKey, version, ...next });
  }
}

/** True when something was recorded. Of a fleet with one stage its publication says it all. */
async function recordWay(
  { fleet, customerKey, version }: ReleaseModelInput,
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
  const told = { fleet, customerKey, version, standings, isServing };
  const { overtakenBy } = await messenger.recordPromotion(told);
  if (overtakenBy !== null) way.overtakenBy = overtakenBy;
  return true;
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
  step?: Extract<PromotionStep, { readonly kind: "wait" }>,
): Promise<void> {
  const { state } = desk;
  const { changes } = way;
  const isChanged = (): boolean => desk.state !== state || way.changes !== changes;
  if (step?.for !== "lag") return condition(isChanged);
  const left = Math.max(step.until - Date.now(), 1);
  await condition(isChanged, left, { summary: `before stage ${step.stage}` });
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

/** After a denial: what is left to do depends on whether any stage serves the version. */
export const afterDenial = ({ promotion }: Way) =>
  reachedStages(promotion).length > 0
    ? servedEvent(promotion)
    : ({ kind: "not-served", because: "it was not asked for" } as const);

/** As the stage that is nearest to the customers serves it. */
function servedEvent(promotion: Promotion) {
  const station = stationOf(promotion, reachedStages(promotion).at(-1) ?? "");
  const targetModel = station.kind === "serving" ? station.targetModel : null;
  return { kind: "served", targetModel } as const;
}
