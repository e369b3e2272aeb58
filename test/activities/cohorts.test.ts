/** A cohort from its evaluations to pointers and back, against the real ledger, registry, S3 and endpoint. */
import { randomUUID } from "node:crypto";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { DescribeModelPackageCommand, UpdateModelPackageCommand } from "@aws-sdk/client-sagemaker";
import { MockActivityEnvironment } from "@temporalio/testing";
import { DefaultLogger } from "@temporalio/worker";
import { beforeAll, describe, expect, test } from "vitest";
import { createCohortPublicationActivities } from "../../activities/cohort-publication.js";
import { createCohortRegistrationActivities } from "../../activities/cohort-registration.js";
import { createCohortWithdrawalActivities } from "../../activities/cohort-withdrawal.js";
import { watchedCohorts, watchedVersions } from "../../activities/ledger/watched-versions.js";
import { createRegistryWatchActivities } from "../../activities/registry-watch.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { s3Keys } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { aFleet, openCycle } from "./a-fleet.js";
import {
  aShardedFleet,
  anEvaluatedCohort,
  cohortFolder,
  cohortStanding,
  decideCohort,
  isInPlace,
  memberKey,
  pointedVersions,
  publishCohort,
  refreshEndpoint,
  registerCohort,
} from "./cohorts.js";
import { activityEnvironment, readObject, run, useParts } from "./parts.js";
import {
  aWithdrawal,
  predictionsOf,
  signalsOf,
  STAGE,
  uploadCode,
  withRuntime,
} from "./publishing.js";

const parts = useParts(19492);
const dependencies = () => ({ ...withRuntime(parts()), watchSeconds: 60 });
const registration = () => createCohortRegistrationActivities(dependencies());
const publication = () => createCohortPublicationActivities(dependencies());
const withdrawal = () => createCohortWithdrawalActivities(dependencies());
const place = ({ name }: FleetSpec, version: number) => ({ fleet: name, stage: STAGE, version });

const register = (spec: FleetSpec, cycle: string) => registerCohort(parts(), spec, cycle);

const decide = (
  spec: FleetSpec,
  version: number,
  verdict: "approve" | "deny",
  except?: readonly string[],
) => decideCohort(parts(), spec, { version, verdict, except });

const refresh = (spec: FleetSpec) => refreshEndpoint(parts(), spec);
const publish = (spec: FleetSpec, version: number) => publishCohort(parts(), spec, version);

const described = async (arn: string) =>
  parts().sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName: arn }));

const arnOf = async ({ name }: FleetSpec, version: number): Promise<string> => {
  const { rows } = await parts().ledger.query<{ arn: string }>(
    "select model_package_arn as arn from cohorts where fleet = $1 and version = $2",
    [name, version],
  );
  return rows[0]?.arn ?? "";
};

