/** A whole cohort on its way to serving: approved or denied as one, then published by the endpoint's workflow. */
import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import {
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  setHandler,
  startChild,
  upsertSearchAttributes,
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
  type Pace,
  publishCohort,
  type ReleaseCohortInput,
  type WithdrawCohortInput,
  workflowIds,
  WORKFLOWS,
} from "./messages.js";
import { type Desk, openDesk, remark, take } from "./release-desk.js";
import { APPROVAL_STATES, attributeKeys, searchAttributes } from "./search-attributes.js";

export interface NewCohortInput {
  readonly fleet: string;
  readonly stage: string;
  readonly cycle: string;
  readonly pace: Pace;
}

/**
 * For the cycle that has trained them: its evaluated customers become one version, and its release is started. The
 * release outlives the cycle: an approval may take weeks. Not to be cut by cancellation, or a version that is
 * registered would wait for ever. Returns the number of members; 0 when the gate has left nobody.
 */
export async function releaseNewCohort(input: NewCohortInput): Promise<{ registered: number }> {
  const { fleet, stage, cycle, pace } = input;
  const registered = await cohorts.registerCohort({ fleet, cycle });
  if (registered === null) return { registered: 0 };
  const { version, members, evaluation, approvedBy } = registered;
  const approval = approvedBy === undefined ? {} : { approvedBy };
  try {
    await startChild(releaseCohort, {
      workflowId: workflowIds.releaseCohort(fleet, version),
      args: [{ fleet, stage, cycle, version, members, evaluation, pace, ...approval }],
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
 * Ends when every member serves or is known not to. A denial is taken at any instant until then: one that comes
 * while members are being published stops that, and has those that serve by then withdrawn.
 */
export async function releaseCohort(input: ReleaseCohortInput): Promise<CohortOutcome> {
  const desk = openDesk(docketOf(input));
  const answer: Answer = {};
  setHandler(cohortPublished, (outcome) => {
    if (outcome.version !== input.version) return;
    answer.outcome = outcome;
    take(desk, eventOf(input, outcome));
  });
  if (isIn(desk, "awaiting-approval")) await untilDecided(input, desk, await find(input));
  await recordVerdicts(input, desk);
  if (isIn(desk, "publishing")) {
    await untilAnswered(input, desk, "publishing");
    await recordVerdicts(input, desk);
    await untilAnswered(input, desk, "denied-while-publishing");
  }
  // Denied before the endpoint was asked.
  take(desk, { kind: "not-served", because: "it was not asked for" });
  if (desk.state.kind === "denied-while-serving") await startWithdrawal(input, desk.state);
  if (isIn(desk, "expired")) await desk.farewell;
  return outcomeOf(desk.state, answer.outcome);
}

interface Answer {
  /** The last one of the endpoint. */
  outcome?: CohortPublished;
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

function eventOf({ members }: ReleaseCohortInput, { serving, because }: CohortPublished) {
  if (serving > 0)
    return { kind: "served", targetModel: `${serving} of ${members} models` } as const;
  return { kind: "not-served", because: because ?? "no member was left to publish" } as const;
}

/** In the order they came: the registry and the ledger hold an approval before anything serves. */
async function recordVerdicts({ fleet, version }: ReleaseCohortInput, desk: Desk): Promise<void> {
  const { unrecorded } = desk;
  for (let next = unrecorded.shift(); next !== undefined; next = unrecorded.shift()) {
    const approvalState = APPROVAL_STATES[next.state];
    upsertSearchAttributes([{ key: attributeKeys.approvalState, value: approvalState }]);
    const { unknown } = await cohortMessenger.recordCohortDecision({ fleet, version, ...next });
    if (unknown.length > 0)
      remark(desk, `Not members, so nobody was left out by: ${unknown.slice(0, 20).join(", ")}.`);
  }
}

/**
 * Asks again after a while: the endpoint's workflow loses nothing, but somebody may terminate it. Doubled up to
 * sixteenfold. What is done is not done twice.
 */
async function untilAnswered(
  input: ReleaseCohortInput,
  desk: Desk,
  kind: "publishing" | "denied-while-publishing",
): Promise<void> {
  for (let factor = 1; isIn(desk, kind); factor = Math.min(2 * factor, 16)) {
    // Once it is denied the endpoint stops by itself, and answers what it was asked before.
    if (kind === "publishing" || factor > 1) await requestPublication(input);
    await condition(() => !isIn(desk, kind), input.pace.guardSeconds * 1000 * factor, {
      summary: "before asking the endpoint again",
    });
  }
}

/** Straight to the endpoint's workflow; only when none runs, an activity starts it. */
async function requestPublication(input: ReleaseCohortInput): Promise<void> {
  const { fleet, stage, version, pace } = input;
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
