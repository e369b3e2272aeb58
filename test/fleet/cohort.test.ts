/** What a cohort is to people, and where its artifacts are. */
import { describe, expect, test } from "vitest";
import { commonFolder, describeFigures, type CohortFigures } from "../../fleet/cohort.js";
import { COHORT_KEY, customerKey, modelPackageGroupName } from "../../fleet/names.js";
import { fleetDeclarationSchema } from "../../fleet/spec.schema.js";
import {
  acceptCohort,
  denyCohort,
  finish,
  moveOn,
  nextCohort,
} from "../../workflows/cohort-desk.js";
import type { CohortCourse } from "../../workflows/messages.js";

const figures: CohortFigures = {
  ...{ metric: "rmse", asking: 0, championKept: 0, failed: 0, skipped: 0 },
  ...{ error: null, improvement: null },
};

describe("in words", () => {
  test("a first cohort has no champions to be compared with", () => {
    expect(describeFigures(1, figures)).toBe("1 model. No member has a champion to compare with.");
  });

  test("who is not among its members is told, each with why", () => {
    const improvement = { low: 0.01, median: 0.034, high: 0.2 };
    const words = describeFigures(990, { ...figures, improvement, championKept: 8, failed: 2 });
    expect(words).toBe(
      "990 models. Error removed, over the champion: median 3.4 %, quartiles 1.0 % and 20.0 %. " +
        "Not among them: 8 whose champion stays, 2 failed.",
    );
  });
});

test.each([
  ["s3://b/cohort/1/a.tar.gz", "s3://b/cohort/1/z.tar.gz", "s3://b/cohort/1/"],
  ["s3://b/cohort/1/a.tar.gz", "s3://b/cohort/12/a.tar.gz", "s3://b/cohort/"],
  ["s3://b/cohort/1/a.tar.gz", "s3://b/cohort/1/a.tar.gz", "s3://b/cohort/1/"],
  ["s3://b/1/aa.tar.gz", "s3://b/1/ab.tar.gz", "s3://b/1/"],
])("%s and %s are under %s", (first, last, folder) => {
  expect(commonFolder(first, last)).toBe(folder);
});

test("no customer has the cohort's key, however it is called", () => {
  for (const name of ["cohort", "COHORT", "Cohort", "-cohort"])
    expect(modelPackageGroupName("energy", customerKey(name))).not.toBe(
      modelPackageGroupName("energy", COHORT_KEY),
    );
});

test("names that are overwritten do not go with sharded training", () => {
  const declared = {
    ...{ training: { kind: "sharded", source: "./code" } },
    endpoint: { kind: "multi-model", naming: "stable" },
  };
  const issues = fleetDeclarationSchema.safeParse(declaration(declared)).error?.issues ?? [];
  expect(issues).toMatchObject([
    { path: ["endpoint", "naming"], message: expect.stringContaining("versioned") as string },
  ]);
});

const declaration = (parts: object) => ({
  name: "energy",
  source: {
    ...{ kind: "postgres", connection: "WAREHOUSE_URL", customer: "c", target: "y" },
    query: "select 1 where now() >= :floor and now() < :ceiling",
    window: { months: 1 },
    split: { validation: 0.3, test: 0.1 },
  },
  stages: [{ name: "local", account: "111111111111" }],
  ...parts,
});

describe("on the endpoint's desk", () => {
  const publication = (version: number) => ({ version, releaseWorkflowId: `r${version}` });
  const withdrawal = { version: 2, withdrawWorkflowId: "w2" };
  const versionOf = (course: CohortCourse | undefined) =>
    course?.kind === "publish" ? course.publication.version : course?.withdrawal.version;

  test("withdrawals come first, then the newest cohort", () => {
    const desk = new Map<string, CohortCourse>();
    acceptCohort(desk, publication(3));
    acceptCohort(desk, publication(4));
    expect(versionOf(nextCohort(desk))).toBe(4);
    denyCohort(desk, withdrawal);
    expect(nextCohort(desk)).toMatchObject({ kind: "withdraw", withdrawal });
  });

  test("asked again, it goes on where it is, and the later asker is answered", () => {
    const desk = new Map<string, CohortCourse>();
    acceptCohort(desk, publication(3));
    const course = nextCohort(desk);
    if (course?.kind !== "publish") throw new Error("nothing is asked");
    acceptCohort(desk, { version: 3, releaseWorkflowId: "later" });
    moveOn(desk, { ...course, step: "point", after: "m" });
    expect(nextCohort(desk)).toMatchObject({ step: "point", after: "m" });
    expect(finish(desk, course)).toMatchObject({ publication: { releaseWorkflowId: "later" } });
    expect(desk.size).toBe(0);
  });
});
