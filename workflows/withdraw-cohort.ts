/** A cohort that was approved and shall not serve any more: denied on record, then taken out of service in pages. */
import {
  CancellationScope,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import { LIMITS } from "../fleet/limits.js";
import { cohorts, messenger } from "./activities.js";
import { askStages } from "./ask-stages.js";
import {
  type CohortWithdrawal,
  type CohortWithdrawn,
  membersWithdrawn,
  type WithdrawCohortInput,
  withdrawMembers,
  workflowIds,
} from "./messages.js";

/**
 * Returns what became of the members in the stage that is nearest to the customers. Fails only with WithdrawalRefused, before anything has changed. From then on it
 * is not to be cut short by cancellation: half a withdrawal would leave denied models in service.
 */
export async function withdrawCohort(input: WithdrawCohortInput): Promise<CohortWithdrawn> {
  const inbox: Inbox = new Map();
  setHandler(membersWithdrawn, (outcome) => {
    if (outcome.version === input.version) inbox.set(outcome.stage, outcome);
  });
  return CancellationScope.nonCancellable(() => carryOut(input, inbox));
}

/** By stage, its last answer. */
type Inbox = Map<string, CohortWithdrawn>;

async function carryOut(input: WithdrawCohortInput, inbox: Inbox): Promise<CohortWithdrawn> {
  const { fleet, stage, version, decision, pace } = input;
  show(input, "It is being denied.");
  const { stages } = await cohorts.recordCohortWithdrawal({ fleet, stage, version, decision });
  show(input, "Its members are being replaced.");
  await untilMoved(input, stages, inbox);
  show(input, describeAll(inbox, stages));
  // Who has read a pointer just before it was moved may still call the old model.
  await sleep(pace.graceSeconds * 1000, { summary: "until clients follow the pointers" });
  for (const reached of stages) {
    const place = { fleet, stage: reached, version };
    for (let after: string | null = ""; after !== null;)
      ({ after } = await cohorts.removeCohortArtifacts({ ...place, after }));
  }
  return answersIn(inbox, stages)[0] ?? { ...NOBODY, stage, version };
}

const NOBODY = { moved: 0, removed: 0, open: 0, because: null } as const;

/** Members that could not be replaced are tried again, with pauses that double to about an hour. */
async function untilMoved(
  input: WithdrawCohortInput,
  stages: readonly string[],
  inbox: Inbox,
): Promise<void> {
  const { pace } = input;
  const ask = (stage: string): Promise<void> => request(input, stage);
  const hasAnswered = (stage: string): boolean => inbox.has(stage);
  const isMoved = (stage: string): boolean => inbox.get(stage)?.open === 0;
  for (let round = 0; !stages.every(isMoved); round++) {
    const factor = 2 ** Math.min(round, LIMITS.refreshDoublings);
    const open = stages.filter((stage) => !isMoved(stage));
    for (const stage of open) inbox.delete(stage);
    await askStages(open, { ask, hasAnswered, pace, factor });
    if (!answersIn(inbox, stages).some((answer) => answer.open > 0)) continue;
    show(input, `${describeAll(inbox, stages)} They are tried again.`);
    await sleep(pace.roundSeconds * 1000 * factor, { summary: "before another round" });
  }
}

const answersIn = (inbox: Inbox, stages: readonly string[]): CohortWithdrawn[] =>
  stages.flatMap((stage) => inbox.get(stage) ?? []);

/** Straight to the endpoint's workflow; only when none runs, an activity starts it. */
async function request(input: WithdrawCohortInput, stage: string): Promise<void> {
  const { fleet, version, pace } = input;
  const withdrawal: CohortWithdrawal = { version, withdrawWorkflowId: workflowInfo().workflowId };
  const endpoint = getExternalWorkflowHandle(workflowIds.serveEndpoint(fleet, stage));
  try {
    await endpoint.signal(withdrawMembers, withdrawal);
  } catch {
    await messenger.requestCohortWithdrawal({ fleet, stage, withdrawal, pace });
  }
}

const describeAll = (inbox: Inbox, stages: readonly string[]): string =>
  answersIn(inbox, stages)
    .map((one) => (stages.length === 1 ? describe(one) : `Stage ${one.stage}: ${describe(one)}`))
    .join("\n\n");

function describe({ moved, removed, open, because }: CohortWithdrawn): string {
  const parts = [
    `${moved} customers are served by another version.`,
    ...(removed === 0 ? [] : [`${removed} have no model now: no other version may serve them.`]),
    ...(open === 0 ? [] : [`${open} are still served by this one: ${because ?? "not told why"}.`]),
  ];
  return parts.join(" ");
}

function show({ fleet, version, decision }: WithdrawCohortInput, state: string): void {
  const { by, note } = decision;
  const why = note === undefined || note === "" ? "" : `: ${note}`;
  setCurrentDetails(
    `Version ${version} of all customers of ${fleet} was **denied** by ${by}${why}\n\n${state}`,
  );
}
