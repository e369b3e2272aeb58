/** Which cohorts an endpoint has been asked for, and how far each has come. Pure: no waiting here. */
import type { CohortCourse, CohortPublication, CohortWithdrawal } from "./messages.js";

/** By kind and version. */
export type CohortDesk = Map<string, CohortCourse>;

export function openCohortDesk(courses: readonly CohortCourse[] = []): CohortDesk {
  return new Map(courses.map((course) => [keyOf(course), course]));
}

/** Asked again, it goes on where it is; the later asker is the one who still waits. */
export function acceptCohort(desk: CohortDesk, publication: CohortPublication): void {
  const asked: CohortCourse = {
    kind: "publish",
    publication,
    step: "copy",
    after: "",
    verifyAll: false,
  };
  const known = desk.get(keyOf(asked));
  desk.set(keyOf(asked), known?.kind === "publish" ? { ...known, publication } : asked);
}

export function denyCohort(desk: CohortDesk, withdrawal: CohortWithdrawal): void {
  const asked: CohortCourse = { kind: "withdraw", withdrawal, after: "", refreshed: false };
  const known = desk.get(keyOf(asked));
  desk.set(keyOf(asked), known?.kind === "withdraw" ? { ...known, withdrawal } : asked);
}

/** What is done next: a withdrawal before a publication; the newest first, as it makes older ones needless. */
export function nextCohort(desk: CohortDesk): CohortCourse | undefined {
  const newestFirst = [...desk.values()].sort((one, other) => versionOf(other) - versionOf(one));
  return newestFirst.find(({ kind }) => kind === "withdraw") ?? newestFirst[0];
}

/** Where it stands after a step; keeps who has asked meanwhile. */
export function moveOn(desk: CohortDesk, course: CohortCourse): void {
  const known = desk.get(keyOf(course));
  if (course.kind === "publish" && known?.kind === "publish")
    desk.set(keyOf(course), { ...course, publication: known.publication });
  else if (course.kind === "withdraw" && known?.kind === "withdraw")
    desk.set(keyOf(course), { ...course, withdrawal: known.withdrawal });
}

/** Off the desk, before it is answered: who asks from now on asks anew. Returns it with who asked last. */
export function finish(desk: CohortDesk, course: CohortCourse): CohortCourse {
  const known = desk.get(keyOf(course)) ?? course;
  desk.delete(keyOf(course));
  return known;
}

const versionOf = (course: CohortCourse): number =>
  course.kind === "publish" ? course.publication.version : course.withdrawal.version;

const keyOf = (course: CohortCourse): string => `${course.kind} ${versionOf(course)}`;
