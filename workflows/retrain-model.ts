/** One customer's cycle: train or tune, judge the challenger against the champion, register it, release it. */
import {
  CancellationScope,
  isCancellation,
  setCurrentDetails,
  startChild,
} from "@temporalio/workflow";
import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import { FAILURES } from "../fleet/errors.js";
import { controlPlane, messenger } from "./activities.js";
import { type Failure, failureOf, workflowFailure } from "./failures.js";
import { type RetrainModelInput, type RetrainOutcome, workflowIds } from "./messages.js";
import { stagesIn } from "./promotion.js";
import { releaseModel } from "./release-model.js";
import { searchAttributes } from "./search-attributes.js";
import {
  kindOf,
  listenForEndedJobs,
  makeModel,
  type ModelJobs,
  stopOpenJobs,
} from "./training-jobs.js";

/**
 * Fails with `<customer>: <the last line of the traceback>`, so that the web UI's list shows the cause.
 * Cancelled, it stops its training or tuning job: else the job bills on.
 *
 * Billable Temporal actions of a customer whom the policy approves, from here until it serves:
 *   2 retrainModel as a child · 3 startTrainingJob or startTuningJob, evaluateModel, registerModel
 *   1 guard timer · 1 signal jobEnded · 2 releaseModel as a child · 1 signal publish · 1 signal published = 11
 * and in shares: 0.1 progress, 0.05 to 0.1 a batch of publications, 0.02 shard and cycle: below 12.
 */
export async function retrainModel(input: RetrainModelInput): Promise<RetrainOutcome> {
  const jobs = listenForEndedJobs(kindOf(input), input.pace);
  try {
    const { trainingJobName, details } = await makeModel(jobs);
    const { fleet, cycle, customerKey } = input;
    const job = { fleet, cycle, customerKey, trainingJobName };
    const { decision, because } = await controlPlane.evaluateModel(job);
    const judged = `Training job \`${trainingJobName}\`. **${decision}**: ${because}`;
    setCurrentDetails(input.tune ? `${judged}\n\n${details}` : judged);
    if (decision === "keep-champion") return { kind: "champion-kept", because };
    // A version that is registered without a release would wait for ever: not to be cut by cancellation.
    return await CancellationScope.nonCancellable(() => register(input, because));
  } catch (error) {
    const { type, message } = failureOf(error);
    // The ledger has the reason already, and no job is open: whoever was admitted is not refused.
    if (type === FAILURES.budgetExceeded) return { kind: "over-budget", because: message };
    return await CancellationScope.nonCancellable(() => giveUp(input, jobs, error));
  }
}

/** The release outlives the cycle: an approval may take weeks. */
async function register(input: RetrainModelInput, evaluation: string): Promise<RetrainOutcome> {
  const { fleet, cycle, customerKey, pace } = input;
  const { version, approvedBy } = await controlPlane.registerModel({ fleet, cycle, customerKey });
  const approval = approvedBy === undefined ? {} : { approvedBy };
  try {
    await startChild(releaseModel, {
      workflowId: workflowIds.releaseModel(fleet, customerKey, version),
      args: [
        { fleet, ...stagesIn(input), cycle, customerKey, version, evaluation, pace, ...approval },
      ],
      parentClosePolicy: "ABANDON",
      workflowIdReusePolicy: "ALLOW_DUPLICATE_FAILED_ONLY",
      typedSearchAttributes: searchAttributes({
        fleet,
        cycle,
        customer: customerKey,
        approvalState: approvedBy === undefined ? "PENDING" : "APPROVED",
      }),
      staticSummary: `Release version ${version} of ${customerKey} of ${fleet}`,
    });
  } catch (error) {
    // Started before, by a run that ended between the start and its own end: the release goes on.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  return { kind: "registered", version };
}

async function giveUp(input: RetrainModelInput, jobs: ModelJobs, error: unknown): Promise<never> {
  const { fleet, cycle, customerKey } = input;
  const cancelled = isCancellation(error);
  const failure: Failure = cancelled
    ? { type: FAILURES.trainingStopped, message: "cancelled before it was done" }
    : failureOf(error);
  await stopOpenJobs(jobs);
  const { type: errorType, message: reason } = failure;
  const { customer } = await messenger.recordFailure({
    fleet,
    cycle,
    customerKey,
    errorType,
    reason,
  });
  if (cancelled) throw error;
  throw workflowFailure({ ...failure, message: `${customer}: ${failure.message}` }, error);
}
