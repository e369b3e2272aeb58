/** All customers of a cycle: one training job that makes all their models, the gate, and one release. */
import { CancellationScope, isCancellation, setCurrentDetails } from "@temporalio/workflow";
import { FAILURES } from "../fleet/errors.js";
import { cohort, messenger } from "./activities.js";
import { type Failure, failureOf, workflowFailure } from "./failures.js";
import type { RetrainCohortInput, ShardTotals } from "./messages.js";
import { stagesIn } from "./promotion.js";
import { releaseNewCohort } from "./release-cohort.js";
import {
  listenForEndedJobs,
  makeModel,
  type ModelJobs,
  shardedJob,
  stopOpenJobs,
} from "./training-jobs.js";

/**
 * Fails with what the job failed with: a fault of all customers. A customer whose model could not be made, or that the
 * gate keeps its champion for, is one in the totals. Cancelled, it stops the job; what that has trained by then stays, and
 * the next run of the cycle trains the rest.
 */
export async function retrainCohort(input: RetrainCohortInput): Promise<ShardTotals> {
  const { fleet, cycle, pace } = input;
  const jobs = listenForEndedJobs(shardedJob(input), pace);
  try {
    const { trainingJobName, details } = await makeModel(jobs);
    const judged = await cohort.evaluateCohort({ fleet, cycle, trainingJobName });
    const { evaluated, championKept, failed } = judged;
    setCurrentDetails(
      `${details}\n\n${evaluated} to release, ${championKept} champions kept, ${failed} failed`,
    );
    if (evaluated === 0) return { registered: 0, championKept, failed };
    // A version that is registered without a release would wait for ever: not to be cut by cancellation.
    const { registered } = await CancellationScope.nonCancellable(() =>
      releaseNewCohort({ fleet, ...stagesIn(input), cycle, pace }),
    );
    return { registered, championKept, failed };
  } catch (error) {
    return await CancellationScope.nonCancellable(() => giveUp(input, jobs, error));
  }
}

async function giveUp(
  { fleet, cycle }: RetrainCohortInput,
  jobs: ModelJobs,
  error: unknown,
): Promise<never> {
  const cancelled = isCancellation(error);
  const failure: Failure = cancelled
    ? { type: FAILURES.trainingStopped, message: "cancelled before it was done" }
    : failureOf(error);
  await stopOpenJobs(jobs);
  const { type: errorType, message: reason } = failure;
  await messenger.recordCohortFailure({ fleet, cycle, errorType, reason });
  if (cancelled) throw error;
  throw workflowFailure(failure, error);
}
