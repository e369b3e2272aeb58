/** `modelfleet accounts plan|apply` with three AWS accounts: what is missing is told, made, and then no more missing. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  ListBucketsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import {
  CreateModelPackageGroupCommand,
  DescribeModelPackageGroupCommand,
} from "@aws-sdk/client-sagemaker";
import { beforeAll, describe, expect, test } from "vitest";
import { modelPackageGroupName } from "../../fleet/names.js";
import type { StageSpec } from "../../fleet/spec.schema.js";
import { bucketPrefix, executionRole } from "../../local/stack/accounts.js";
import { PROD, QA, stageIn, useThreeAccounts } from "../activities/three-accounts.js";
import type { AwsCall } from "../aws-rights.js";
import { setFaults, setPolicies } from "../faults/sagemaker-admin.js";
import { recordedCalls } from "../watched-process.js";
import { modelfleet, modelfleetJson } from "./modelfleet.js";

const three = useThreeAccounts(19692);
const HOME = "111111111111";
const sandbox: StageSpec = { name: "sandbox", account: HOME };
const stages = [sandbox, stageIn(QA), stageIn(PROD)];

const run = (...words: string[]) => modelfleet(words, { directory: three().stack.folder });
const runJson = (...words: string[]) => modelfleetJson(words, { directory: three().stack.folder });

/** Writes a fleet file and returns its path. */
function writeFleet(name: string, declared: readonly StageSpec[]): string {
  const folder = join(three().stack.folder, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "fleet.ts");
  writeFileSync(
    file,
    `import { defineFleet, multiModelEndpoint, postgres, script } from "modelfleet";
export default defineFleet({
  name: ${JSON.stringify(name)},
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "select shop, y, x from sales where at >= :floor and at < :ceiling",
    customer: "shop", target: "y", window: { months: 2 }, split: { validation: 0.3, test: 0.1 },
  }),
  training: script(${JSON.stringify(resolve("training/xgboost_regression"))}),
  endpoint: multiModelEndpoint(),
  stages: ${JSON.stringify(declared)},
});
`,
  );
  return file;
}

const theirs = {
  Sid: "Audit",
  Effect: "Allow",
  Principal: { AWS: "arn:aws:iam::999999999999:root" },
  Action: "s3:GetObject",
  Resource: `arn:aws:s3:::${bucketPrefix(HOME)}/audit/*`,
};
const group = modelPackageGroupName("churn", "berlin");

beforeAll(async () => {
  const { s3, sagemaker, bucket } = three().parts;
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [theirs] });
  await s3.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  await sagemaker.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: group }));
  for (const Key of [
    "cycles/c/output/j/output/model.tar.gz",
    "cycles/c/data/berlin/train/data.csv",
  ])
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: `fleets/churn/${Key}`, Body: "m" }));
});

async function copyAs(stage: StageSpec, key: string): Promise<unknown> {
  const { s3, bucket } = await three().stages.stageAccess(stage);
  const CopySource = `${three().parts.bucket}/fleets/churn/${key}`;
  return s3.send(new CopyObjectCommand({ Bucket: bucket, Key: "copied", CopySource }));
}

