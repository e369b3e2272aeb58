/** Denied versions leave the real endpoint, and the one before answers again, number by number. */
import {
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  DescribeModelPackageCommand,
} from "@aws-sdk/client-sagemaker";
import { beforeAll, describe, expect, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { s3Keys, targetModel, type ArtifactNaming } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Publication, Withdrawal } from "../../workflows/messages.js";
import { aFleet } from "./a-fleet.js";
import { readObject, run, useParts } from "./parts.js";
import {
  aVersion,
  aWithdrawal,
  like,
  modelArchive,
  outcomesOf,
  pointerOf,
  predictionsOf,
  signalsOf,
  STAGE,
  standing,
  uploadCode,
  withRuntime,
  type VersionOptions,
} from "./publishing.js";

const parts = useParts(17990);

const endpoints = () => createEndpointActivities(withRuntime(parts()));
const withdrawals = () => createWithdrawalActivities(withRuntime(parts()));

/** A later second each time, as the workflow orders them. */
let clock = Date.parse("2026-11-21T14:30:00Z");
const refresh = ({ name }: FleetSpec, reload: boolean) =>
  run(endpoints().ensureEndpoint, {
    fleet: name,
    stage: STAGE,
    at: new Date((clock += 1000)).toISOString(),
    reload,
  });

/** As the endpoint's workflow publishes a batch. */
async function publish(spec: FleetSpec, ...publications: Publication[]): Promise<string[]> {
  const batch = { fleet: spec.name, stage: STAGE, publications };
  const copied = await run(createArtifactActivities(parts()).copyArtifacts, batch);
  await refresh(spec, copied.overwritten.length > 0);
  const { refused } = await run(endpoints().verifyAndPoint, batch);
  return [...refused];
}

/** As withdrawModel has it recorded. */
const deny = (spec: FleetSpec, { customerKey, version }: Publication, to?: number) =>
  run(withdrawals().recordWithdrawal, {
    ...{ fleet: spec.name, stage: STAGE, customerKey, version },
    decision: { verdict: "deny", by: "ann", note: "too slow" } as const,
    ...(to === undefined ? {} : { to }),
  });

const settle = (spec: FleetSpec, withdrawal: Withdrawal) =>
  run(withdrawals().settleWithdrawals, {
    ...{ fleet: spec.name, stage: STAGE, withdrawals: [withdrawal], restored: null },
  });

/** As the endpoint's workflow does it when a pointer alone does not do. */
async function settleByRefresh(spec: FleetSpec, withdrawal: Withdrawal) {
  const place = { fleet: spec.name, stage: STAGE };
  const customerKeys = [withdrawal.customerKey];
  const { restored, reload } = await run(withdrawals().restoreArtifacts, {
    ...place,
    customerKeys,
  });
  await refresh(spec, reload);
  const batch = { ...place, withdrawals: [withdrawal], restored };
  return run(withdrawals().settleWithdrawals, batch);
}

const artifactOf = (spec: FleetSpec, target: string) =>
  readObject(parts(), s3Keys.artifact({ fleet: spec.name, stage: STAGE, targetModel: target }));

async function withdrawalRow({ name }: FleetSpec, { customerKey, version }: Withdrawal) {
  const { rows } = await parts().ledger.query(
    `select state, asked_by, because, serves_version, passed_over, reason from withdrawals
      where fleet = $1 and customer_key = $2 and version = $3`,
    [name, customerKey, version],
  );
  return rows[0] as unknown;
}

/** A model package with this status for a version of the ledger; returns its ARN. */
async function inRegistry(
  { name }: FleetSpec,
  { customerKey, version }: Publication,
  ModelApprovalStatus: "Approved" | "Rejected",
): Promise<string> {
  const { sagemaker, ledger, bucket } = parts();
  const ModelPackageGroupName = `registered--${name}-${customerKey}`; // No other version has its ARNs.
  await sagemaker.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName }));
  const { ModelPackageArn = "" } = await sagemaker.send(
    new CreateModelPackageCommand({
      ModelPackageGroupName,
      ModelApprovalStatus,
      InferenceSpecification: {
        Containers: [{ Image: "sagemaker-xgboost:1", ModelDataUrl: `s3://${bucket}/model.tar.gz` }],
        SupportedContentTypes: ["text/csv"],
        SupportedResponseMIMETypes: ["text/csv"],
      },
    }),
  );
  await ledger.query(
    `update releases set model_package_arn = $1
      where fleet = $2 and customer_key = $3 and version = $4`,
    [ModelPackageArn, name, customerKey, version],
  );
  return ModelPackageArn;
}

