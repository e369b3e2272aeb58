/** Several stages of one fleet, each with its own endpoint: what serves where, what may, and the way back of each. */
import { beforeAll, describe, expect, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
import { createCohortPublicationActivities } from "../../activities/cohort-publication.js";
import { createCohortRegistrationActivities } from "../../activities/cohort-registration.js";
import { createCohortReleaseActivities } from "../../activities/cohort-release.js";
import { createCohortWithdrawalActivities } from "../../activities/cohort-withdrawal.js";
import { forgetStage } from "../../activities/ledger/destruction.js";
import { recordReleaseDecision } from "../../activities/ledger/decisions.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { createPromotionActivities } from "../../activities/promotion.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { readStageMatrix } from "../../client/stage-matrix.js";
import { endpointName, s3Keys } from "../../fleet/names.js";
import type { Standing } from "../../fleet/promotion.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import type { Publication } from "../../workflows/messages.js";
import { aFleet } from "./a-fleet.js";
import { aShardedFleet, anEvaluatedCohort, cohortStanding, memberKey } from "./cohorts.js";
import { readObject, run, useParts } from "./parts.js";
import {
  aVersion,
  aWithdrawal,
  outcomesOf,
  signalsOf,
  uploadCode,
  withRuntime,
} from "./publishing.js";

const parts = useParts(19740);
const STAGES = ["sandbox", "qa", "prod"];

const account = "111111111111";
const stages = [
  { name: "sandbox", account, approval: "none" },
  { name: "qa", account },
  { name: "prod", account, approval: "stage", instances: 2 },
];

let spec: FleetSpec;
beforeAll(async () => {
  spec = fleetSpecSchema.parse({ ...aFleet({ name: "staged" }), stages });
  await uploadCode(parts(), spec);
});

/** A later second each time, as the workflows order them. */
let clock = Date.parse("2026-11-21T14:30:00Z");

/** As the stage's endpoint workflow does it; returns why it was rejected, null when it serves. */
async function publish(stage: string, publication: Publication): Promise<string | null> {
  const batch = { fleet: spec.name, stage, publications: [publication] };
  const { rejected } = await run(createArtifactActivities(parts()).copyArtifacts, batch);
  if (rejected[0] !== undefined) return rejected[0].because;
  const endpoints = createEndpointActivities(withRuntime(parts()));
  const at = new Date((clock += 1000)).toISOString();
  await run(endpoints.ensureEndpoint, { fleet: spec.name, stage, at, reload: false });
  const { refused } = await run(endpoints.verifyAndPoint, batch);
  return refused.length === 0 ? null : "refused";
}

/** By stage, the version that a client is pointed to. */
async function pointed(customerKey: string, fleet = spec.name): Promise<(number | null)[]> {
  const texts = STAGES.map((stage) =>
    readObject(parts(), s3Keys.pointer({ fleet, stage, customerKey })),
  );
  return (await Promise.all(texts)).map((text) =>
    text === null ? null : (JSON.parse(text) as { version: number }).version,
  );
}

async function stateOf({ customerKey, version }: Publication): Promise<string> {
  const { rows } = await parts().ledger.query<{ state: string }>(
    "select state from releases where fleet = $1 and customer_key = $2 and version = $3",
    [spec.name, customerKey, version],
  );
  return rows[0]?.state ?? "";
}

const decide = ({ customerKey, version }: Publication, verdict: "approve" | "deny") =>
  recordReleaseDecision(parts().ledger, {
    ...{ fleet: spec.name, customerKey, version, at: new Date().toISOString() },
    decision: { verdict, by: "ann", note: "seen" },
    state: verdict === "approve" ? "approved" : "denied",
  });

/** As the release's workflow tells it. */
function record(
  { customerKey, version }: Publication,
  states: readonly Standing["state"][],
  changes: Partial<Standing> = {},
) {
  const standings = STAGES.map((stage, index) => ({
    ...{ stage, state: states[index] ?? "ahead", due: null, approved: null, note: null },
    ...(index === 2 ? changes : {}),
  }));
  return run(createPromotionActivities(parts()).recordPromotion, {
    ...{ fleet: spec.name, customerKey, version, standings },
    isServing: states.includes("serving"),
  });
}

const approvedForProd = { approved: { by: "ann", at: "2026-11-21T14:30:00.000Z" } };

async function withdraw(publication: Publication): Promise<string[]> {
  const activities = createWithdrawalActivities(withRuntime(parts()));
  const { customerKey, version } = publication;
  const { stages } = await run(activities.recordWithdrawal, {
    ...{ fleet: spec.name, stage: "prod", customerKey, version },
    decision: { verdict: "deny", by: "bob", note: "drift" } as const,
  });
  const withdrawal = await aWithdrawal(parts(), spec, publication);
  for (const stage of stages) {
    const batch = { fleet: spec.name, stage, withdrawals: [withdrawal], restored: null };
    expect(await run(activities.settleWithdrawals, batch)).toEqual({ open: [] });
    await run(activities.removeWithdrawnArtifact, {
      ...{ fleet: spec.name, stage, customerKey, version },
    });
  }
  const told = await signalsOf(parts(), withdrawal.withdrawWorkflowId);
  expect(told).toMatchObject(stages.map((stage) => ({ stage })));
  return stages;
}

const matrixOf = (customer: string, fleet = spec.name) =>
  readStageMatrix({ ledger: async () => parts().ledger, environment: {} } as never, {
    fleet,
    customer,
  });

test("a version comes into every stage, and a denial brings each back to what it served before", async () => {
  const first = await aVersion(parts(), { spec, customer: "a", version: 1 });
  await record(first, ["ahead", "ahead", "ahead"], approvedForProd);
  for (const stage of STAGES) expect(await publish(stage, first)).toBeNull();
  expect(await pointed("a")).toEqual([1, 1, 1]);
  expect(await outcomesOf(parts(), first)).toMatchObject(STAGES.map((stage) => ({ stage })));

  const second = await aVersion(parts(), { spec, customer: "a", version: 2 });
  for (const stage of ["sandbox", "qa"]) expect(await publish(stage, second)).toBeNull();
  // Production still serves the first: it is not retired, and the champion is the newest.
  expect([await stateOf(first), await stateOf(second)]).toEqual(["serving", "serving"]);
  expect(await pointed("a")).toEqual([2, 2, 1]);

  expect(await withdraw(second)).toEqual(["qa", "sandbox"]);
  expect(await pointed("a")).toEqual([1, 1, 1]);
  expect([await stateOf(first), await stateOf(second)]).toEqual(["serving", "withdrawn"]);
});

test("a denial after the last stage goes through all of them, production first", async () => {
  const first = await aVersion(parts(), { spec, customer: "b", version: 1 });
  const second = await aVersion(parts(), { spec, customer: "b", version: 2 });
  for (const version of [first, second]) {
    await record(version, ["ahead", "ahead", "ahead"], approvedForProd);
    for (const stage of STAGES) expect(await publish(stage, version)).toBeNull();
  }
  expect([await stateOf(first), await stateOf(second)]).toEqual(["retired", "serving"]);

  expect(await withdraw(second)).toEqual(["prod", "qa", "sandbox"]);
  expect(await pointed("b")).toEqual([1, 1, 1]);
  expect(await publish("qa", second)).toContain("withdrawn: denied by bob: drift");
  await record(second, ["serving", "rejected", "ahead"]);
  const row = (await matrixOf("b")).customers[0];
  expect(row?.stages.map(({ version, coming }) => [version, coming])).toEqual(
    STAGES.map(() => [1, null]),
  );
});

test("an endpoint of a stage has the instances that the stage declares", async () => {
  const { rows } = await parts().ledger.query<{ stage: string }>(
    "select distinct stage from publications where fleet = $1 and state = 'serving'",
    [spec.name],
  );
  expect(rows.map(({ stage }) => stage).sort()).toEqual(["prod", "qa", "sandbox"]);
  const { DescribeEndpointCommand } = await import("@aws-sdk/client-sagemaker");
  const described = await Promise.all(
    STAGES.map((stage) =>
      parts().sagemaker.send(
        new DescribeEndpointCommand({ EndpointName: endpointName(spec.name, stage) }),
      ),
    ),
  );
  expect(
    described.map(({ ProductionVariants }) => ProductionVariants?.[0]?.CurrentInstanceCount),
  ).toEqual([1, 1, 2]);
});

test("what nobody has approved comes into the stage that takes it, and into no other", async () => {
  const waiting = await aVersion(parts(), { spec, customer: "c", version: 1, state: "pending" });
  expect(await publish("sandbox", waiting)).toBeNull();
  expect(await publish("qa", waiting)).toContain("no approval on record");
  expect(await stateOf(waiting)).toBe("pending");

  await decide(waiting, "approve");
  expect(await stateOf(waiting)).toBe("serving");
  expect(await publish("qa", waiting)).toBeNull();
});

test("what is denied before it was approved leaves the stage that has it", async () => {
  const waiting = await aVersion(parts(), { spec, customer: "d", version: 1, state: "pending" });
  expect(await publish("sandbox", waiting)).toBeNull();
  await decide(waiting, "deny");

  expect(await withdraw(waiting)).toEqual(["sandbox"]);
  expect(await pointed("d")).toEqual([null, null, null]);
});

test("a stage that wants an approval of its own takes nothing without one", async () => {
  const version = await aVersion(parts(), { spec, customer: "e", version: 1 });
  expect(await publish("prod", version)).toContain("nobody has approved it for this stage");

  await record(version, ["serving", "serving", "publishing"], approvedForProd);
  expect(await publish("prod", version)).toBeNull();
});

test("a newer version that is approved and serves overtakes the one before, which is told", async () => {
  const first = await aVersion(parts(), { spec, customer: "f", version: 1 });
  const second = await aVersion(parts(), { spec, customer: "f", version: 2 });
  expect(await publish("sandbox", first)).toBeNull();
  const due = "2026-11-28T14:30:00.000Z";
  expect(await record(first, ["serving", "serving", "lag"], { due })).toMatchObject({
    overtakenBy: null,
  });
  expect(await publish("sandbox", second)).toBeNull();
  expect(await record(second, ["serving", "held", "ahead"])).toMatchObject({ overtakenBy: null });

  expect(await signalsOf(parts(), first.releaseWorkflowId)).toContainEqual({ version: 2 });
  expect(await record(first, ["serving", "serving", "lag"], { due })).toMatchObject({
    overtakenBy: 2,
  });
});

test("the matrix tells what every stage serves, and what is under way to it", async () => {
  expect(await matrixOf("f")).toEqual({
    fleet: spec.name,
    stages: STAGES,
    customers: [
      {
        customer: "f",
        customerKey: "f",
        stages: [
          { stage: "sandbox", version: 2, coming: null },
          {
            ...{ stage: "qa", version: null },
            coming: { version: 2, state: "held", due: null, note: null },
          },
          {
            ...{ stage: "prod", version: null },
            coming: { version: 2, state: "ahead", due: null, note: null },
          },
        ],
      },
    ],
  });
});

test("what a stage that is taken down has served serves on in the others", async () => {
  const both = await aVersion(parts(), { spec, customer: "g", version: 1 });
  const alone = await aVersion(parts(), { spec, customer: "h", version: 1 });
  for (const version of [both, alone]) expect(await publish("sandbox", version)).toBeNull();
  expect(await publish("qa", both)).toBeNull();
  const destroyed = { fleet: spec.name, stage: "sandbox", by: "ann", found: {} };
  await forgetStage(parts().ledger, destroyed);

  expect([await stateOf(both), await stateOf(alone)]).toEqual(["serving", "retired"]);
});

describe("a cohort", () => {
  const FLEET = "staged-cohort";
  const MEMBERS = 6;
  const cohortSpec = fleetSpecSchema.parse({ ...aShardedFleet(FLEET), stages });
  const dependencies = () => ({ ...withRuntime(parts()), watchSeconds: 60 });
  const publication = () => createCohortPublicationActivities(dependencies());
  const withdrawal = () => createCohortWithdrawalActivities(dependencies());
  const releaseOf = (version: number): string => `release-cohort/${FLEET}/${version}`;

  /** Registered as a sharded cycle leaves it, with a release that only collects its signals. */
  async function register(version: number, options: { factor: number; wrong?: number[] }) {
    const cycle = `2026-0${version}-01`;
    const asking = version === 1 ? [0] : [];
    await anEvaluatedCohort(parts(), {
      ...{ spec: cohortSpec, cycle, members: MEMBERS, asking },
      ...options,
    });
    const { registerCohort } = createCohortRegistrationActivities(dependencies());
    await run(registerCohort, { fleet: FLEET, cycle });
    const workflowId = releaseOf(version);
    await parts().temporal.workflow.start("releaseCohort", { workflowId, taskQueue: "nobody" });
  }

  /** As the stage's endpoint workflow does it; returns whether it was stopped, and what the release is told. */
  async function publishIn(stage: string, version: number): Promise<unknown> {
    const place = { fleet: FLEET, stage, version };
    const { stopped } = await run(publication().copyCohortPage, { ...place, after: "" });
    if (stopped) return "stopped";
    const at = new Date((clock += 1000)).toISOString();
    const endpoints = createEndpointActivities(dependencies());
    await run(endpoints.ensureEndpoint, { fleet: FLEET, stage, at, reload: false });
    const verify = (await run(publication().verifyCohort, place)).kind === "doubtful";
    await run(publication().pointCohortPage, { ...place, after: "", verify });
    const told = { ...place, releaseWorkflowId: releaseOf(version), because: null };
    await run(publication().answerCohort, told);
    return (await signalsOf(parts(), releaseOf(version))).at(-1);
  }

  const record = (version: number, states: readonly Standing["state"][]) =>
    run(createPromotionActivities(parts()).recordCohortPromotion, {
      ...{ fleet: FLEET, version, isServing: states.includes("serving") },
      standings: STAGES.map((stage, index) => ({
        ...{ stage, state: states[index] ?? "ahead", due: null, note: null },
        approved: stage === "prod" ? approvedForProd.approved : null,
      })),
    });

  const versionsIn = (index: number) => pointed(memberKey(index), FLEET);
  const standing = (version: number) => cohortStanding(parts(), cohortSpec, version);

  beforeAll(async () => {
    await uploadCode(parts(), cohortSpec);
    await register(1, { factor: 10, wrong: [2] });
  });

  test("that nobody has approved comes into the stage that takes it, and into no other", async () => {
    expect(await publishIn("qa", 1)).toBe("stopped");
    expect(await publishIn("sandbox", 1)).toMatchObject({
      ...{ stage: "sandbox", version: 1, serving: 5, rejected: 1 },
    });
    expect(await standing(1)).toEqual({ pending: MEMBERS });
    expect(await versionsIn(0)).toEqual([1, null, null]);
  });

  test("loses who is left out of it by name from the stage that has it", async () => {
    const { recordCohortDecision } = createCohortReleaseActivities(dependencies());
    await run(recordCohortDecision, {
      ...{ fleet: FLEET, version: 1, state: "approved", at: "2026-11-21T12:00:00.000Z" },
      decision: { verdict: "approve", by: "ann", except: ["C00003"] },
    } as const);

    expect(await standing(1)).toEqual({ serving: 4, denied: 1, approved: 1 });
    const leaving = parts().temporal.workflow.getHandle(`withdraw/${FLEET}/${memberKey(3)}/1`);
    expect((await leaving.describe()).status.name).toBe("RUNNING");
  });

  test("goes on without the members that a stage has rejected", async () => {
    for (const stage of ["qa", "prod"]) {
      await record(1, ["serving", "publishing"]);
      expect(await publishIn(stage, 1)).toMatchObject({
        ...{ stage, serving: 4, rejected: 1, leftOut: 1 },
      });
    }
    expect(await versionsIn(0)).toEqual([1, 1, 1]);
    expect(await versionsIn(2)).toEqual([null, null, null]);
    expect(await versionsIn(3)).toEqual([1, null, null]);
  });

  test("that is newer and serves overtakes the one before, which serves on where it is newest", async () => {
    await record(1, ["serving", "serving", "lag"]);
    await register(2, { factor: 20 });
    expect(await publishIn("sandbox", 2)).toMatchObject({ serving: MEMBERS });
    expect(await record(2, ["serving", "publishing"])).toMatchObject({ overtakenBy: null });
    expect(await signalsOf(parts(), releaseOf(1))).toContainEqual({ version: 2 });
    expect(await record(1, ["serving", "serving", "lag"])).toMatchObject({ overtakenBy: 2 });

    expect(await publishIn("qa", 2)).toMatchObject({ serving: MEMBERS });
    expect(await versionsIn(0)).toEqual([2, 2, 1]);
    expect(await standing(1)).toMatchObject({ serving: 4 });
    expect(await standing(2)).toEqual({ serving: MEMBERS });
  });

  test("is in the matrix, member by member", async () => {
    await record(2, ["serving", "serving", "held"]);
    const { customers } = await matrixOf(memberKey(0), FLEET);
    expect(customers[0]?.stages).toMatchObject([
      { stage: "sandbox", version: 2, coming: null },
      { stage: "qa", version: 2, coming: null },
      { stage: "prod", version: 1, coming: { version: 2, state: "held" } },
    ]);
  });

  test("that is denied leaves every stage that it has reached, and its release is told", async () => {
    const place = { fleet: FLEET, version: 2 };
    const decision = { verdict: "deny", by: "bob", note: "wrong weather" } as const;
    const denial = { ...place, stage: "prod", decision };
    const { stages: reached } = await run(withdrawal().recordCohortWithdrawal, denial);
    expect(reached).toEqual(["qa", "sandbox"]);
    expect(await run(withdrawal().recordCohortWithdrawal, denial)).toEqual({ stages: reached });
    expect(await signalsOf(parts(), releaseOf(2))).toContainEqual({
      ...{ by: "bob", note: "wrong weather" },
    });
    expect(await publishIn("prod", 2)).toBe("stopped");

    for (const stage of reached) {
      const page = { ...place, stage, after: "" };
      const at = new Date((clock += 1000)).toISOString();
      const endpoints = createEndpointActivities(dependencies());
      await run(endpoints.ensureEndpoint, { fleet: FLEET, stage, at, reload: false });
      expect(await run(withdrawal().settleCohortPage, { ...page, refreshed: true })).toEqual({
        ...{ after: null, open: 0 },
      });
      expect(await run(withdrawal().removeCohortArtifacts, page)).toEqual({ after: null });
    }
    expect(await versionsIn(0)).toEqual([1, 1, 1]);
    // Its version before was rejected by the first stage: it has no way back.
    expect(await versionsIn(2)).toEqual([null, null, null]);
    expect(await standing(2)).toEqual({ withdrawn: MEMBERS });
    expect(await standing(1)).toMatchObject({ serving: 4 });
  });

  test("is not kept by what a stage has said of its members that is skipped since", async () => {
    await register(3, { factor: 10 });
    await parts().ledger.query(
      `insert into publications (fleet, stage, customer_key, version, target_model, state, reason)
       values ($1, 'sandbox', $2, 3, 'one', 'rejected', 'no answer')`,
      [FLEET, memberKey(0)],
    );
    await record(3, ["serving", "publishing"]);
    const place = { fleet: FLEET, stage: "qa", version: 3 };
    const page = { ...place, after: "" };
    const copied = async () => {
      await run(publication().copyCohortPage, page);
      const { rows } = await parts().ledger.query(
        "select from publications where fleet = $1 and stage = 'qa' and version = 3 and state = 'copied'",
        [FLEET],
      );
      return rows.length;
    };
    expect(await copied()).toBe(MEMBERS - 1);
    await record(3, ["skipped", "publishing"]);
    expect(await copied()).toBe(MEMBERS);
  });
});