describe("accounts", () => {
  const artifact = "cycles/c/output/j/output/model.tar.gz";

  test("plan tells what is missing in each account, and changes nothing", async () => {
    const file = writeFleet("churn", stages);
    const plan = await runJson("accounts", "plan", file);
    const ofBucket = (account: string, stage: string) =>
      ["bucket", "bucket-versioning"].map((kind) => ({
        ...{ kind, account, stage, name: bucketPrefix(account) },
      }));
    expect(plan).toMatchObject({ fleet: "churn", home: HOME, problems: [] });
    expect(plan.steps).toMatchObject([
      ...ofBucket(QA.id, "qa"),
      ...ofBucket(PROD.id, "prod"),
      { kind: "bucket-policy", account: HOME, name: bucketPrefix(HOME), replaces: [] },
      { kind: "group-policy", account: HOME, name: group, replaces: [] },
    ]);
    const { stdout, code } = await run("accounts", "plan", file);
    expect(stdout).toContain("6 things missing in 3 accounts");
    expect(stdout).toMatch(/222222222222 {2}qa\n {4}\+ bucket modelfleet-222222222222\n/);
    expect(code).toBe(0);
    const { Buckets } = await three().parts.s3.send(new ListBucketsCommand());
    expect(Buckets?.map(({ Name }) => Name)).toEqual([bucketPrefix(HOME)]);
    await expect(copyAs(stageIn(QA), artifact)).rejects.toMatchObject({
      name: expect.any(String) as string,
    });
  });

  test("apply asks first, and without a terminal makes nothing", async () => {
    const { stderr, code } = await run("accounts", "apply", writeFleet("churn", stages));
    expect(stderr).toContain("nothing was changed: there is no terminal to ask");
    expect(code).toBe(2);
  });

  test("apply makes what is missing, and no more the second time", async () => {
    const file = writeFleet("churn", stages);
    const applied = await runJson("accounts", "apply", file, "--yes");
    expect(applied).toMatchObject({ applied: true, problems: [] });
    expect(await runJson("accounts", "plan", file)).toMatchObject({ steps: [], problems: [] });
    const { stdout, stderr, code } = await run("accounts", "apply", file);
    expect(stdout).toContain("nothing is missing in 3 accounts");
    expect([stderr, code]).toEqual(["", 0]);
    const qa = await three().stages.stageAccess(stageIn(QA));
    const versioning = new GetBucketVersioningCommand({ Bucket: qa.bucket });
    expect((await qa.s3.send(versioning)).Status).toBe("Enabled");
  });

  test("the stages may then copy models out of the home bucket, and read no rows", async () => {
    for (const stage of [stageIn(QA), stageIn(PROD)]) {
      await expect(copyAs(stage, artifact)).resolves.toBeDefined();
      const rows = copyAs(stage, "cycles/c/data/berlin/train/data.csv");
      await expect(rows).rejects.toMatchObject({ name: "AccessDenied" });
    }
    const { s3, sagemaker } = await three().stages.stageAccess(stageIn(QA));
    const theirBucket = bucketPrefix(PROD.id);
    const read = new GetObjectCommand({ Bucket: theirBucket, Key: "copied" });
    await expect(s3.send(read)).rejects.toMatchObject({ name: "AccessDenied" });
    const ModelPackageGroupName = `arn:aws:sagemaker:us-east-1:${HOME}:model-package-group/${group}`;
    const described = new DescribeModelPackageGroupCommand({ ModelPackageGroupName });
    expect(await sagemaker.send(described)).toMatchObject({ ModelPackageGroupName: group });
  });

  test("what others wrote into a policy stays, and what became of ours is put right", async () => {
    const { s3, bucket } = three().parts;
    const read = async () => {
      const { Policy = "" } = await s3.send(new GetBucketPolicyCommand({ Bucket: bucket }));
      return (JSON.parse(Policy) as { Statement: { Sid: string; Action: unknown }[] }).Statement;
    };
    const before = await read();
    expect(before.map(({ Sid }) => Sid)).toEqual([
      "Audit",
      expect.stringMatching(/^ModelfleetChurnQa/),
      expect.stringMatching(/^ModelfleetChurnProd/),
    ]);
    const widened = before.map((one) => (one.Sid === "Audit" ? one : { ...one, Action: "s3:*" }));
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement: widened });
    await s3.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));

    const file = writeFleet("churn", stages);
    const { stdout } = await run("accounts", "plan", file);
    expect(stdout).toMatch(/policy of bucket modelfleet-111111111111: replace ModelfleetChurnQa/);
    await runJson("accounts", "apply", file, "--yes");
    expect(await read()).toEqual(before);
  });
});

describe("local up", () => {
  test("tells the accounts, and what a fleet file says of each", async () => {
    const up = await runJson("local", "up", "--accounts", "qa=222222222222,prod=333333333333");
    expect(up).toMatchObject({ started: [], accounts: [stageIn(QA), stageIn(PROD)] });
  });

  test("changes no accounts of a stack that is up", async () => {
    const { stderr, code } = await run("local", "up", "--accounts", "qa=444444444444");
    expect(stderr).toContain(
      "is up with qa=222222222222,prod=333333333333, not with qa=444444444444",
    );
    expect(code).toBe(1);
  });
});