/** Its predictions for the rows 1,2 and 3,4 are three and seven times the factor. */
const factorOf = (factor: number) => ({ predictions: [3 * factor, 7 * factor], factor });

describe.each<ArtifactNaming>(["versioned", "stable"])("%s artifacts", (naming) => {
  let spec: FleetSpec;
  const name = (key: string, version: number) => targetModel(key, version, naming);
  const version = async (
    customer: string,
    number: number,
    changes: Partial<VersionOptions> = {},
  ) => {
    const { predictions, factor } = factorOf(10 * number);
    const artifact = await modelArchive(factor);
    return aVersion(parts(), {
      spec,
      customer,
      version: number,
      artifact,
      predictions,
      ...changes,
    });
  };
  beforeAll(async () => {
    spec = aFleet({ name: `way-back-${naming}`, naming });
    await uploadCode(parts(), spec);
    await publish(spec, await version("first", 1));
  });

  test("the version before answers again, number by number", async () => {
    const first = await version("back", 1);
    const second = await version("back", 2);
    await publish(spec, first);
    const before = await predictionsOf(parts(), spec, name("back", 1));
    await publish(spec, second);
    expect(await predictionsOf(parts(), spec, name("back", 2))).toEqual([60, 140]);
    const withdrawal = await aWithdrawal(parts(), spec, second);

    await deny(spec, second);
    const { open } = await settle(spec, withdrawal);
    expect(open).toHaveLength(naming === "stable" ? 1 : 0);
    if (naming === "stable") expect(await settleByRefresh(spec, withdrawal)).toEqual({ open: [] });

    expect(await pointerOf(parts(), spec, "back")).toMatchObject({
      version: 1,
      targetModel: name("back", 1),
    });
    expect(await predictionsOf(parts(), spec, name("back", 1))).toEqual(before);
    expect(before).toEqual([30, 70]);
    expect(await standing(parts(), spec, first)).toMatchObject({
      publication: "serving",
      release: "serving",
    });
    expect(await standing(parts(), spec, second)).toEqual({
      publication: "withdrawn",
      release: "withdrawn",
      customer: "withdrawn",
      reason: "denied by ann: too slow",
    });
    expect(await withdrawalRow(spec, withdrawal)).toMatchObject({
      state: "moved",
      asked_by: "ann",
      serves_version: 1,
    });
    expect(await signalsOf(parts(), withdrawal.withdrawWorkflowId)).toEqual([
      { version: 2, stage: "local", servesNow: { version: 1, targetModel: name("back", 1) } },
    ]);
  });

  test("settled twice, it is told twice and changes nothing", async () => {
    const versions = [await version("twice", 1), await version("twice", 2)] as const;
    for (const one of versions) await publish(spec, one);
    const withdrawal = await aWithdrawal(parts(), spec, versions[1]);
    await deny(spec, versions[1]);
    await deny(spec, versions[1]);
    await settleByRefresh(spec, withdrawal);
    const pointer = await pointerOf(parts(), spec, "twice");

    expect(await settle(spec, withdrawal)).toEqual({ open: [] });

    expect(await pointerOf(parts(), spec, "twice")).toEqual(pointer);
    const told = await signalsOf(parts(), withdrawal.withdrawWorkflowId);
    expect(told).toHaveLength(2);
    expect(told[1]).toEqual(told[0]);
  });

  test("the one that was asked for serves", async () => {
    const versions = [
      await version("asked", 1),
      await version("asked", 2),
      await version("asked", 3),
    ] as const;
    for (const one of versions) await publish(spec, one);
    const withdrawal = await aWithdrawal(parts(), spec, versions[2]);
    await deny(spec, versions[2], 1);
    await settleByRefresh(spec, withdrawal);

    expect(await pointerOf(parts(), spec, "asked")).toMatchObject({ version: 1 });
    expect(await predictionsOf(parts(), spec, name("asked", 1))).toEqual([30, 70]);
  });

  test("a customer's only version is removed, and says so", async () => {
    const only = await version("only", 1);
    await publish(spec, only);
    const withdrawal = await aWithdrawal(parts(), spec, only);
    await deny(spec, only);
    await settleByRefresh(spec, withdrawal);

    expect(await pointerOf(parts(), spec, "only")).toBeNull();
    expect(await withdrawalRow(spec, withdrawal)).toMatchObject({
      state: "moved",
      serves_version: null,
    });
    expect(await signalsOf(parts(), withdrawal.withdrawWorkflowId)).toEqual([
      { version: 1, stage: "local", servesNow: null },
    ]);
    if (naming === "stable")
      await expect(predictionsOf(parts(), spec, name("only", 1))).rejects.toThrow(
        /Failed to download model data/,
      );
  });

  test("a way back that answers otherwise is passed over, with the reason", async () => {
    const versions = [
      await version("damaged", 1),
      await version("damaged", 2),
      await version("damaged", 3),
    ] as const;
    for (const one of versions) await publish(spec, one);
    // As if version 2's rows had been judged by other code than runs today.
    await parts().ledger.query(
      `update evaluations set predictions = '[1, 2]' where fleet = $1 and customer_key = 'damaged' and cycle = '2013-07-02'`,
      [spec.name],
    );
    const withdrawal = await aWithdrawal(parts(), spec, versions[2]);
    await deny(spec, versions[2]);
    expect((await settle(spec, withdrawal)).open).toHaveLength(1);
    expect((await settleByRefresh(spec, withdrawal)).open).toHaveLength(1);
    expect(await settleByRefresh(spec, withdrawal)).toEqual({ open: [] });

    expect(await pointerOf(parts(), spec, "damaged")).toMatchObject({ version: 1 });
    expect(await predictionsOf(parts(), spec, name("damaged", 1))).toEqual([30, 70]);
    expect(await withdrawalRow(spec, withdrawal)).toMatchObject({
      passed_over: [2],
      reason: like(/^version 2 cannot serve again: served 60 where training predicted 1/),
    });
  });

  test("a way back that was rejected in the registry meanwhile is passed over", async () => {
    const versions = [
      await version("barred", 1),
      await version("barred", 2),
      await version("barred", 3),
    ] as const;
    for (const one of versions) await publish(spec, one);
    await inRegistry(spec, versions[1], "Rejected");
    const withdrawal = await aWithdrawal(parts(), spec, versions[2]);
    await deny(spec, versions[2]);
    if (naming === "versioned") expect(await settle(spec, withdrawal)).toEqual({ open: [] });
    else {
      expect((await settleByRefresh(spec, withdrawal)).open).toHaveLength(1);
      expect(await settleByRefresh(spec, withdrawal)).toEqual({ open: [] });
    }

    expect(await pointerOf(parts(), spec, "barred")).toMatchObject({ version: 1 });
    expect(await predictionsOf(parts(), spec, name("barred", 1))).toEqual([30, 70]);
    expect(await withdrawalRow(spec, withdrawal)).toMatchObject({
      passed_over: [2],
      reason: "version 2 cannot serve again: the model registry says Rejected",
    });
  });

  test("a version that is denied while it is verified does not serve, and its release is told why", async () => {
    const first = await version("late", 1);
    const second = await version("late", 2);
    await publish(spec, first);
    const batch = { fleet: spec.name, stage: STAGE, publications: [second] };
    const { overwritten } = await run(createArtifactActivities(parts()).copyArtifacts, batch);
    await refresh(spec, overwritten.length > 0);
    await deny(spec, second);

    const { refused } = await run(endpoints().verifyAndPoint, batch);

    expect(refused).toEqual(["late"]);
    expect(await outcomesOf(parts(), second)).toEqual([
      {
        kind: "rejected",
        stage: "local",
        version: 2,
        because: "withdrawn: denied by ann: too slow",
      },
    ]);
    expect(await pointerOf(parts(), spec, "late")).toMatchObject({ version: 1 });
    if (naming === "versioned") return;
    const { reload } = await run(withdrawals().restoreArtifacts, {
      ...{ fleet: spec.name, stage: STAGE, customerKeys: ["late"] },
    });
    await refresh(spec, reload);
    expect(await predictionsOf(parts(), spec, name("late", 1))).toEqual([30, 70]);
  });

  test("a denied version is not published, and was nobody's to publish", async () => {
    const first = await version("early", 1);
    await publish(spec, first);
    const second = await version("early", 2);
    await deny(spec, second);
    const batch = { fleet: spec.name, stage: STAGE, publications: [second] };
    const { rejected } = await run(createArtifactActivities(parts()).copyArtifacts, batch);

    expect(rejected).toMatchObject([{ because: "withdrawn: denied by ann: too slow" }]);
    const withdrawal = await aWithdrawal(parts(), spec, second);
    expect(await settle(spec, withdrawal)).toEqual({ open: [] });
    expect(await signalsOf(parts(), withdrawal.withdrawWorkflowId)).toMatchObject([
      { version: 2, servesNow: { version: 1 } },
    ]);
  });

  test("a newer version that serves meanwhile stays", async () => {
    const versions = [await version("newer", 1), await version("newer", 2)] as const;
    await publish(spec, versions[0]);
    await deny(spec, versions[0]);
    await publish(spec, versions[1]);
    const withdrawal = await aWithdrawal(parts(), spec, versions[0]);

    expect(await settle(spec, withdrawal)).toEqual({ open: [] });
    expect(await pointerOf(parts(), spec, "newer")).toMatchObject({ version: 2 });
    expect(await standing(parts(), spec, versions[0])).toMatchObject({ publication: "withdrawn" });
  });
});

