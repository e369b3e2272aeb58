/** What `modelfleet iam` prints: rights by the names that the fleets' resources have, and nothing beside them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SpecError } from "../../fleet/errors.js";
import {
  customerKey,
  endpointConfigName,
  endpointName,
  modelName,
  modelPackageGroupName,
  pipelineEndpointName,
  preprocessorModelName,
  requestHash,
  s3Keys,
  trainingJobName,
  tuningJobName,
} from "../../fleet/names.js";
import { MANAGED_POLICY_CHARACTERS, policySize } from "../../fleet/policy-document.js";
import {
  approverPolicy,
  executionRolePolicy,
  executionRoleTrust,
} from "../../fleet/role-policies.js";
import { stagePolicy, workerPolicy } from "../../fleet/worker-policy.js";
import { isPermitted, parsePolicy } from "../../local/sagemaker/iam-policy.js";

const scope = {
  region: "eu-west-1",
  account: "111111111111",
  bucket: "models-of-ours",
  fleets: [{ name: "flight-delays", stages: ["sandbox", "prod"] }],
};
const roleArn = "arn:aws:iam::111111111111:role/modelfleet";
const policy = parsePolicy(workerPolicy({ ...scope, roleArn, stageRoles: [] }));

const allows = (action: string, resource: string, context = {}): boolean =>
  isPermitted([policy], { action, resource, context });
const arn = (kind: string, name: string) =>
  `arn:aws:sagemaker:eu-west-1:111111111111:${kind}/${name}`;

const fleet = "flight-delays";
const hash = requestHash({ some: "request" });
const work = {
  fleet,
  customerKey: customerKey("XNA"),
  cycle: "2013-07-01",
  round: 0,
  requestHash: hash,
};

describe("a worker", () => {
  test.each([
    ["CreateTrainingJob", "training-job", trainingJobName(work)],
    ["AddTags", "training-job", trainingJobName({ ...work, customerKey: "k".repeat(60) })],
    ["StopHyperParameterTuningJob", "hyper-parameter-tuning-job", tuningJobName(work)],
    ["CreateModelPackageGroup", "model-package-group", modelPackageGroupName(fleet, "xna")],
    ["UpdateModelPackage", "model-package", `${modelPackageGroupName(fleet, "xna")}/3`],
    ["CreateEndpoint", "endpoint", endpointName(fleet, "prod")],
    ["InvokeEndpoint", "endpoint", endpointName(fleet, "prod", "xna")],
    ["DeleteEndpoint", "endpoint", pipelineEndpointName(fleet, "prod", 2)],
    ["CreateModel", "model", modelName({ endpointName: endpointName(fleet, "prod"), hash })],
    ["DeleteModel", "model", preprocessorModelName(fleet, 1, hash)],
    [
      "CreateEndpointConfig",
      "endpoint-config",
      endpointConfigName({ endpointName: endpointName(fleet, "sandbox"), hash, at: "2013-07-01" }),
    ],
  ])("may %s on a %s of its fleet", (operation, kind, name) => {
    expect(allows(`sagemaker:${operation}`, arn(kind, name))).toBe(true);
  });

  test.each([
    ["CreateTrainingJob", "training-job", "somebody-elses"],
    ["UpdateModelPackage", "model-package", "flight-delays-eu--xna/3"],
    ["DeleteModelPackageGroup", "model-package-group", "houses--oslo"],
    ["UpdateEndpoint", "endpoint", "flight-delays-qa"],
    ["DeleteEndpoint", "endpoint", "flight-delays"],
    ["DeleteTrainingJob", "training-job", trainingJobName(work)],
    ["PutModelPackageGroupPolicy", "model-package-group", "flight-delays--xna"],
  ])("may not %s on the %s %s", (operation, kind, name) => {
    expect(allows(`sagemaker:${operation}`, arn(kind, name))).toBe(false);
  });

  test("reads and writes what is its fleets' in the bucket, and nothing else", () => {
    const bucket = "arn:aws:s3:::models-of-ours";
    const [own, other] = [s3Keys.fleet(fleet), s3Keys.fleet("houses")];
    for (const action of ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]) {
      expect(allows(action, `${bucket}/${own}code/x`)).toBe(true);
      expect(allows(action, `${bucket}/${other}code/x`)).toBe(false);
    }
    expect(allows("s3:ListBucket", bucket)).toBe(true);
    expect(allows("s3:PutBucketPolicy", bucket)).toBe(false);
  });

  test("passes its one role, to SageMaker", () => {
    const service = (name: string) => ({ "iam:PassedToService": name });
    expect(allows("iam:PassRole", roleArn, service("sagemaker.amazonaws.com"))).toBe(true);
    expect(allows("iam:PassRole", roleArn, service("ec2.amazonaws.com"))).toBe(false);
    expect(allows("iam:PassRole", `${roleArn}-admin`, service("sagemaker.amazonaws.com"))).toBe(
      false,
    );
  });

  test("of three fleets fits into one managed policy, and of one with three stages", () => {
    const names = ["a", "b", "c"].map((letter) => `fleet-of-kind-${letter}`);
    const three = names.map((name) => ({ name, stages: ["prod"] }));
    const one = [{ name: "fleet-of-a-kind", stages: ["sandbox", "qa", "prod"] }];
    for (const fleets of [three, one])
      expect(policySize(workerPolicy({ ...scope, roleArn, stageRoles: [], fleets }))).toBeLessThan(
        MANAGED_POLICY_CHARACTERS,
      );
  });

  test("has no right that no activity uses", () => {
    const sources = readdirSync("activities", { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(join("activities", name), "utf8"))
      .join("\n");
    const actions = workerPolicy({ ...scope, roleArn, stageRoles: [] }).Statement.flatMap(
      ({ Action }) => Action,
    );
    const unused = actions
      .filter((action) => action.startsWith("sagemaker:") && action !== "sagemaker:AddTags")
      .filter((action) => !sources.includes(`${action.slice("sagemaker:".length)}Command`));
    expect(unused).toEqual([]);
  });

  test("in China names what is there", () => {
    const text = JSON.stringify(
      workerPolicy({ ...scope, region: "cn-north-1", roleArn: "", stageRoles: [] }),
    );
    expect(text).toContain("arn:aws-cn:sagemaker:cn-north-1:");
    expect(text).toContain("arn:aws-cn:s3:::models-of-ours");
    expect(text).not.toContain("arn:aws:");
  });
});

describe("in a stage's account", () => {
  const role = "arn:aws:iam::333333333333:role/modelfleet-worker";
  const stage = parsePolicy(
    stagePolicy({
      ...{ region: "eu-west-1", account: "333333333333", bucket: "prod-models", roleArn },
      homeBucket: scope.bucket,
      fleets: [{ name: fleet, stages: ["prod"] }],
    }),
  );
  const may = (action: string, resource: string) =>
    isPermitted([stage], { action, resource, context: {} });
  const there = "arn:aws:sagemaker:eu-west-1:333333333333";

  test("the worker serves, and reads at home what it is to serve", () => {
    expect(may("sagemaker:UpdateEndpoint", `${there}:endpoint/flight-delays-prod`)).toBe(true);
    expect(may("s3:PutObject", "arn:aws:s3:::prod-models/fleets/flight-delays/x")).toBe(true);
    expect(may("s3:GetObject", "arn:aws:s3:::models-of-ours/fleets/flight-delays/x")).toBe(true);
  });

  test("it trains nothing, decides nothing, and writes nothing at home", () => {
    expect(may("sagemaker:CreateTrainingJob", `${there}:training-job/mf-x`)).toBe(false);
    expect(may("sagemaker:UpdateModelPackage", `${there}:model-package/x--y/1`)).toBe(false);
    expect(may("s3:PutObject", "arn:aws:s3:::models-of-ours/fleets/flight-delays/x")).toBe(false);
    expect(may("s3:ListBucket", "arn:aws:s3:::models-of-ours")).toBe(false);
  });

  test("comes in by a role that the worker may assume, and no other", () => {
    const worker = parsePolicy(workerPolicy({ ...scope, roleArn, stageRoles: [role] }));
    const assumes = (resource: string) =>
      isPermitted([worker], { action: "sts:AssumeRole", resource, context: {} });
    expect(assumes(role)).toBe(true);
    expect(assumes(`${role}-admin`)).toBe(false);
  });
});

describe("the execution role", () => {
  const image = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1";

  test("pulls its images, each named once, and reads and writes what is the fleets'", () => {
    const { Statement } = executionRolePolicy({ ...scope, images: [image, image] });
    const bySid = new Map(Statement.map((one) => [one.Sid, one]));
    expect(bySid.get("Images")?.Resource).toEqual([
      "arn:aws:ecr:eu-west-1:141502667606:repository/sagemaker-xgboost",
    ]);
    expect(bySid.get("Objects")?.Resource).toEqual([
      "arn:aws:s3:::models-of-ours/fleets/flight-delays/*",
    ]);
    expect(bySid.get("Objects")?.Action).not.toContain("s3:DeleteObject");
  });

  test("refuses an image that no policy can name", () => {
    const images = ["docker.io/library/python:3.12"];
    expect(() => executionRolePolicy({ ...scope, images })).toThrow(SpecError);
  });

  test("is assumed by SageMaker for this account only", () => {
    expect(executionRoleTrust(scope).Statement).toEqual([
      {
        Sid: "SageMaker",
        Effect: "Allow",
        Principal: { Service: "sagemaker.amazonaws.com" },
        Action: "sts:AssumeRole",
        Condition: { StringEquals: { "aws:SourceAccount": "111111111111" } },
      },
    ]);
  });
});

describe("an approver", () => {
  const approver = parsePolicy(approverPolicy(scope));
  const may = (action: string, resource: string) =>
    isPermitted([approver], { action, resource, context: {} });

  test("decides about versions of the fleet, and reads why", () => {
    expect(may("sagemaker:UpdateModelPackage", arn("model-package", "flight-delays--xna/1"))).toBe(
      true,
    );
    const report = s3Keys.evaluation({ fleet, cycle: "2013-07-01", customerKey: "xna" });
    expect(may("s3:GetObject", `arn:aws:s3:::models-of-ours/${report}`)).toBe(true);
  });

  test("touches nothing that runs, and sees no rows", () => {
    expect(may("sagemaker:UpdateEndpoint", arn("endpoint", "flight-delays-prod"))).toBe(false);
    expect(may("sagemaker:UpdateModelPackage", arn("model-package", "houses--oslo/1"))).toBe(false);
    const rows = s3Keys.rows({ fleet, cycle: "2013-07-01", customerKey: "xna", channel: "test" });
    expect(may("s3:GetObject", `arn:aws:s3:::models-of-ours/${rows}`)).toBe(false);
  });
});