describe("what is wrong is told in a sentence, and the other stages are looked at", () => {
  test("an account where the role is not there", async () => {
    const lost = { ...stageIn(QA), role: `arn:aws:iam::${QA.id}:role/nobody` };
    const { stdout, code } = await run("accounts", "plan", writeFleet("lost", [sandbox, lost]));
    expect(stdout).toContain(
      `the role arn:aws:iam::${QA.id}:role/nobody of stage "qa" may not be assumed`,
    );
    expect(stdout).toContain('with the external id "modelfleet-qa"');
    expect(code).toBe(1);
  });

  test("an account that is not there", async () => {
    const unknown = { name: "moon", id: "444444444444" };
    const plan = await runJson("accounts", "plan", writeFleet("moon", [sandbox, stageIn(unknown)]));
    expect(plan.problems).toMatchObject([{ stage: "moon", account: "444444444444" }]);
  });

  test("a role of another account, and no bucket", async () => {
    const { bucket, ...without } = stageIn(QA);
    const wrong = { ...without, role: stageIn(PROD).role ?? "" };
    const { stderr, code } = await run("accounts", "plan", writeFleet("wrong", [sandbox, wrong]));
    expect(stderr).toContain(`is of account ${PROD.id}, and the stage is in account ${QA.id}`);
    expect(stderr).toContain("where the stage's models are");
    expect([code, bucket]).toEqual([1, bucketPrefix(QA.id)]);
  });

  test("execution roles that are not there, that SageMaker may not assume, or that nobody may look at", async () => {
    const nobody = { ...stageIn(QA), executionRole: `arn:aws:iam::${QA.id}:role/nobody` };
    const untrusting = { ...stageIn(PROD), executionRole: stageIn(PROD).role ?? "" };
    const file = writeFleet("roles", [sandbox, nobody, untrusting]);
    const plan = await runJson("accounts", "plan", file);
    expect(plan.problems).toMatchObject([
      { stage: "qa", found: `the role ${nobody.executionRole} is not there` },
      {
        stage: "prod",
        found: `the role ${untrusting.executionRole} does not let sagemaker.amazonaws.com assume it`,
        mend: expect.stringContaining("modelfleet iam execution-role FLEET.ts --trust") as string,
      },
    ]);
    const { stack } = three();
    const blind = {
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Action: "sts:*", Resource: "*" },
    };
    const role = stageIn(QA).role ?? "";
    await setPolicies(stack, { [role]: blind });
    const { notes } = await runJson(
      "accounts",
      "plan",
      writeFleet("blind", [sandbox, stageIn(QA)]),
    );
    await setPolicies(stack, { [role]: null });
    expect(notes).toMatchObject([
      {
        stage: "qa",
        found: `whether the role ${executionRole(QA.id)} is there could not be looked at: IAM says AccessDenied`,
      },
    ]);
  });

  test("a bucket of another account", async () => {
    const prod = await three().stages.stageAccess(stageIn(PROD));
    const Bucket = `${bucketPrefix(PROD.id)}-taken`;
    await prod.s3.send(new CreateBucketCommand({ Bucket }));
    const taken = { ...stageIn(QA), bucket: Bucket };
    const { stdout } = await run("accounts", "plan", writeFleet("taken", [sandbox, taken]));
    expect(stdout).toContain(`the bucket ${Bucket} is another account's`);
  });

  test("a fleet that is trained in another account than the credentials'", async () => {
    const file = writeFleet("away", [{ name: "away", account: QA.id }]);
    const { stderr } = await run("accounts", "plan", file);
    expect(stderr).toContain(
      `fleet "away" is trained in account ${QA.id}, your credentials are of`,
    );
  });
});

test("calls that AWS throttles are repeated, and no group is left out", async () => {
  const { parts, stack } = three();
  const names = Array.from({ length: 5 }, (_none, index) =>
    modelPackageGroupName("busy", `c${index}`),
  );
  for (const ModelPackageGroupName of names)
    await parts.sagemaker.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName }));
  const file = writeFleet("busy", stages);
  // Of the first nine draws of this seed the second is below the rate.
  const operations = ["PutModelPackageGroupPolicy"];
  await setFaults(stack, { throttle: { rate: 0.2, seed: 1, operations } });
  const { code, stderr } = await run("accounts", "apply", file, "--yes");
  await setFaults(stack, {});

  expect([code, stderr]).toEqual([0, expect.stringContaining("made  policy of bucket") as string]);
  const made = stderr.split("\n").filter((line) => line.startsWith("made  policy of model"));
  expect(made).toHaveLength(names.length);
  expect(await runJson("accounts", "plan", file)).toMatchObject({ steps: [], groups: 5 });
});

test("doctor tells which fleet's stages lack something", async () => {
  const { anyAccount, loadFleetFile } = await import("../../client/fleet-file.js");
  for (const name of ["churn", "late"]) {
    const { spec } = await loadFleetFile(writeFleet(name, stages), anyAccount);
    await three().parts.ledger.query(
      "insert into fleet_specs (fleet, spec_hash, spec) values ($1, 'one', $2)",
      [name, spec],
    );
  }
  const { checks } = (await runJson("doctor")) as { checks: { part: string }[] };
  const of = (fleet: string) => checks.find(({ part }) => part === `stages of ${fleet}`);
  expect(of("churn")).toMatchObject({ state: "ok" });
  expect(of("late")).toMatchObject({
    state: "problem",
    found: "1 thing is missing in their accounts",
    mend: expect.stringContaining("modelfleet accounts apply") as string,
  });
});

test("the calls of commands are watched, those that are made as a stage's role apart from the others", () => {
  const lines = readFileSync(recordedCalls, "utf8").trimEnd().split("\n");
  const calls = lines.map((line) => JSON.parse(line) as AwsCall & { readonly caller: string });
  const of = (who: string) =>
    calls.filter(({ caller }) => caller === who).map(({ operation }) => operation);
  expect(of("user")).toEqual(expect.arrayContaining(["PutBucketPolicy", "ListTrainingJobs"]));
  expect(of("user in a stage")).toEqual(expect.arrayContaining(["CreateBucket", "GetRole"]));
  expect(of("user in a stage")).not.toContain("PutBucketPolicy");
});