describe("with a name per version", () => {
  test("the withdrawn artifact is taken away, and the serving one is not", async () => {
    const spec = aFleet({ name: "taken-away" });
    await uploadCode(parts(), spec);
    const versions = [
      await aVersion(parts(), { spec, customer: "a", version: 1 }),
      await aVersion(parts(), { spec, customer: "a", version: 2 }),
    ] as const;
    for (const one of versions) await publish(spec, one);
    const withdrawal = await aWithdrawal(parts(), spec, versions[1]);
    const place = { fleet: spec.name, stage: STAGE, customerKey: "a" };
    await run(withdrawals().removeWithdrawnArtifact, { ...place, version: 2 });
    expect(await artifactOf(spec, targetModel("a", 2))).not.toBeNull();
    await deny(spec, versions[1]);
    await settle(spec, withdrawal);

    for (const version of [2, 2, 1])
      await run(withdrawals().removeWithdrawnArtifact, { ...place, version });

    expect(await artifactOf(spec, targetModel("a", 2))).toBeNull();
    expect(await artifactOf(spec, targetModel("a", 1))).not.toBeNull();
    expect(await withdrawalRow(spec, withdrawal)).toMatchObject({ state: "removed" });
  });

  test("an artifact that somebody has tidied away is fetched from its training job again", async () => {
    const spec = aFleet({ name: "tidied-away" });
    await uploadCode(parts(), spec);
    const versions = [
      await aVersion(parts(), { spec, customer: "a", version: 1 }),
      await aVersion(parts(), { spec, customer: "a", version: 2 }),
    ] as const;
    for (const one of versions) await publish(spec, one);
    await refresh(spec, true);
    const Key = s3Keys.artifact({
      fleet: spec.name,
      stage: STAGE,
      targetModel: targetModel("a", 1),
    });
    const { DeleteObjectCommand } = await import("@aws-sdk/client-s3");
    await parts().s3.send(new DeleteObjectCommand({ Bucket: parts().bucket, Key }));
    const withdrawal = await aWithdrawal(parts(), spec, versions[1]);
    await deny(spec, versions[1]);

    expect((await settle(spec, withdrawal)).open).toHaveLength(1);
    expect(await settleByRefresh(spec, withdrawal)).toEqual({ open: [] });
    expect(await predictionsOf(parts(), spec, targetModel("a", 1))).toEqual([30, 70]);
  });
});

