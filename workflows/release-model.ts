/** One model version on its way to serving: approved or denied, then published by the endpoint's workflow. */
import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import {
  getExternalWorkflowHandle,
  isCancellation,
  setHandler,
  startChild,
  workflowInfo,
} from "@temporalio/workflow";
import { FAILURES } from "../fleet/errors.js";
import { describeRelease, type ReleaseState } from "../fleet/release.js";
import { messenger } from "./activities.js";
import { untilDecided } from "./await-decision.js";
import { workflowFailure } from "./failures.js";
import {
  type Publication,
  publish,
  published,
  type ReleaseModelInput,
  type ReleaseOutcome,
  type WithdrawModelInput,
  workflowIds,
  WORKFLOWS,
} from "./messages.js";
import { arrive, carryThrough, openWay, type Traveller, withdrawalAfter } from "./promotion.js";
import { type Desk, openDesk } from "./release-desk.js";
import { searchAttributes } from "./search-attributes.js";

/**
 * Ends when the version serves in every stage, or comes into no further one. A denial is taken at any instant until
 * then: one that comes while the version is being published waits for what the endpoint answers (not for long, when other
 * stages serve it), and has it withdrawn from whatever stages serve it.
 */
export async function releaseModel(input: ReleaseModelInput): Promise<ReleaseOutcome> {
  const desk = openDesk(docketOf(input));
  const way = openWay(input, desk);
  setHandler(published, (outcome) => {
    if (outcome.version === input.version) arrive(way, desk, outcome);
  });
  await Promise.all([decide(input, desk), carryThrough(travellerOf(input), desk, way)]);
  const denial = withdrawalAfter(desk, way);
  if (denial !== null) await startWithdrawal(input, denial);
  if (isIn(desk, "expired")) await desk.farewell;
  return outcomeOf(desk.state);
}

async function decide(input: ReleaseModelInput, desk: Desk): Promise<void> {
  if (isIn(desk, "awaiting-approval")) await untilDecided(input, desk, await find(input));
}

function travellerOf(input: ReleaseModelInput): Traveller {
  const { fleet, cycle, customerKey, version, pace } = input;
  const release = { fleet, customerKey, version };
  return {
    cycle: { fleet, cycle },
    denialSeconds: pace.headStartSeconds,
    request: (stage) => requestPublication(input, stage),
    recordVerdict: (verdict) => messenger.recordDecision({ ...release, ...verdict }),
    recordWay: (record) => messenger.recordPromotion({ ...release, ...record }),
  };
}

/** Not compared in place: the compiler does not know that a wait changes the state. */
const isIn = (desk: Desk, kind: ReleaseState["kind"]): boolean => desk.state.kind === kind;

const docketOf = ({ fleet, customerKey, version, approvedBy, evaluation }: ReleaseModelInput) => ({
  version,
  approvedBy,
  subject: `Version ${version} of ${customerKey}`,
  evaluation,
  howToDecide:
    `Decide with \`modelfleet approve ${fleet} ${customerKey}\` or \`modelfleet deny …\`, ` +
    'or send the signal `approve` or `deny` with `{"by": "your name", "note": "why"}`.',
  isCohort: false,
});

const find = ({ fleet, cycle, customerKey, version }: ReleaseModelInput) =>
  messenger.findApproval({ fleet, cycle, customerKey, version });

/** Straight to the endpoint's workflow: one action instead of two. Only when none runs, an activity starts it. */
async function requestPublication(input: ReleaseModelInput, stage: string): Promise<void> {
  const { fleet, customerKey, version, pace } = input;
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

/** It goes on by itself. One that runs already, started by whoever denied it elsewhere, does the same. */
async function startWithdrawal(
  input: ReleaseModelInput,
  { by, note }: { readonly by: string; readonly note: string },
): Promise<void> {
  const { fleet, stage, cycle, customerKey, version, pace } = input;
  const decision = { verdict: "deny", by, note } as const;
  const args: WithdrawModelInput = { fleet, stage, customerKey, version, decision, pace };
  try {
    await startChild(WORKFLOWS.withdrawModel, {
      workflowId: workflowIds.withdrawModel(fleet, customerKey, version),
      args: [args],
      parentClosePolicy: "ABANDON",
      workflowIdReusePolicy: "ALLOW_DUPLICATE",
      typedSearchAttributes: searchAttributes({ fleet, cycle, customer: customerKey }),
      staticSummary: `Withdraw version ${version} of ${customerKey} of ${fleet}`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

function outcomeOf(state: ReleaseState): ReleaseOutcome {
  switch (state.kind) {
    case "serving":
      return { kind: "serving", targetModel: state.targetModel };
    case "rejected":
      return { kind: "rejected", because: state.because };
    case "superseded":
      return { kind: "superseded", version: state.version };
    case "expired":
      return state;
    case "denied":
    case "denied-while-serving":
      return { kind: "denied", by: state.by, note: state.note };
    case "awaiting-approval":
    case "publishing":
    case "denied-while-publishing":
      throw workflowFailure({
        type: FAILURES.unexpected,
        message: `the release ended too early: ${describeRelease(state)}`,
      });
  }
}
