/** Several stages of one fleet, each with its own endpoint: what serves where, what may, and the way back of each. */
import { beforeAll, expect, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
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

let spec: FleetSpec;
beforeAll(async () => {
  const account = "111111111111";
  spec = fleetSpecSchema.parse({
    ...aFleet({ name: "staged" }),
    stages: [
      { name: "sandbox", account, approval: "none" },
      { name: "qa", account },
      { name: "prod", account, approval: "stage", instances: 2 },
    ],
  });
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
async function pointed(customerKey: string): Promise<(number | null)[]> {
  const texts = STAGES.map((stage) =>
    readObject(parts(), s3Keys.pointer({ fleet: spec.name, stage, customerKey })),
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
  expect(await record(first, ["serving", "serving", "lag"], { due })).toEqual({
    overtakenBy: null,
  });
  expect(await publish("sandbox", second)).toBeNull();
  expect(await record(second, ["serving", "held", "ahead"])).toEqual({ overtakenBy: null });

  expect(await signalsOf(parts(), first.releaseWorkflowId)).toContainEqual({ version: 2 });
  expect(await record(first, ["serving", "serving", "lag"], { due })).toEqual({ overtakenBy: 2 });
});

test("the matrix tells what every stage serves, and what is under way to it", async () => {
  const connections = { ledger: async () => parts().ledger, environment: {} };
  const matrix = await readStageMatrix(connections as never, { fleet: spec.name, customer: "f" });

  expect(matrix).toEqual({
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