describe("with one name for all versions", () => {
  test("an overwritten artifact stays unseen until the refresh, as on AWS", async () => {
    const spec = aFleet({ name: "cached", naming: "stable" });
    await uploadCode(parts(), spec);
    const first = await aVersion(parts(), { spec, customer: "a", version: 1 });
    await publish(spec, first);
    expect(await predictionsOf(parts(), spec, "a.tar.gz")).toEqual([30, 70]);
    const artifact = await modelArchive(20);
    const second = { spec, customer: "a", version: 2, artifact, predictions: [60, 140] };
    const publications = [await aVersion(parts(), second)];
    const batch = { fleet: spec.name, stage: STAGE, publications };

    expect(await run(createArtifactActivities(parts()).copyArtifacts, batch)).toEqual({
      rejected: [],
      overwritten: ["a"],
    });
    expect(await predictionsOf(parts(), spec, "a.tar.gz")).toEqual([30, 70]);
    await refresh(spec, true);
    expect(await predictionsOf(parts(), spec, "a.tar.gz")).toEqual([60, 140]);
  });

  test("a version that fails its verification goes back to the one before", async () => {
    const spec = aFleet({ name: "undone", naming: "stable" });
    await uploadCode(parts(), spec);
    await publish(spec, await aVersion(parts(), { spec, customer: "a", version: 1 }));
    const artifact = await modelArchive(99);
    const bad = await aVersion(parts(), { spec, customer: "a", version: 2, artifact });

    expect(await publish(spec, bad)).toEqual(["a"]);
    const place = { fleet: spec.name, stage: STAGE };
    const restoring = { ...place, customerKeys: ["a"] };
    expect(await run(withdrawals().restoreArtifacts, restoring)).toEqual({
      restored: [{ customerKey: "a", version: 1 }],
      reload: true,
    });
    await refresh(spec, true);

    expect(await predictionsOf(parts(), spec, "a.tar.gz")).toEqual([30, 70]);
    expect(await outcomesOf(parts(), bad)).toMatchObject([
      { kind: "rejected", because: like(/^served 297 where training predicted 30/) },
    ]);
    expect(await pointerOf(parts(), spec, "a")).toMatchObject({ version: 1 });
  });
});