describe("registered", () => {
  test("all evaluated customers become one version, with their figures in the registry", async () => {
    const spec = aShardedFleet("registered");
    await anEvaluatedCohort(parts(), { spec, cycle: "2026-01-01", members: 8, asking: [2] });
    const cohort = await register(spec, "2026-01-01");

    expect(cohort).toMatchObject({ version: 1, members: 8 });
    expect(cohort.approvedBy).toBeUndefined();
    expect(cohort.evaluation).toBe(
      "8 models, 1 of which ask for a person. RMSE: median 14.5, quartiles 12.75 and 16.25. " +
        "Error removed, over the champion: median 4.5 %, quartiles 2.8 % and 6.3 %. " +
        "Not among them: 1 whose champion stays, 1 failed, 1 skipped.",
    );
    expect(await cohortStanding(parts(), spec, 1)).toEqual({ pending: 8 });
    const arn = await arnOf(spec, 1);
    expect(arn).toMatch(/:model-package\/registered--COHORT\/1$/i);
    const { CustomerMetadataProperties, InferenceSpecification, ModelApprovalStatus } =
      await described(arn);
    expect(ModelApprovalStatus).toBe("PendingManualApproval");
    expect(CustomerMetadataProperties).toMatchObject({
      ...{ members: "8", "members-asking": "1", "left-out-champion-kept": "1" },
      ...{ "left-out-failed": "1", "improvement-median": "0.045", "training-job": "sharded-job" },
    });
    expect(InferenceSpecification?.Containers?.[0]?.ModelDataSource?.S3DataSource).toEqual({
      S3Uri: `s3://${parts().bucket}/${cohortFolder("registered", "2026-01-01")}`,
      S3DataType: "S3Prefix",
      CompressionType: "None",
    });
    const report = await readObject(parts(), s3Keys.cohortEvaluation("registered", "2026-01-01"));
    const { members } = JSON.parse(report ?? "{}") as { members: Record<string, unknown> };
    expect(Object.keys(members)).toHaveLength(8);
    expect(members[memberKey(2)]).toMatchObject({ decision: "ask", metrics: { rmse: 13 } });
  });

  test("again, by a repeated attempt, it is the same version", async () => {
    const spec = aShardedFleet("twice");
    await anEvaluatedCohort(parts(), { spec, cycle: "2026-01-01", members: 3 });
    const first = await register(spec, "2026-01-01");
    expect(first.approvedBy).toBe("policy:twice");
    expect(await register(spec, "2026-01-01")).toEqual(first);
    expect(await cohortStanding(parts(), spec, 1)).toEqual({ approved: 3 });
  });

  test("by an attempt that dies after the registry and before the ledger, too", async () => {
    const spec = aShardedFleet("dies");
    await anEvaluatedCohort(parts(), { spec, cycle: "2026-01-01", members: 3 });
    await register(spec, "2026-01-01");
    await parts().ledger.query("delete from releases where fleet = 'dies'");
    await parts().ledger.query("delete from cohorts where fleet = 'dies'");
    await parts().ledger.query(
      "update customers set state = 'evaluated' where fleet = 'dies' and state = 'approved'",
    );
    expect(await register(spec, "2026-01-01")).toMatchObject({ version: 1, members: 3 });
  });

  test("nobody is registered when the gate has left nobody", async () => {
    const spec = aShardedFleet("nobody");
    await anEvaluatedCohort(parts(), { spec, cycle: "2026-01-01", members: 0 });
    expect(
      await run(registration().registerCohort, { fleet: "nobody", cycle: "2026-01-01" }),
    ).toBeNull();
  });
});

