/** A whole cohort on its way to serving: approved or denied as one, then published by each stage's endpoint workflow. */
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
import { cohorts, cohortMessenger, messenger } from "./activities.js";
import { untilDecided } from "./await-decision.js";
import { workflowFailure } from "./failures.js";
import {
  type CohortOutcome,
  type CohortPublication,
  cohortPublished,
  type CohortPublished,
  type FleetStages,
  type Pace,
  type PublicationOutcome,
  publishCohort,
  type ReleaseCohortInput,
  type WithdrawCohortInput,
  workflowIds,
  WORKFLOWS,
} from "./messages.js";
import {
  arrive,
  carryThrough,
  openWay,
  stagesIn,
  type Traveller,
  withdrawalAfter,
} from "./promotion.js";
import { type Desk, openDesk, remark } from "./release-desk.js";
import { searchAttributes } from "./search-attributes.js";

export interface NewCohortInput extends FleetStages {
  readonly fleet: string;
  readonly cycle: string;
  readonly pace: Pace;
}

/**
 * For the cycle that has trained them: its evaluated customers become one version, and its release is started. The
 * release outlives the cycle: an approval may take weeks. Not to be cut by cancellation, or a version that is
 * registered would wait for ever. Returns the number of members; 0 when the gate has left nobody.
 */
export async function releaseNewCohort(input: NewCohortInput): Promise<{ registered: number }> {
  const { fleet, cycle, pace } = input;
  const registered = await cohorts.registerCohort({ fleet, cycle });
  if (registered === null) return { registered: 0 };
  const { version, members, evaluation, approvedBy } = registered;
  const approval = approvedBy === undefined ? {} : { approvedBy };
  try {
    await startChild(releaseCohort, {
      workflowId: workflowIds.releaseCohort(fleet, version),
      args: [{ fleet, ...stagesIn(input), cycle, version, members, evaluation, pace, ...approval }],
      parentClosePolicy: "ABANDON",
      workflowIdReusePolicy: "ALLOW_DUPLICATE_FAILED_ONLY",
      typedSearchAttributes: searchAttributes({
        fleet,
        cycle,
        approvalState: approvedBy === undefined ? "PENDING" : "APPROVED",
      }),
      staticSummary: `Release version ${version} of all customers of ${fleet}: ${members} models`,
    });
  } catch (error) {
    // Started before, by a run that ended between the start and its own end: the release goes on.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  return { registered: members };
}

/**
 * Ends when every member serves in every stage or is known not to, or the cohort comes into no further stage. A denial
 * is taken at any instant until then: one that comes while members are being published stops that, and has those
 * that serve by then withdrawn from whatever stages serve them.
 */
export async function releaseCohort(input: ReleaseCohortInput): Promise<CohortOutcome> {
  const desk = openDesk(docketOf(input));
  const way = openWay(input, desk);
  const answer: Answer = {};
  setHandler(cohortPublished, (outcome) => {
    if (outcome.version !== input.version) return;
    if (arrive(way, desk, publicationOf(input, outcome))) answer.outcome = outcome;
  });
  await Promise.all([decide(input, desk), carryThrough(travellerOf(input, desk), desk, way)]);
  const denial = withdrawalAfter(desk, way);
  if (denial !== null) await startWithdrawal(input, denial);
  if (isIn(desk, "expired")) await desk.farewell;
  return outcomeOf(desk.state, answer.outcome);
}

interface Answer {
  /** Of the last stage that was asked. */
  outcome?: CohortPublished;
}

async function decide(input: ReleaseCohortInput, desk: Desk): Promise<void> {
  if (isIn(desk, "awaiting-approval")) await untilDecided(input, desk, await find(input));
}

function travellerOf(input: ReleaseCohortInput, desk: Desk): Traveller {
  const { fleet, cycle, version, pace } = input;
  return {
    cycle: { fleet, cycle },
    request: (stage) => requestPublication(input, stage),
    guardSeconds: pace.guardSeconds,
    denialSeconds: pace.headStartSeconds,
    recordVerdict: async (verdict) => {
      const { unknown } = await cohortMessenger.recordCohortDecision({
        fleet,
        version,
        ...verdict,
      });
      if (unknown.length === 0) return;
      remark(desk, `Not members, so nobody was left out by: ${unknown.slice(0, 20).join(", ")}.`);
    },
    recordWay: (record) => messenger.recordCohortPromotion({ fleet, version, ...record }),
  };
}

/** Not compared in place: the compiler does not know that a wait changes the state. */
const isIn = (desk: Desk, kind: ReleaseState["kind"]): boolean => desk.state.kind === kind;

const docketOf = ({
  fleet,
  cycle,
  version,
  members,
  approvedBy,
  evaluation,
}: ReleaseCohortInput) => ({
  version,
  approvedBy,
  subject: `Version ${version} of ${fleet}, ${members} models of cycle ${cycle},`,
  evaluation,
  howToDecide:
    `Decide with \`modelfleet approve ${fleet} --version ${version}\` (\`--except\` leaves customers out) or ` +
    "`modelfleet deny …`, or send the signal `approve` or `deny` with " +
    '`{"by": "your name", "note": "why"}`, to leave customers out also `"except": ["…"]`.',
  isCohort: true,
});

const find = ({ fleet, version }: ReleaseCohortInput) =>
  messenger.findCohortApproval({ fleet, version });

/** A stage where some members serve has the cohort; those that failed there come into no further one. */
function publicationOf(
  { members }: ReleaseCohortInput,
  { stage, version, serving, because }: CohortPublished,
): PublicationOutcome {
  if (serving > 0)
    return { kind: "serving", stage, version, targetModel: `${serving} of ${members} models` };
  return { kind: "rejected", stage, version, because: because ?? "no member was left to publish" };
}

/** Straight to the endpoint's workflow; only when none runs, an activity starts it. */
async function requestPublication(input: ReleaseCohortInput, stage: string): Promise<void> {
  const { fleet, version, pace } = input;
  const releaseWorkflowId = workflowInfo().workflowId;
  const publication: CohortPublication = { version, releaseWorkflowId };
  const endpoint = getExternalWorkflowHandle(workflowIds.serveEndpoint(fleet, stage));
  try {
    await endpoint.signal(publishCohort, publication);
  } catch (error) {
    if (isCancellation(error)) throw error;
    await messenger.requestCohortPublication({ fleet, stage, publication, pace });
  }
}

/** It goes on by itself. One that runs already, started by whoever denied it elsewhere, does the same. */
async function startWithdrawal(
  input: ReleaseCohortInput,
  { by, note }: { readonly by: string; readonly note: string },
): Promise<void> {
  const { fleet, stage, cycle, version, pace } = input;
  const decision = { verdict: "deny", by, note } as const;
  const args: WithdrawCohortInput = { fleet, stage, version, decision, pace };
  try {
    await startChild(WORKFLOWS.withdrawCohort, {
      workflowId: workflowIds.withdrawCohort(fleet, version),
      args: [args],
      parentClosePolicy: "ABANDON",
      workflowIdReusePolicy: "ALLOW_DUPLICATE",
      typedSearchAttributes: searchAttributes({ fleet, cycle }),
      staticSummary: `Withdraw version ${version} of all customers of ${fleet}`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

function outcomeOf(state: ReleaseState, answer: CohortPublished | undefined): CohortOutcome {
  switch (state.kind) {
    case "serving": {
      const { serving = 0, rejected = 0, leftOut = 0 } = answer ?? {};
      return { kind: "serving", serving, rejected, leftOut };
    }
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
