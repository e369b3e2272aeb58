/** One step of a cohort over an endpoint: a page of its members, or what comes between two rounds of pages. */
import { log, setCurrentDetails } from "@temporalio/workflow";
import { cohorts, cohortMessenger, refresh } from "./activities.js";
import { type CohortDesk, finish, moveOn, nextCohort } from "./cohort-desk.js";
import { type Refreshes, timeOfRefresh } from "./endpoint-batch.js";
import { failureOf } from "./failures.js";
import type { CohortCourse, ServeEndpointInput } from "./messages.js";

type Publishing = Extract<CohortCourse, { readonly kind: "publish" }>;
type Withdrawing = Extract<CohortCourse, { readonly kind: "withdraw" }>;

/**
 * Takes the next step of the cohort whose turn it is, and leaves the desk so that the step after it follows. Every
 * cohort that was asked for gets an answer, whatever fails.
 */
export async function serveCohortStep(
  input: ServeEndpointInput,
  refreshes: Refreshes,
  desk: CohortDesk,
): Promise<void> {
  const course = nextCohort(desk);
  if (course === undefined) return;
  try {
    if (course.kind === "publish") await publishStep(input, refreshes, desk, course);
    else await withdrawStep(input, refreshes, desk, course);
  } catch (error) {
    const failure = failureOf(error);
    log.error("cohort step failed", { fleet: input.fleet, stage: input.stage, ...failure });
    await answer(input, desk, course, failure.message);
  }
}

/** All artifacts are in place before the endpoint is asked, and the sample has answered before a pointer moves. */
async function publishStep(
  input: ServeEndpointInput,
  refreshes: Refreshes,
  desk: CohortDesk,
  course: Publishing,
): Promise<void> {
  const { step, after, verifyAll } = course;
  const cohort = cohortOf(input, course);
  setCurrentDetails(describe(course));
  switch (step) {
    case "copy": {
      const copied = await cohorts.copyCohortPage({ ...cohort, after });
      if (copied.stopped) return answer(input, desk, course, null);
      const isLast = copied.after === null;
      return moveOn(desk, {
        ...course,
        after: copied.after ?? "",
        step: isLast ? "verify" : "copy",
      });
    }
    case "verify": {
      await makeRefresh(input, refreshes);
      const verified = await cohorts.verifyCohort(cohort);
      if (verified.kind === "broken") return answer(input, desk, course, verified.because);
      return moveOn(desk, { ...course, step: "point", verifyAll: verified.kind === "doubtful" });
    }
    case "point": {
      const pointed = await cohorts.pointCohortPage({ ...cohort, after, verify: verifyAll });
      if (pointed.stopped || pointed.after === null) return answer(input, desk, course, null);
      return moveOn(desk, { ...course, after: pointed.after });
    }
  }
}

/** At once on the endpoint as it is; what cannot be done so gets a second round after a refresh. */
async function withdrawStep(
  input: ServeEndpointInput,
  refreshes: Refreshes,
  desk: CohortDesk,
  course: Withdrawing,
): Promise<void> {
  const { after, refreshed } = course;
  setCurrentDetails(describe(course));
  const page = { ...cohortOf(input, course), after, refreshed };
  const settled = await cohorts.settleCohortPage(page);
  if (settled.after !== null) return moveOn(desk, { ...course, after: settled.after });
  if (settled.open === 0 || refreshed) return answer(input, desk, course, null);
  await makeRefresh(input, refreshes);
  moveOn(desk, { ...course, after: "", refreshed: true });
}

/** Whoever is on the desk by now is told: somebody may have asked again meanwhile. */
async function answer(
  input: ServeEndpointInput,
  desk: CohortDesk,
  course: CohortCourse,
  because: string | null,
): Promise<void> {
  const asked = finish(desk, course);
  if (asked.kind === "publish") {
    const { releaseWorkflowId } = asked.publication;
    await cohortMessenger.answerCohort({ ...cohortOf(input, asked), releaseWorkflowId, because });
  } else {
    const { withdrawWorkflowId } = asked.withdrawal;
    const told = { ...cohortOf(input, asked), withdrawWorkflowId, because };
    await cohortMessenger.answerCohortWithdrawal(told);
  }
}

/** Of a cancelled run: publications are told, withdrawals are made. */
export async function clearCohorts(
  input: ServeEndpointInput,
  refreshes: Refreshes,
  desk: CohortDesk,
): Promise<void> {
  for (let course = nextCohort(desk); course !== undefined; course = nextCohort(desk))
    if (course.kind === "withdraw") await serveCohortStep(input, refreshes, desk);
    else await answer(input, desk, course, "the endpoint's workflow was cancelled");
}

async function makeRefresh({ fleet, stage }: ServeEndpointInput, refreshes: Refreshes) {
  const at = timeOfRefresh(refreshes.refreshedAt);
  refreshes.refreshedAt = at;
  await refresh.ensureEndpoint({ fleet, stage, at, reload: false });
}

function cohortOf({ fleet, stage }: ServeEndpointInput, course: CohortCourse) {
  const { version } = course.kind === "publish" ? course.publication : course.withdrawal;
  return { fleet, stage, version };
}

const STEPS = {
  copy: "its artifacts are being put in place",
  verify: "a sample of it is being asked",
  point: "its customers are being pointed to it",
} as const;

function describe(course: CohortCourse): string {
  const place = course.after === "" ? "" : `, after customer ${course.after}`;
  return course.kind === "publish"
    ? `Publishing version ${course.publication.version} of all customers: ${STEPS[course.step]}${place}`
    : `Withdrawing version ${course.withdrawal.version} of all customers${place}`;
}