describe("recordWithdrawal", () => {
  const spec = aFleet({ name: "refusals" });

  test.each([
    ["a version that there is none of", 9, undefined, /there is no version 9$/],
    ["one that waits for a decision", 3, undefined, /version 3 waits for a decision/],
    ["a way back that is none", 1, 3, /version 3 cannot serve again: nobody has approved it$/],
    ["a way back that never served", 1, 2, /version 2 cannot serve again: it has never served/],
  ])("refuses %s, and changes nothing", async (customer, version, to, message) => {
    const ref = (number: number) => ({ spec, customer, version: number });
    await aVersion(parts(), ref(1));
    await aVersion(parts(), ref(2));
    const pending = await aVersion(parts(), { ...ref(3), state: "pending" });
    const failure = await deny(spec, { ...pending, version }, to).then(
      () => expect.unreachable("it went through"),
      (error: unknown) => error,
    );

    expect(failure).toMatchObject({
      type: "WithdrawalRefused",
      nonRetryable: true,
      message: like(message),
    });
    const { rows } = await parts().ledger.query(
      "select 1 from withdrawals where fleet = $1 and customer_key = $2",
      [spec.name, pending.customerKey],
    );
    expect(rows).toEqual([]);
  });

  test("rejects the version in the registry, with who and why", async () => {
    const approved = await aVersion(parts(), { spec, customer: "registered", version: 1 });
    const { sagemaker } = parts();
    const ModelPackageName = await inRegistry(spec, approved, "Approved");

    await deny(spec, approved);

    const described = await sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName }));
    expect(described).toMatchObject({
      ModelApprovalStatus: "Rejected",
      ApprovalDescription: "ann: too slow",
    });
    expect(await standing(parts(), spec, approved)).toMatchObject({
      release: "withdrawn",
      customer: "withdrawn",
    });
  });
});

test("why it is not done yet is on record, and told to who waits", async () => {
  const spec = aFleet({ name: "delayed" });
  const approved = await aVersion(parts(), { spec, customer: "a", version: 1 });
  await deny(spec, approved);
  const withdrawal = await aWithdrawal(parts(), spec, approved);
  const batch = { fleet: spec.name, stage: STAGE, withdrawals: [withdrawal] };
  await run(withdrawals().tellDelay, { ...batch, because: "no capacity" });

  expect(await withdrawalRow(spec, withdrawal)).toMatchObject({ reason: "no capacity" });
  expect(await signalsOf(parts(), withdrawal.withdrawWorkflowId)).toEqual([
    { version: 1, because: "no capacity" },
  ]);
});
