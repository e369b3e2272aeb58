/** A cohort that was approved and shall not serve any more: denied on record, then taken out of service in pages. */
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import { LIMITS } from "../fleet/limits.js";
import { cohorts, messenger } from "./activities.js";
import {
  type CohortWithdrawal,
  type CohortWithdrawn,
  membersWithdrawn,
  type WithdrawCohortInput,
  withdrawMembers,
  workflowIds,
} from "./messages.js";

/**
 * Returns what became of the members. Fails only with WithdrawalRefused, before anything has changed. From then on it
 * is not to be cut short by cancellation: half a withdrawal would leave denied models in service.
 */
export async function withdrawCohort(input: WithdrawCohortInput): Promise<CohortWithdrawn> {
  const inbox: Inbox = {};
  setHandler(membersWithdrawn, (outcome) => {
    if (outcome.version === input.version) inbox.outcome = outcome;
  });
  return CancellationScope.nonCancellable(() => carryOut(input, inbox));
}

interface Inbox {
  /** The last answer. */
  outcome?: CohortWithdrawn;
}

async function carryOut(input: WithdrawCohortInput, inbox: Inbox): Promise<CohortWithdrawn> {
  const { fleet, stage, version, decision, pace } = input;
  show(input, "It is being denied.");
  await cohorts.recordCohortWithdrawal({ fleet, stage, version, decision });
  show(input, "Its members are being replaced.");
  const outcome = await untilMoved(input, inbox);
  show(input, describe(outcome));
  // Who has read a pointer just before it was moved may still call the old model.
  await sleep(pace.graceSeconds * 1000, { summary: "until clients follow the pointers" });
  for (let after: string | null = ""; after !== null;)
    ({ after } = await cohorts.removeCohortArtifacts({ fleet, stage, version, after }));
  return outcome;
}

/**
 * Members that could not be replaced are tried again, with pauses that double to about an hour; so is an endpoint's
 * workflow that gives no answer, since somebody may have terminated it.
 */
async function untilMoved(input: WithdrawCohortInput, inbox: Inbox): Promise<CohortWithdrawn> {
  const { pace } = input;
  for (let round = 0; ; round++) {
    const factor = 2 ** Math.min(round, LIMITS.refreshDoublings);
    delete inbox.outcome;
    await request(input);
    await condition(() => inbox.outcome !== undefined, pace.guardSeconds * 1000 * factor, {
      summary: "before asking the endpoint again",
    });
    const outcome = answerIn(inbox);
    if (outcome === undefined) continue;
    if (outcome.open === 0) return outcome;
    show(input, `${describe(outcome)} They are tried again.`);
    await sleep(pace.roundSeconds * 1000 * factor, { summary: "before another round" });
  }
}

/** Read anew: the compiler does not know that a wait changes it. */
const answerIn = ({ outcome }: Inbox): CohortWithdrawn | undefined => outcome;

/** Straight to the endpoint's workflow; only when none runs, an activity starts it. */
async function request({ fleet, stage, version, pace }: WithdrawCohortInput): Promise<void> {
  const withdrawal: CohortWithdrawal = { version, withdrawWorkflowId: workflowInfo().workflowId };
  const endpoint = getExternalWorkflowHandle(workflowIds.serveEndpoint(fleet, stage));
  try {
    await endpoint.signal(withdrawMembers, withdrawal);
  } catch {
    await messenger.requestCohortWithdrawal({ fleet, stage, withdrawal, pace });
  }
}

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