describe("published", () => {
  const spec = aShardedFleet("published");
  const MEMBERS = 12;

  beforeAll(async () => {
    await uploadCode(parts(), spec);
    const cohort = { spec, cycle: "2026-01-01", members: MEMBERS };
    await anEvaluatedCohort(parts(), { ...cohort, asking: [0], gone: [5] });
    await register(spec, "2026-01-01");
    await decide(spec, 1, "approve", ["C00003", "nobody"]);
    await publish(spec, 1);
  });

  test("approved members serve; left out by name, or without an artifact, they do not", async () => {
    expect(await cohortStanding(parts(), spec, 1)).toEqual({ serving: 10, denied: 1, rejected: 1 });
    const pointed = await pointedVersions(parts(), spec, MEMBERS);
    expect(pointed.flatMap((version, index) => (version === null ? [index] : []))).toEqual([3, 5]);
    expect(await predictionsOf(parts(), spec, `${memberKey(7)}/v000001.tar.gz`)).toEqual([30, 70]);
    const { ModelApprovalStatus, ApprovalDescription } = await described(await arnOf(spec, 1));
    expect([ModelApprovalStatus, ApprovalDescription]).toEqual(["Approved", "ann: looked at"]);
  });

  test("names that are no members' are told", async () => {
    expect(await decide(spec, 1, "approve", ["nobody"])).toEqual({ unknown: ["nobody"] });
  });

  test("who was in the sample has its answers on record; the others the sample's size", async () => {
    const { rows } = await parts().ledger.query<{ verification: object }>(
      "select verification from publications where fleet = 'published' and state = 'serving' order by customer_key",
    );
    expect(rows[0]?.verification).toMatchObject({ offline: [30, 70], served: [30, 70] });
  });

  test("a member is withdrawn by itself, and the cohort's package stays approved", async () => {
    const one = { customerKey: memberKey(1), version: 1, releaseWorkflowId: "" };
    const withdrawals = createWithdrawalActivities(dependencies());
    await run(withdrawals.recordWithdrawal, {
      ...{ fleet: spec.name, stage: STAGE, ...one },
      decision: { verdict: "deny", by: "bob", note: "odd" },
    });
    const asked = await aWithdrawal(parts(), spec, one);
    await run(withdrawals.settleWithdrawals, {
      ...{ fleet: spec.name, stage: STAGE, withdrawals: [asked], restored: null },
    });

    expect(await signalsOf(parts(), asked.withdrawWorkflowId)).toEqual([
      { version: 1, stage: "local", servesNow: null },
    ]);
    expect((await described(await arnOf(spec, 1))).ModelApprovalStatus).toBe("Approved");
    expect((await pointedVersions(parts(), spec, 2))[1]).toBeNull();
    expect(await cohortStanding(parts(), spec, 1)).toMatchObject({ serving: 9, withdrawn: 1 });
  });

  test("the next cohort replaces it, and denied as a whole gives every customer back", async () => {
    const cohort = { spec, cycle: "2026-02-01", members: MEMBERS, factor: 20 };
    await anEvaluatedCohort(parts(), cohort);
    await register(spec, "2026-02-01");
    await publish(spec, 2);
    expect(await cohortStanding(parts(), spec, 2)).toEqual({ serving: MEMBERS });
    expect(await cohortStanding(parts(), spec, 1)).toMatchObject({ retired: 9 });
    expect(await pointedVersions(parts(), spec, MEMBERS)).toEqual(Array(MEMBERS).fill(2));

    const decision = { verdict: "deny", by: "bob", note: "wrong weather" } as const;
    await run(withdrawal().recordCohortWithdrawal, { ...place(spec, 2), decision });
    await refresh(spec);
    const page = { ...place(spec, 2), after: "" };
    expect(await run(withdrawal().settleCohortPage, { ...page, refreshed: false })).toEqual({
      after: null,
      open: 0,
    });
    // Versions 1 that were left out, gone or withdrawn are nobody's way back.
    const back = Array.from({ length: MEMBERS }, (_none, index) =>
      [1, 3, 5].includes(index) ? null : 1,
    );
    expect(await pointedVersions(parts(), spec, MEMBERS)).toEqual(back);
    expect(await cohortStanding(parts(), spec, 2)).toEqual({ withdrawn: MEMBERS });
    expect(await cohortStanding(parts(), spec, 1)).toMatchObject({ serving: 9 });
    expect((await described(await arnOf(spec, 2))).ModelApprovalStatus).toBe("Rejected");
    expect(await isInPlace(parts(), spec, 4, 2)).toBe(true);
    expect(await run(withdrawal().removeCohortArtifacts, page)).toEqual({ after: null });
    expect(await isInPlace(parts(), spec, 4, 2)).toBe(false);
    expect(await isInPlace(parts(), spec, 4, 1)).toBe(true);
  });

  test("its withdrawal is told in numbers", async () => {
    const workflowId = `told-${randomUUID()}`;
    await parts().temporal.workflow.start("withdrawCohort", { workflowId, taskQueue: "nobody" });
    const told = { ...place(spec, 2), withdrawWorkflowId: workflowId, because: null };
    await run(withdrawal().answerCohortWithdrawal, told);
    expect(await signalsOf(parts(), workflowId)).toEqual([
      { stage: "local", version: 2, moved: 9, removed: 3, open: 0, because: null },
    ]);
  });
});

describe("the sample", () => {
  test("some of it wrong: every member is asked, and only those that answer serve", async () => {
    const spec = aShardedFleet("doubtful");
    await uploadCode(parts(), spec);
    const cohort = { spec, cycle: "2026-01-01", members: 6, wrong: [1, 4] };
    await anEvaluatedCohort(parts(), cohort);
    await register(spec, "2026-01-01");

    expect(await publish(spec, 1)).toBe("doubtful");
    expect(await cohortStanding(parts(), spec, 1)).toEqual({ serving: 4, rejected: 2 });
    expect(await pointedVersions(parts(), spec, 6)).toEqual([1, null, 1, 1, null, 1]);
  });

  test("all of it wrong: no member serves, and each has the reason", async () => {
    const spec = aShardedFleet("broken");
    await uploadCode(parts(), spec);
    const cohort = { spec, cycle: "2026-01-01", members: 3, wrong: [0, 1, 2] };
    await anEvaluatedCohort(parts(), cohort);
    await register(spec, "2026-01-01");

    expect(await publish(spec, 1)).toBe("broken");
    expect(await cohortStanding(parts(), spec, 1)).toEqual({ rejected: 3 });
    expect(await pointedVersions(parts(), spec, 3)).toEqual([null, null, null]);
  });
});

