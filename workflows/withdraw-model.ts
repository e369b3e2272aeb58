/** One version that was approved and shall not serve any more: denied on record, then taken out of service. */
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import { servedAs } from "../fleet/release.js";
import { controlPlane, messenger } from "./activities.js";
import {
  type Withdrawal,
  type WithdrawalOutcome,
  type WithdrawModelInput,
  withdraw,
  withdrawalDelayed,
  withdrawn,
  workflowIds,
} from "./messages.js";

/**
 * Returns what serves instead. Fails only with WithdrawalRefused, before anything has changed. From then on it is
 * not to be cut short by cancellation: half a withdrawal would leave a denied model in service.
 */
export async function withdrawModel(input: WithdrawModelInput): Promise<WithdrawalOutcome> {
  const inbox: Inbox = {};
  setHandler(withdrawn, (outcome) => {
    if (outcome.version === input.version) inbox.outcome ??= outcome;
  });
  setHandler(withdrawalDelayed, ({ because }) =>
    show(input, `It still serves, as it could not be replaced yet: ${because}. It is tried again.`),
  );
  return CancellationScope.nonCancellable(() => carryOut(input, inbox));
}

interface Inbox {
  outcome?: WithdrawalOutcome;
}

async function carryOut(input: WithdrawModelInput, inbox: Inbox): Promise<WithdrawalOutcome> {
  const { fleet, stage, customerKey, version, decision, to, pace } = input;
  const asked = to === undefined ? {} : { to };
  show(input, "It is being denied.");
  const denial = { fleet, stage, customerKey, version, decision, ...asked };
  await controlPlane.recordWithdrawal(denial);
  show(input, "It is being replaced.");
  const outcome = await answerTo(input, inbox);
  show(input, describe(outcome));
  // Who has read the pointer just before it was moved may still call the old model.
  await sleep(pace.graceSeconds * 1000, { summary: "until clients follow the pointer" });
  await controlPlane.removeWithdrawnArtifact({ fleet, stage, customerKey, version });
  return outcome;
}

/**
 * Asks again after a while: the endpoint's workflow loses nothing, but somebody may terminate it. Doubled up to
 * sixteenfold, so that a refresh that fails for days does not fill the history.
 */
async function answerTo(input: WithdrawModelInput, inbox: Inbox): Promise<WithdrawalOutcome> {
  for (let factor = 1; ; factor = Math.min(2 * factor, 16)) {
    await request(input);
    await condition(() => inbox.outcome !== undefined, input.pace.guardSeconds * 1000 * factor, {
      summary: "before asking again",
    });
    if (inbox.outcome !== undefined) return inbox.outcome;
  }
}

/** Straight to the endpoint's workflow; only when none runs, an activity starts it. */
async function request(input: WithdrawModelInput): Promise<void> {
  const { fleet, stage, customerKey, version, to, pace } = input;
  const withdrawal: Withdrawal = {
    customerKey,
    version,
    ...(to === undefined ? {} : { to }),
    withdrawWorkflowId: workflowInfo().workflowId,
  };
  const endpoint = getExternalWorkflowHandle(workflowIds.serveEndpoint(fleet, stage));
  try {
    await endpoint.signal(withdraw, withdrawal);
  } catch {
    await messenger.requestWithdrawal({ fleet, stage, withdrawal, pace });
  }
}

const describe = ({ servesNow }: WithdrawalOutcome): string =>
  servesNow === null
    ? "No other version may serve: the customer has no model now."
    : `Version ${servesNow.version} serves, ${servedAs(servesNow.targetModel)}.`;

function show({ version, customerKey, decision }: WithdrawModelInput, state: string): void {
  const { by, note } = decision;
  const why = note === undefined || note === "" ? "" : `: ${note}`;
  setCurrentDetails(
    `Version ${version} of ${customerKey} was **denied** by ${by}${why}\n\n${state}`,
  );
}
