/** Stages in other accounts, as a worker reaches them: whose credentials, for how long, what they open, and what waits. */
import {
  CopyObjectCommand,
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { CreateModelCommand, ListModelsCommand } from "@aws-sdk/client-sagemaker";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import { afterEach, describe, expect, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { homeBucketStatement, mergePolicy } from "../../fleet/account-policies.js";
import { fleetSpecSchema, type FleetSpec, type StageSpec } from "../../fleet/spec.schema.js";
import { bucketPrefix } from "../../local/stack/accounts.js";
import type { Publication } from "../../workflows/messages.js";
import { checkStages } from "../../worker/check-stages.js";
import { aFleet, openCycle } from "./a-fleet.js";
import { run } from "./parts.js";
import { aVersion, uploadCode } from "./publishing.js";
import { PROD, QA, stageIn, useThreeAccounts } from "./three-accounts.js";

const three = useThreeAccounts(19680);

const admin = (path: string, body?: unknown) =>
  fetch(`${three().parts.sagemakerUrl}/_local/${path}`, {
    method: body === undefined ? "GET" : "PUT",
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });

const calls = async (): Promise<Record<string, number>> =>
  (await (await admin("calls")).json()) as Record<string, number>;

const callsOf = async (operation: string): Promise<number> => (await calls())[operation] ?? 0;

afterEach(async () => void (await admin("faults", {})));

describe("a stage's clients", () => {
  test("act in the stage's account and region, with its bucket and role", async () => {
    const clients = await three().stages.stageAccess(stageIn(QA));
    expect(clients).toMatchObject({
      ...{ account: QA.id, region: "us-east-1", bucket: bucketPrefix(QA.id) },
      roleArn: stageIn(QA).executionRole,
    });
    expect((await clients.sagemaker.send(new ListModelsCommand())).Models).toEqual([]);
  });

  test("are opened once for each role and region", async () => {
    const { stageAccess } = three().renew();
    const before = await callsOf("AssumeRole");
    const [one, two] = await Promise.all([stageAccess(stageIn(QA)), stageAccess(stageIn(QA))]);
    const prod = await stageAccess(stageIn(PROD));
    expect(one.sagemaker).toBe(two.sagemaker);
    expect(prod.sagemaker).not.toBe(one.sagemaker);
    expect((await callsOf("AssumeRole")) - before).toBe(2);
  });

  test("are the worker's own in its own account", async () => {
    const { account, bucket, roleArn } = three().parts;
    const before = await callsOf("AssumeRole");
    const clients = await three().stages.stageAccess({ name: "sandbox", account });
    expect(clients).toMatchObject({ account, bucket, roleArn });
    expect(await callsOf("AssumeRole")).toBe(before);
  });

  test("spend the budget of calls of the stage's account", async () => {
    const { sagemaker } = await three().stages.stageAccess(stageIn(PROD));
    await sagemaker.send(new ListModelsCommand());
    const { rows } = await three().parts.ledger.query<{ calls: string }>(
      "select calls from api_budget where account = $1 and operation = 'ListModels'",
      [PROD.id],
    );
    expect(Number(rows[0]?.calls)).toBeGreaterThan(0);
  });
});

describe("nothing is touched", () => {
  test("in another account than the spec names", async () => {
    const wrong = { ...stageIn(QA), account: PROD.id };
    await expect(three().renew().stageAccess(wrong)).rejects.toMatchObject({
      type: "AccountMismatch",
      nonRetryable: true,
      message: `stage "qa" is in account ${PROD.id}, but the credentials of ${stageIn(QA).role ?? ""} are of ${QA.id}`,
      details: [{ hint: expect.stringContaining("nothing was touched") as string }],
    });
  });

  test("in another account without a role to assume there", async () => {
    const { role, externalId, ...without } = stageIn(QA);
    await expect(three().renew().stageAccess(without)).rejects.toMatchObject({
      type: "AccountMismatch",
      message: `stage "qa" is in account ${QA.id}, the worker's credentials are of 111111111111`,
    });
    expect([role, externalId]).toEqual([stageIn(QA).role, "modelfleet-qa"]);
  });

  test("by a role that is not there, or does not let the worker in", async () => {
    const refused = { type: "AccessDenied", nonRetryable: true };
    const nobody = { ...stageIn(QA), role: `arn:aws:iam::${QA.id}:role/nobody` };
    await expect(three().renew().stageAccess(nobody)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining(`role/nobody of stage "qa"`) as string,
    });
    // It trusts SageMaker, and nobody else.
    const execution = { ...stageIn(QA), role: stageIn(QA).executionRole };
    await expect(three().renew().stageAccess(execution)).rejects.toMatchObject(refused);
  });

  test("with an external id that the role does not expect", async () => {
    const wrong = { ...stageIn(QA), externalId: "modelfleet-prod" };
    await expect(three().renew().stageAccess(wrong)).rejects.toMatchObject({
      type: "AccessDenied",
      details: [{ hint: expect.stringContaining('external id "modelfleet-prod"') as string }],
    });
  });

  test("in a stage elsewhere that names no bucket", async () => {
    const { bucket, ...without } = stageIn(QA);
    await expect(three().renew().stageAccess(without)).rejects.toThrow("names no bucket");
    expect(bucket).toBe(bucketPrefix(QA.id));
  });
});

test("the worker's own bucket is refused as that of a stage elsewhere", async () => {
  const { account, bucket } = three().parts;
  const wrong = { ...stageIn(QA), bucket };
  const refusal = {
    type: "SpecInvalid",
    message: expect.stringContaining("is MODELFLEET_BUCKET") as string,
  };
  await expect(three().renew().stageAccess(wrong)).rejects.toMatchObject(refusal);
  const spec = fleetSpecSchema.parse({
    ...aFleet({ name: "astray" }),
    stages: [{ name: "sandbox", account }, wrong],
  });
  await expect(openCycle(three().parts, spec)).rejects.toMatchObject(refusal);
});

describe("credentials that end", () => {
  test("are renewed before they do", async () => {
    await admin("faults", { sessionSeconds: 3 });
    const { stageAccess } = three().renew();
    const { sagemaker } = await stageAccess(stageIn(QA));
    const before = await callsOf("AssumeRole");
    await expect
      .poll(
        async () => {
          await sagemaker.send(new ListModelsCommand());
          return (await callsOf("AssumeRole")) - before;
        },
        { interval: 200 },
      )
      .toBeGreaterThan(1);
  });

  test("before their time are replaced the next time somebody asks for the stage", async () => {
    const { stageAccess } = three().renew();
    const { sagemaker } = await stageAccess(stageIn(QA));
    await sagemaker.send(new ListModelsCommand());
    await endSessions();
    await expect(sagemaker.send(new ListModelsCommand())).rejects.toMatchObject({
      name: "ExpiredTokenException",
    });
    const again = await stageAccess(stageIn(QA));
    expect((await again.sagemaker.send(new ListModelsCommand())).Models).toBeDefined();
  });
});

describe("what is in an account", () => {
  test("is open to its own role, and to another account by a bucket policy only", async () => {
    const { parts } = three();
    const stages = three().renew();
    const qa = await stages.stageAccess(stageIn(QA));
    const prod = await stages.stageAccess(stageIn(PROD));
    await qa.s3.send(new CreateBucketCommand({ Bucket: qa.bucket }));
    await qa.s3.send(new PutObjectCommand({ Bucket: qa.bucket, Key: "a", Body: "qa's" }));
    await parts.s3.send(new PutObjectCommand({ Bucket: parts.bucket, Key: "b", Body: "home's" }));

    const denied = { name: "AccessDenied" };
    const read = (s3: typeof parts.s3, Bucket: string, Key: string) =>
      s3.send(new GetObjectCommand({ Bucket, Key }));
    await expect(read(prod.s3, qa.bucket, "a")).rejects.toMatchObject(denied);
    await expect(read(parts.s3, qa.bucket, "a")).rejects.toMatchObject(denied);
    await expect(read(qa.s3, parts.bucket, "b")).rejects.toMatchObject(denied);
    const copy = { Bucket: qa.bucket, Key: "b", CopySource: `${parts.bucket}/b` };
    await expect(qa.s3.send(new CopyObjectCommand(copy))).rejects.toMatchObject(denied);
    await expect(
      prod.s3.send(new CreateBucketCommand({ Bucket: `${qa.bucket}-more` })),
    ).rejects.toMatchObject(denied);
    expect(await (await read(qa.s3, qa.bucket, "a")).Body?.transformToString()).toBe("qa's");
  });

  test("SageMaker reads as the role of the model, and so not what the role may not see", async () => {
    const { parts } = three();
    const stages = three().renew();
    const { sagemaker, roleArn, bucket } = await stages.stageAccess(stageIn(QA));
    await parts.s3.send(new PutObjectCommand({ Bucket: parts.bucket, Key: "m.tar.gz", Body: "m" }));
    const create = (ModelDataUrl: string) =>
      sagemaker.send(
        new CreateModelCommand({
          ModelName: `m${Date.now()}`,
          ExecutionRoleArn: roleArn,
          PrimaryContainer: { Image: "sagemaker-xgboost", ModelDataUrl },
        }),
      );
    await expect(create(`s3://${parts.bucket}/m.tar.gz`)).rejects.toMatchObject({
      message: `Could not find model data at s3://${parts.bucket}/m.tar.gz.`,
    });
    const { s3 } = await stages.stageAccess(stageIn(QA));
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: "m.tar.gz", Body: "m" }));
    expect((await create(`s3://${bucket}/m.tar.gz`)).ModelArn).toContain(QA.id);
  });

  test("an execution role is SageMaker's: a person of the home account may not assume it", async () => {
    const sts = new STSClient({ region: "us-east-1", maxAttempts: 1 });
    const RoleArn = stageIn(QA).executionRole;
    await expect(
      sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "person" })),
    ).rejects.toMatchObject({ name: "AccessDenied" });
    sts.destroy();
  });
});