describe("denied while it is published", () => {
  test("the pages that follow stop, and nobody begins to serve", async () => {
    const spec = aShardedFleet("stopped");
    await uploadCode(parts(), spec);
    await anEvaluatedCohort(parts(), { spec, cycle: "2026-01-01", members: 4 });
    await register(spec, "2026-01-01");
    const page = { ...place(spec, 1), after: "" };
    await run(publication().copyCohortPage, page);
    await decide(spec, 1, "deny");

    const stopped = { after: null, stopped: true };
    expect(await run(publication().copyCohortPage, page)).toEqual(stopped);
    expect(await run(publication().pointCohortPage, { ...page, verify: false })).toEqual(stopped);
    expect(await cohortStanding(parts(), spec, 1)).toEqual({ denied: 4 });
  });

  test("a page that died after its pointers has them put back", async () => {
    const spec = aShardedFleet("died");
    await uploadCode(parts(), spec);
    await anEvaluatedCohort(parts(), { spec, cycle: "2026-01-01", members: 4 });
    await register(spec, "2026-01-01");
    await publish(spec, 1);
    await anEvaluatedCohort(parts(), { spec, cycle: "2026-02-01", members: 5, factor: 20 });
    await register(spec, "2026-02-01");
    const page = { ...place(spec, 2), after: "" };
    await run(publication().copyCohortPage, page);
    // As the first attempt leaves it: its pointers are there, and its transaction is not.
    for (let index = 0; index < 5; index++)
      await parts().s3.send(
        new PutObjectCommand({
          Bucket: parts().bucket,
          Key: s3Keys.pointer({ fleet: "died", stage: STAGE, customerKey: memberKey(index) }),
          Body: JSON.stringify({ version: 2, targetModel: `${memberKey(index)}/v000002.tar.gz` }),
        }),
      );
    await decide(spec, 2, "deny");
    const again = new MockActivityEnvironment(
      { attempt: 2 },
      { logger: new DefaultLogger("ERROR") },
    );
    const point = publication().pointCohortPage;
    expect(await again.run(point, { ...page, verify: false })).toEqual({
      after: null,
      stopped: true,
    });

    expect(await pointedVersions(parts(), spec, 5)).toEqual([1, 1, 1, 1, null]);
    expect(await cohortStanding(parts(), spec, 1)).toEqual({ serving: 4 });
  });
});

describe("the registry", () => {
  test("that rejects a cohort which serves has it withdrawn, once for all members", async () => {
    const watched = await watchedCohorts(parts().ledger, parts());
    expect(watched.find(({ fleet }) => fleet === "doubtful")).toMatchObject({
      ...{ customerKey: "COHORT", version: 1, state: "serving", stage: STAGE },
    });
    // All of its members were rejected: there is nothing to withdraw.
    expect(watched.find(({ fleet }) => fleet === "broken")).toBeUndefined();
    await parts().sagemaker.send(
      new UpdateModelPackageCommand({
        ModelPackageArn: await arnOf(aShardedFleet("doubtful"), 1),
        ModelApprovalStatus: "Rejected",
        ApprovalDescription: "from a notebook",
      }),
    );
    const watcher = createRegistryWatchActivities({ ...dependencies(), watchSeconds: 0.1 });
    const environment = activityEnvironment();
    const watching = environment.run(watcher.watchRegistry, parts()).catch(() => undefined);
    const handle = parts().temporal.workflow.getHandle("withdraw-cohort/doubtful/1");
    const started = async () => (await handle.fetchHistory().catch(() => null)) !== null;
    await expect.poll(started, { timeout: 30_000 }).toBe(true);
    environment.cancel();
    await watching;
  });

  test("counts a cohort that waits, and not its members", async () => {
    const spec = aShardedFleet("waits");
    await anEvaluatedCohort(parts(), { spec, cycle: "2026-01-01", members: 3, asking: [1] });
    await register(spec, "2026-01-01");
    const page = { kind: "undecided", after: null, limit: 100 } as const;
    const single = await watchedVersions(parts().ledger, parts(), page);
    expect(single.filter(({ fleet }) => fleet === "waits")).toEqual([]);
    const cohorts = await watchedCohorts(parts().ledger, parts());
    expect(cohorts.find(({ fleet }) => fleet === "waits")?.state).toBe("pending");
  });
});

describe("numbering", () => {
  test("a fleet with cohorts is not trained customer by customer under the same name", async () => {
    const own = aFleet({ name: "registered" });
    await expect(openCycle(parts(), own, "2026-03-01")).rejects.toThrow(
      'the versions of fleet "registered" are numbered cohort by cohort',
    );
  });
});
