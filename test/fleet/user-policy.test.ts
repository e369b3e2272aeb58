/** What `modelfleet iam user-policy` prints: rights for what the commands call by themselves, and nothing beside them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { endpointName, modelPackageGroupName, s3Keys } from "../../fleet/names.js";
import { MANAGED_POLICY_CHARACTERS, policySize } from "../../fleet/policy-document.js";
import { stageUserPolicy, userPolicy } from "../../fleet/user-policy.js";
import { workerPolicy } from "../../fleet/worker-policy.js";
import { isPermitted, parsePolicy } from "../../local/sagemaker/iam-policy.js";

const fleet = "flight-delays";
const roleArn = "arn:aws:iam::111111111111:role/modelfleet";
const stageRole = "arn:aws:iam::333333333333:role/modelfleet-stage";
const home = {
  ...{ region: "eu-west-1", account: "111111111111", bucket: "models-of-ours", roleArn },
  fleets: [{ name: fleet, stages: ["sandbox", "qa"] }],
};
const qa = {
  ...{ ...home, region: "eu-north-1", bucket: "models-of-qa", roleArn: `${roleArn}-qa` },
  fleets: [{ name: fleet, stages: ["qa"] }],
};
const scope = { ...home, apart: [qa], stageRoles: [stageRole], mayChange: false };
const prod = { ...qa, account: "333333333333", bucket: "models-of-prod", mayChange: false };

const asks = (policy: ReturnType<typeof userPolicy>) => (action: string, resource: string) =>
  isPermitted([parsePolicy(policy)], { action, resource, context: {} });
const may = asks(userPolicy(scope));
const bucket = "arn:aws:s3:::models-of-ours";
const endpoint = (region: string, name: string) =>
  `arn:aws:sagemaker:${region}:111111111111:endpoint/${name}`;
const group = `arn:aws:sagemaker:eu-west-1:111111111111:model-package-group/${modelPackageGroupName(fleet, "xna")}`;
const pointer = s3Keys.pointer({ fleet, stage: "qa", customerKey: "xna" });

describe("a person at the command line", () => {
  test.each([
    ["s3:PutObject", `${bucket}/${s3Keys.code(fleet, "abc")}`],
    ["s3:GetObject", `${bucket}/${s3Keys.codeFiles(fleet, "abc")}train.py`],
    ["s3:GetObject", `${bucket}/${pointer}`],
    ["s3:GetObject", `arn:aws:s3:::models-of-qa/${pointer}`],
    ["s3:ListBucket", "arn:aws:s3:::models-of-qa"],
    ["sagemaker:InvokeEndpoint", endpoint("eu-west-1", endpointName(fleet, "sandbox"))],
    ["sagemaker:DescribeEndpoint", endpoint("eu-north-1", endpointName(fleet, "qa", "xna"))],
    ["cloudwatch:GetMetricData", "*"],
    ["iam:GetRole", roleArn],
    ["iam:GetRole", `${roleArn}-qa`],
    ["sts:AssumeRole", stageRole],
    ["s3:GetBucketPolicy", bucket],
  ])("may %s on %s", (action, resource) => {
    expect(may(action, resource)).toBe(true);
  });

  const rows = s3Keys.rows({ fleet, cycle: "2013-07-01", customerKey: "xna", channel: "test" });
  test.each([
    ["s3:GetObject", `${bucket}/${rows}`],
    ["s3:PutObject", `${bucket}/${pointer}`],
    ["s3:DeleteObject", `${bucket}/${s3Keys.code(fleet, "abc")}`],
    ["sagemaker:CreateTrainingJob", "*"],
    ["sagemaker:UpdateEndpoint", endpoint("eu-west-1", endpointName(fleet, "sandbox"))],
    ["sagemaker:InvokeEndpoint", endpoint("eu-west-1", "houses-sandbox")],
    ["iam:PassRole", roleArn],
    ["iam:GetRole", "arn:aws:iam::111111111111:role/admin"],
    ["sts:AssumeRole", `${stageRole}-admin`],
    ["s3:PutBucketPolicy", bucket],
    ["s3:CreateBucket", "arn:aws:s3:::models-of-qa"],
    ["sagemaker:PutModelPackageGroupPolicy", group],
  ])("may not %s on %s", (action, resource) => {
    expect(may(action, resource)).toBe(false);
  });

  test("of a fleet without stages elsewhere assumes no role, and reads no policies", () => {
    const alone = asks(userPolicy({ ...home, stageRoles: [], mayChange: true }));
    expect(alone("sts:AssumeRole", stageRole)).toBe(false);
    expect(alone("s3:GetBucketPolicy", bucket)).toBe(false);
    expect(alone("s3:CreateBucket", bucket)).toBe(false);
  });

  test("reads the secrets that the settings refer to, by their ARNs", () => {
    const ledger = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:ledger-??????";
    const reads = asks(userPolicy({ ...scope, secrets: [ledger] }));
    expect(reads("secretsmanager:GetSecretValue", ledger.replace("??????", "AbCdEf"))).toBe(true);
    expect(reads("secretsmanager:GetSecretValue", ledger.replace("ledger", "other"))).toBe(false);
  });
});

describe("who applies accounts", () => {
  const applies = asks(userPolicy({ ...scope, mayChange: true }));

  test("changes the policies of the home bucket and of the fleet's groups, and makes stages' buckets", () => {
    expect(applies("s3:PutBucketPolicy", bucket)).toBe(true);
    expect(applies("sagemaker:PutModelPackageGroupPolicy", group)).toBe(true);
    expect(applies("s3:CreateBucket", "arn:aws:s3:::models-of-qa")).toBe(true);
    expect(applies("s3:CreateBucket", "arn:aws:s3:::others")).toBe(false);
    expect(applies("s3:PutBucketPolicy", "arn:aws:s3:::models-of-qa")).toBe(false);
  });

  test("in a stage's account looks at the bucket and the role, and makes the bucket if that is wanted", () => {
    const looks = asks(stageUserPolicy(prod));
    const makes = asks(stageUserPolicy({ ...prod, mayChange: true }));
    const theirs = "arn:aws:s3:::models-of-prod";
    expect(looks("s3:GetBucketPublicAccessBlock", theirs)).toBe(true);
    expect(looks("iam:GetRole", prod.roleArn)).toBe(true);
    expect(looks("s3:PutBucketVersioning", theirs)).toBe(false);
    expect(makes("s3:PutBucketVersioning", theirs)).toBe(true);
    expect(makes("s3:PutObject", `${theirs}/x`)).toBe(false);
  });
});

test("a policy for three fleets with three stages fits into one managed policy", () => {
  const fleets = ["a", "b", "c"].map((letter) => ({
    ...{ name: `fleet-of-kind-${letter}`, stages: ["sandbox", "qa", "prod"] },
  }));
  const policy = userPolicy({ ...scope, fleets, mayChange: true });
  expect(policySize(policy)).toBeLessThan(MANAGED_POLICY_CHARACTERS);
});

test("nobody at the command line has a right that no command uses", () => {
  const sources = readdirSync("client", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join("client", name), "utf8"))
    .join("\n");
  const commands: Readonly<Record<string, string>> = {
    "cloudwatch:GetMetricData": "paginateGetMetricData",
    "s3:GetBucketPublicAccessBlock": "GetPublicAccessBlockCommand",
    "s3:ListBucket": "HeadBucketCommand",
    "s3:PutBucketPublicAccessBlock": "PutPublicAccessBlockCommand",
    "secretsmanager:GetSecretValue": "secretReader",
  };
  const all = [
    userPolicy({ ...scope, secrets: ["*"], mayChange: true }),
    stageUserPolicy({ ...prod, mayChange: true }),
  ];
  const actions = all.flatMap(({ Statement }) => Statement.flatMap(({ Action }) => Action));
  const unused = [...new Set(actions)].filter(
    (action) => !sources.includes(commands[action] ?? `${action.split(":")[1]}Command`),
  );
  expect(unused).toEqual([]);
});

describe("stages of the home account with a place of their own", () => {
  const asksWorker = (policy: ReturnType<typeof workerPolicy>) => {
    const allowed = parsePolicy(policy);
    return (action: string, resource: string, context = {}) =>
      isPermitted([allowed], { action, resource, context });
  };
  const worker = asksWorker(workerPolicy(scope));

  test("are served by the worker: their region, bucket and execution role", () => {
    expect(worker("sagemaker:UpdateEndpoint", endpoint("eu-north-1", "flight-delays-qa"))).toBe(
      true,
    );
    expect(worker("sagemaker:UpdateEndpoint", endpoint("eu-north-1", "flight-delays-x"))).toBe(
      false,
    );
    expect(worker("s3:PutObject", `arn:aws:s3:::models-of-qa/${pointer}`)).toBe(true);
    const toSageMaker = { "iam:PassedToService": "sagemaker.amazonaws.com" };
    expect(worker("iam:PassRole", `${roleArn}-qa`, toSageMaker)).toBe(true);
  });
});