describe("what is published into a stage elsewhere", () => {
  const copy = (spec: FleetSpec, stage: string, ...publications: Publication[]) => {
    const { parts, stages } = three();
    const activities = createArtifactActivities({ ...parts, stageAccess: stages.stageAccess });
    return run(activities.copyArtifacts, { fleet: spec.name, stage, publications });
  };
  const waits = { type: "AccessDenied", nonRetryable: false };
  const fleetIn = (name: string, ...elsewhere: StageSpec[]): FleetSpec => {
    const { account } = three().parts;
    const stages = [{ name: "sandbox", account }, ...elsewhere];
    return fleetSpecSchema.parse({ ...aFleet({ name }), stages });
  };

  test("waits while the home bucket does not let the stage read, and is told what is gone", async () => {
    const { parts, stages } = three();
    const { s3, bucket } = parts;
    const spec = fleetIn("closed", stageIn(PROD));
    await uploadCode(parts, spec);
    const fine = await aVersion(parts, { spec, customer: "fine", version: 1 });
    const gone = await aVersion(parts, { spec, customer: "gone", version: 1, artifact: null });
    const prod = await stages.stageAccess(stageIn(PROD));
    await prod.s3.send(new CreateBucketCommand({ Bucket: prod.bucket }));
    await expect(copy(spec, "prod", fine, gone)).rejects.toMatchObject({
      ...waits,
      message: expect.stringMatching(
        /^stage "prod" in account 333333333333: the stage's role may not copy s3:/,
      ) as string,
      details: [{ hint: expect.stringContaining("modelfleet accounts plan") as string }],
    });

    const role = stageIn(PROD).role ?? "";
    const stage = { name: "prod", account: PROD.id, role };
    const { policy } =
      mergePolicy(undefined, [homeBucketStatement({ fleet: spec.name, bucket }, stage)]) ?? {};
    await s3.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: policy }));
    const { rejected } = await copy(spec, "prod", fine, gone);
    expect(rejected).toMatchObject([
      {
        customerKey: "gone",
        because: expect.stringMatching(/^its artifact is gone: s3:/) as string,
      },
    ]);
  });

  test("touches nothing in either account with credentials of the wrong one", async () => {
    const { parts, stages, renew } = three();
    const { stageAccess } = renew();
    const wrong = { ...stageIn(QA), account: PROD.id };
    const there = { ...parts, pollSeconds: 0.2, stageAccess: () => stageAccess(wrong) };
    const spec = fleetIn("mixed", stageIn(QA));
    const version = await aVersion(parts, { spec, customer: "one", version: 1 });
    const place = { fleet: spec.name, stage: "qa" };
    const batch = { ...place, publications: [version] };
    const before = await calls();
    const at = new Date().toISOString();
    const endpoints = createEndpointActivities(there);
    for (const attempt of [
      () => run(createArtifactActivities(there).copyArtifacts, batch),
      () => run(endpoints.ensureEndpoint, { ...place, at, reload: false }),
      () => run(endpoints.verifyAndPoint, batch),
      () =>
        run(createWithdrawalActivities(there).restoreArtifacts, {
          ...place,
          customerKeys: ["one"],
        }),
    ])
      await expect(attempt()).rejects.toMatchObject({
        type: "AccountMismatch",
        nonRetryable: true,
      });
    const after = await calls();
    const made = Object.keys(after).filter((operation) => after[operation] !== before[operation]);
    expect(made.sort()).toEqual(["AssumeRole", "GetCallerIdentity"]);
    for (const stage of [stageIn(QA), stageIn(PROD)]) {
      const { s3, bucket } = await stages.stageAccess(stage);
      const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: "fleets/mixed/" });
      const { Contents = [] } = await s3.send(list).catch(unlessNoBucket);
      expect(Contents).toEqual([]);
    }
  });

  test("waits while the stage's role does not let the worker in", async () => {
    const shut = { ...stageIn(QA), externalId: "modelfleet-prod" };
    const spec = fleetIn("shut", shut);
    const version = await aVersion(three().parts, { spec, customer: "one", version: 1 });
    await expect(copy(spec, "qa", version)).rejects.toMatchObject({
      ...waits,
      message: expect.stringContaining("the worker may not assume the role") as string,
    });
  });

  test("its endpoint is looked at again and again while the stage is closed, in one attempt", async () => {
    const { parts, renew } = three();
    const spec = fleetIn("ajar", stageIn(QA));
    await aVersion(parts, { spec, customer: "one", version: 1 });
    const { stageAccess } = renew();
    let looks = 0;
    const there = {
      ...{ ...parts, pollSeconds: 0.05 },
      stageAccess: async (stage: StageSpec) => {
        looks++;
        if (looks > 3) throw new Error("it is open");
        return stageAccess({ ...stage, externalId: "modelfleet-prod" });
      },
    };
    const refresh = { fleet: spec.name, stage: "qa", at: new Date().toISOString(), reload: false };
    const { ensureEndpoint } = createEndpointActivities(there);
    await expect(run(ensureEndpoint, refresh)).rejects.toThrow("it is open");
    expect(looks).toBe(4);
  });
});

