/** One version that was approved and shall not serve any more: denied on record, then taken out of service. */
import {
  CancellationScope,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import { servedAs } from "../fleet/release.js";
import { controlPlane, messenger } from "./activities.js";
import { askStages } from "./ask-stages.js";
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
 * Returns what serves instead, in the stage that is nearest to the customers. Fails only with WithdrawalRefused, before
 * anything has changed. From then on it is not to be cut short by cancellation: half a withdrawal would leave a denied
 * model in service.
 */
export async function withdrawModel(input: WithdrawModelInput): Promise<WithdrawalOutcome> {
  const inbox: Inbox = new Map();
  setHandler(withdrawn, (outcome) => {
    if (outcome.version === input.version && !inbox.has(outcome.stage))
      inbox.set(outcome.stage, outcome);
  });
  setHandler(withdrawalDelayed, ({ because }) =>
    show(input, `It still serves, as it could not be replaced yet: ${because}. It is tried again.`),
  );
  return CancellationScope.nonCancellable(() => carryOut(input, inbox));
}

/** By stage. */
type Inbox = Map<string, WithdrawalOutcome>;

async function carryOut(input: WithdrawModelInput, inbox: Inbox): Promise<WithdrawalOutcome> {
  const { fleet, stage, customerKey, version, decision, to, retire, pace } = input;
  const asked = { ...(to === undefined ? {} : { to }), ...(retire === true ? { retire } : {}) };
  show(input, retire === true ? "It is being taken out of service." : "It is being denied.");
  const denial = { fleet, stage, customerKey, version, decision, ...asked };
  const { stages } = await controlPlane.recordWithdrawal(denial);
  show(input, "It is being replaced.");
  const outcomes = await answersOf(input, stages, inbox);
  show(input, outcomes.map((outcome) => describeIn(outcome, stages)).join("\n\n"));
  // Who has read the pointer just before it was moved may still call the old model.
  await sleep(pace.graceSeconds * 1000, { summary: "until clients follow the pointer" });
  for (const reached of stages)
    await controlPlane.removeWithdrawnArtifact({ fleet, stage: reached, customerKey, version });
  return outcomes[0] ?? { version, stage, servesNow: null };
}

/** Waits longer in every round, up to sixteenfold: a refresh that fails for days must not fill the history. */
async function answersOf(
  input: WithdrawModelInput,
  stages: readonly string[],
  inbox: Inbox,
): Promise<WithdrawalOutcome[]> {
  const { pace } = input;
  const ask = (stage: string): Promise<void> => request(input, stage);
  const hasAnswered = (stage: string): boolean => inbox.has(stage);
  for (let factor = 1; !stages.every(hasAnswered); factor = Math.min(2 * factor, 16)) {
    const missing = stages.filter((stage) => !hasAnswered(stage));
    await askStages(missing, { ask, hasAnswered, pace, factor });
  }
  return stages.flatMap((stage) => inbox.get(stage) ?? []);
}

/** Straight to the endpoint's workflow; only when none runs, an activity starts it. */
async function request(input: WithdrawModelInput, stage: string): Promise<void> {
  const { fleet, customerKey, version, to, pace } = input;
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

const describeIn = (outcome: WithdrawalOutcome, stages: readonly string[]): string =>
  stages.length === 1 ? describe(outcome) : `Stage ${outcome.stage}: ${describe(outcome)}`;

const describe = ({ servesNow }: WithdrawalOutcome): string =>
  servesNow === null
    ? "No other version may serve: the customer has no model now."
    : `Version ${servesNow.version} serves, ${servedAs(servesNow.targetModel)}.`;

function show(input: WithdrawModelInput, state: string): void {
  const { version, customerKey, decision, retire } = input;
  const { by, note } = decision;
  const why = note === undefined || note === "" ? "" : `: ${note}`;
  const what = retire === true ? "**retired**" : "**denied**";
  setCurrentDetails(`Version ${version} of ${customerKey} was ${what} by ${by}${why}\n\n${state}`);
}
