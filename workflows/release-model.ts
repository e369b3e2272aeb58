/** One model version on its way to serving: approved or denied, then published by the endpoint's workflow. */
import {
  ApplicationFailure,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from "@temporalio/workflow";
import {
  decideRelease,
  describeRelease,
  openRelease,
  refusalOf,
  type ReleaseState,
} from "../fleet/release.js";
import { controlPlane, messenger } from "./activities.js";
import {
  approve,
  decide,
  type Decision,
  deny,
  type Publication,
  type PublicationOutcome,
  publish,
  published,
  type ReleaseModelInput,
  type ReleaseOutcome,
  workflowIds,
} from "./messages.js";
import { attributeKeys } from "./search-attributes.js";

export async function releaseModel(input: ReleaseModelInput): Promise<ReleaseOutcome> {
  const inbox: Inbox = {};
  listen(input, inbox);
  show(input, stateOf(input, inbox));
  const by = input.approvedBy ?? (await arrival(() => inbox.decision)).by;
  if (inbox.decision !== undefined) {
    await carryOut(input, inbox.decision);
    const { verdict, note } = inbox.decision;
    if (verdict === "deny") return { kind: "denied", by, note: note ?? "" };
  }
  show(input, { kind: "publishing", approvedBy: by });
  await requestPublication(input);
  const outcome = await arrival(() => inbox.outcome);
  show(input, { ...outcome, approvedBy: by });
  return outcome.kind === "serving"
    ? { kind: "serving", targetModel: outcome.targetModel }
    : { kind: "rejected", because: outcome.because };
}

/** What messages have brought so far. The first of each counts, whatever comes later or twice. */
interface Inbox {
  decision?: Decision;
  outcome?: PublicationOutcome;
}

function listen(input: ReleaseModelInput, inbox: Inbox): void {
  const refusal = (decision: Partial<Decision> | undefined): string | null =>
    refusalOf(stateOf(input, inbox), decision ?? {});
  const signalled = (decision: Partial<Decision>): void => {
    const refused = refusal(decision);
    if (refused === null) inbox.decision = complete(decision);
    else {
      // A signal cannot be answered, so the page that it was sent from tells.
      log.warn("decision refused", { refused });
      show(input, stateOf(input, inbox), `The last signal was refused: ${refused}.`);
    }
  };
  setHandler(published, (outcome) => {
    if (outcome.version === input.version) inbox.outcome ??= outcome;
  });
  setHandler(
    decide,
    (decision) => {
      inbox.decision = decision;
      return decision;
    },
    {
      // Synchronous, or a refusal would hang the caller. A refused update leaves no trace in the history.
      validator: (decision: Decision) => {
        const refused = refusal(decision);
        if (refused !== null) throw ApplicationFailure.nonRetryable(refused, "DecisionRefused");
      },
    },
  );
  setHandler(approve, (said) => signalled({ ...said, verdict: "approve" }));
  setHandler(deny, (said) => signalled({ ...said, verdict: "deny" }));
}

/** After `refusalOf` found nothing missing. */
const complete = ({ verdict, by, note }: Partial<Decision>): Decision => ({
  verdict: verdict ?? "deny",
  by: by ?? "",
  ...(note === undefined ? {} : { note }),
});

const stateOf = (input: ReleaseModelInput, inbox: Inbox): ReleaseState =>
  inbox.decision === undefined ? openRelease(input.approvedBy) : decideRelease(inbox.decision);

async function arrival<T>(read: () => T | undefined): Promise<T> {
  for (;;) {
    const arrived = read();
    if (arrived !== undefined) return arrived;
    await condition(() => read() !== undefined);
  }
}

/** The registry and the ledger hold the decision before anything serves. */
async function carryOut(input: ReleaseModelInput, decision: Decision): Promise<void> {
  const { fleet, customerKey, version } = input;
  show(input, decideRelease(decision));
  const value = decision.verdict === "approve" ? "APPROVED" : "DENIED";
  upsertSearchAttributes([{ key: attributeKeys.approvalState, value }]);
  await controlPlane.recordDecision({ fleet, customerKey, version, decision });
}

/** Straight to the endpoint's workflow: one action instead of two. Only when none runs, an activity starts it. */
async function requestPublication(input: ReleaseModelInput): Promise<void> {
  const { fleet, stage, customerKey, version, pace } = input;
  const releaseWorkflowId = workflowInfo().workflowId;
  const publication: Publication = { customerKey, version, releaseWorkflowId };
  const endpoint = getExternalWorkflowHandle(workflowIds.serveEndpoint(fleet, stage));
  try {
    await endpoint.signal(publish, publication);
  } catch (error) {
    if (isCancellation(error)) throw error;
    await messenger.requestPublication({ fleet, stage, publication, pace });
  }
}

function show(input: ReleaseModelInput, state: ReleaseState, more = ""): void {
  const howTo =
    state.kind === "awaiting-approval"
      ? `\n\nDecide with \`modelfleet approve ${input.fleet} ${input.customerKey}\` or \`modelfleet deny …\`, ` +
        'or send the signal `approve` or `deny` with `{"by": "your name", "note": "why"}`.'
      : "";
  const title = `Version ${input.version} of ${input.customerKey} **${describeRelease(state)}**`;
  setCurrentDetails(`${title}\n\n${input.evaluation}${howTo}${more === "" ? "" : `\n\n${more}`}`);
}
