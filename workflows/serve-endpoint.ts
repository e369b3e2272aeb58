/** The only workflow that touches one stage's endpoint of one fleet: publishes approved versions, withdraws denied ones. */
import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";
import { LIMITS } from "../fleet/limits.js";
import { wayBack } from "./activities.js";
import {
  accept,
  carryOver,
  deny,
  isAsked,
  openDesk,
  openPublications,
  putBack,
  takeBatch,
  takeDenied,
  type Desk,
} from "./desk.js";
import { acceptCohort, type CohortDesk, denyCohort, openCohortDesk } from "./cohort-desk.js";
import { reject, serveBatch, type Refreshes } from "./endpoint-batch.js";
import { clearCohorts, serveCohortStep } from "./endpoint-cohort.js";
import { failureOf } from "./failures.js";
import {
  publish,
  publishCohort,
  type ServeEndpointInput,
  withdraw,
  withdrawMembers,
} from "./messages.js";

/**
 * Started by the first request, ends when none came for a while. Every publication that was ever signalled gets an
 * outcome: it is served, rejected, replaced by a newer version, or carried into the next run. Every withdrawal is
 * done, however often that takes.
 *
 * Two lanes. Batches copy, refresh and verify, for minutes. A withdrawal that only moves a pointer does not wait for
 * them: the ledger's locks let it and a publication of the same customer happen in either order. One that needs a
 * refresh joins the next batch. Cohorts are gone through page by page, and batches go between two pages.
 */
export async function serveEndpoint(input: ServeEndpointInput): Promise<void> {
  const course: Course = {
    desk: openDesk(input),
    cohorts: openCohortDesk(input.cohorts),
    isMoving: false,
    isLeaving: false,
    ...(input.refreshedAt === undefined ? {} : { refreshedAt: input.refreshedAt }),
  };
  const { desk, cohorts } = course;
  setHandler(publishCohort, (publication) => acceptCohort(cohorts, publication));
  setHandler(withdrawMembers, (withdrawal) => denyCohort(cohorts, withdrawal));
  setHandler(publish, (publication) => accept(desk, publication));
  setHandler(withdraw, (withdrawal) => deny(desk, withdrawal));
  const moved = moveDenied(input, course);
  try {
    await serveRequests(input, course);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(async () => {
      await moved;
      await clearDesk(input, course);
    });
    throw error;
  }
}

interface Course extends Refreshes {
  readonly desk: Desk;
  readonly cohorts: CohortDesk;
  /** A withdrawal is being made that only moves a pointer. */
  isMoving: boolean;
  /** The run is about to continue as new: no further one is begun. */
  isLeaving: boolean;
}

async function serveRequests(input: ServeEndpointInput, course: Course): Promise<void> {
  const { collectSeconds, idleSeconds, roundSeconds } = input.pace;
  const { desk, cohorts } = course;
  const isFull = (): boolean => desk.wanted.size >= LIMITS.publicationsPerBatch;
  const isTired = (): boolean => workflowInfo().continueAsNewSuggested;
  const hasWork = (): boolean => isAsked(desk) || cohorts.size > 0;
  let failures = 0;
  for (;;) {
    // A cohort is gone on with at once.
    if (cohorts.size === 0) {
      setCurrentDetails("Nothing to do");
      await condition(() => hasWork() || isTired(), idleSeconds * 1000, { summary: "idle" });
    }
    if (isAsked(desk)) {
      // What arrives within this time shares one pass; a full batch need not wait.
      await condition(isFull, collectSeconds * 1000, { summary: "collect requests" });
      // A batch that has begun is brought to its end: half of it may serve already.
      const isDone = await CancellationScope.nonCancellable(() =>
        serveBatch(input, course, takeBatch(desk), desk),
      );
      failures = isDone ? 0 : failures + 1;
    } else if (!hasWork() && !isTired() && desk.denied.size === 0 && !course.isMoving) {
      // Ends only with an empty desk; a signal that arrives with the end makes the server refuse the end.
      return;
    }
    if (cohorts.size > 0)
      await CancellationScope.nonCancellable(() => serveCohortStep(input, course, cohorts));
    if (isTired()) await leave(input, course);
    if (failures > 0) await rest(course, roundSeconds, failures);
  }
}

/** After a refresh that failed; what is new may be what mends it. */
async function rest(
  { desk, cohorts }: Course,
  roundSeconds: number,
  failures: number,
): Promise<void> {
  const waiting = desk.slow.size;
  const hasNews = (): boolean =>
    cohorts.size > 0 ||
    desk.wanted.size > 0 ||
    desk.cancelled.length > 0 ||
    desk.slow.size > waiting;
  if (waiting === 0 && desk.unsure.size === 0) return;
  const doublings = Math.min(failures - 1, LIMITS.refreshDoublings);
  setCurrentDetails(
    `The last refresh failed. ${waiting} withdrawals wait for the next one, which is tried again.`,
  );
  await condition(hasNews, roundSeconds * 1000 * 2 ** doublings, {
    summary: "before another refresh",
  });
}

async function leave(input: ServeEndpointInput, course: Course): Promise<void> {
  course.isLeaving = true;
  await condition(() => !course.isMoving);
  const { refreshedAt, desk, cohorts } = course;
  await continueAsNew<typeof serveEndpoint>({
    ...input,
    ...carryOver(desk),
    cohorts: [...cohorts.values()],
    ...(refreshedAt === undefined ? {} : { refreshedAt }),
  });
}

/** Withdrawals that a pointer does, beside whatever batch is running. Ends when the run is cancelled. */
async function moveDenied(input: ServeEndpointInput, course: Course): Promise<void> {
  try {
    for (;;) {
      await condition(() => course.desk.denied.size > 0 && !course.isLeaving);
      // One job may fulfil this and what `leave` comes after, in either order: what is taken now would not be carried over.
      if (course.isLeaving) continue;
      course.isMoving = true;
      await CancellationScope.nonCancellable(() => moveBack(input, course.desk));
      course.isMoving = false;
    }
  } catch (error) {
    if (!isCancellation(error)) throw error;
  }
}

async function moveBack({ fleet, stage }: ServeEndpointInput, desk: Desk): Promise<void> {
  const withdrawals = takeDenied(desk);
  try {
    const settling = { fleet, stage, withdrawals, restored: null };
    const { open } = await wayBack.settleWithdrawals(settling);
    putBack(desk, open);
  } catch (error) {
    log.error("withdrawals delayed", { fleet, stage, ...failureOf(error) });
    // The batch looks after the endpoint first, which may be what is missing.
    putBack(desk, withdrawals);
  }
}

/** Of a cancelled run: publications are told, withdrawals are made. What cannot be made is asked for again. */
async function clearDesk(input: ServeEndpointInput, course: Course): Promise<void> {
  const { desk } = course;
  let isDone = true;
  const isOwed = (): boolean => isDone && (desk.slow.size > 0 || desk.unsure.size > 0);
  while (openPublications(desk).length > 0 || desk.denied.size > 0 || isOwed()) {
    const left = openPublications(desk);
    desk.wanted.clear();
    desk.replaced = [];
    desk.cancelled = [];
    if (left.length > 0) await reject(input, left, "the endpoint's workflow was cancelled");
    if (desk.denied.size > 0) await moveBack(input, desk);
    if (isOwed()) isDone = await serveBatch(input, course, takeBatch(desk), desk);
  }
  await clearCohorts(input, course, course.cohorts);
}