test("a worker that starts tells which stages of the fleets on record it cannot reach", async () => {
  const { parts, renew } = three();
  const stages = [
    { name: "sandbox", account: parts.account },
    stageIn(QA),
    { ...stageIn(PROD), account: QA.id },
  ];
  await parts.ledger.query(
    "insert into fleet_specs (fleet, spec_hash, spec) values ('f', 'h', $1)",
    [{ stages }],
  );
  const told: unknown[] = [];
  const log = (message: string, fields?: Record<string, unknown>) =>
    void (fields?.fleet === "f" && told.push([message, fields.stage, fields.type]));
  const { ledger } = parts;
  await checkStages({ ledger, stageAccess: renew().stageAccess }, { info: log, error: log });
  expect(told).toEqual([
    ["stage checked", "sandbox", undefined],
    ["stage checked", "qa", undefined],
    ["stage cannot be reached", "prod", "AccountMismatch"],
  ]);
});

/** What a revocation does, without waiting: every session of the SageMaker server is over. */
async function endSessions(): Promise<void> {
  const { default: pg } = await import("pg");
  const url = new URL(three().parts.ledgerUrl);
  url.pathname = "/sagemaker";
  const db = new pg.Client({ connectionString: url.toString() });
  await db.connect();
  await db.query("update sagemaker.sessions set expires_at = extract(epoch from now()) - 1");
  await db.end();
}

function unlessNoBucket(error: unknown): Partial<ListObjectsV2CommandOutput> {
  if (error instanceof Error && error.name === "NoSuchBucket") return {};
  throw error;
}
