/** Which stages a fleet file may declare, and what they come to. */
import { describe, expect, test } from "vitest";
import { fleetDeclarationSchema, type FleetDeclarationInput } from "../../fleet/spec.schema.js";
import {
  assertOwnBucket,
  endpointOfStage,
  homeAccount,
  isStaged,
  placeOfStage,
  promotionStages,
} from "../../fleet/stages.js";
import {
  defineFleet,
  multiModelEndpoint,
  postgres,
  script,
  sharded,
  serverlessEndpoint,
} from "../../index.js";

type Stages = FleetDeclarationInput["stages"];

const sandbox = { name: "sandbox", account: "111111111111" };
const prod = {
  name: "prod",
  account: "333333333333",
  role: "arn:aws:iam::333333333333:role/modelfleet",
  bucket: "models-prod",
  executionRole: "arn:aws:iam::333333333333:role/sagemaker",
};

const aFleet = (stages: Stages, changes: Partial<FleetDeclarationInput> = {}) =>
  defineFleet({
    name: "flight-delays",
    source: postgres({
      connection: "WAREHOUSE_URL",
      query: "./flights.sql",
      customer: "dest",
      target: "arr_delay",
      window: { months: 12 },
      split: { validation: 0.3, test: 0.1 },
    }),
    training: script("../training"),
    endpoint: multiModelEndpoint(),
    stages,
    ...changes,
  });

function issuesOf(declaration: object): string[] {
  const { error } = fleetDeclarationSchema.safeParse(declaration);
  return error?.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`) ?? [];
}

test("stages in several accounts are taken, in order of promotion", () => {
  const { stages } = fleetDeclarationSchema.parse(
    aFleet([
      { ...sandbox, approval: "none" },
      { name: "qa", account: "111111111111", approval: "release" },
      { ...prod, approval: "stage", lag: "7d", externalId: "fleet-42", region: "us-east-1" },
    ]),
  );

  expect(promotionStages({ stages })).toEqual([
    { name: "sandbox", approval: "none", lagSeconds: 0 },
    { name: "qa", approval: "release", lagSeconds: 0 },
    { name: "prod", approval: "stage", lagSeconds: 604_800 },
  ]);
});

test("one stage that takes what is approved is no promotion", () => {
  expect(isStaged(promotionStages({ stages: [sandbox] }))).toBe(false);
  expect(isStaged(promotionStages({ stages: [sandbox, prod] }))).toBe(true);
  expect(isStaged(promotionStages({ stages: [{ ...sandbox, approval: "stage" }] }))).toBe(true);
});

describe("refused, with the field named", () => {
  test.each<[string, Stages, string]>([
    [
      "two stages of one name",
      [sandbox, { ...prod, name: "sandbox" }],
      'stages.1.name: two stages are called "sandbox"',
    ],
    [
      "one bucket in two accounts",
      [{ ...sandbox, bucket: "models-prod" }, prod],
      'stages.1.bucket: models-prod is the bucket of stage "sandbox" in account 111111111111 too',
    ],
    [
      "one bucket in two regions",
      [sandbox, { ...prod, region: "us-east-1" }, { ...prod, name: "eu", region: "eu-west-1" }],
      'stages.2.bucket: models-prod is the bucket of stage "prod" in us-east-1 too',
    ],
    ["an account that is none", [{ name: "sandbox", account: "1111" }], "is 12 digits"],
    [
      "another account without a role",
      [sandbox, { ...prod, role: undefined }],
      "stages.1.role: is needed, as account 333333333333 is not the home account 111111111111",
    ],
    [
      "another account without a bucket",
      [sandbox, { ...prod, bucket: undefined }],
      "stages.1.bucket: is needed",
    ],
    [
      "a role of a third account",
      [sandbox, { ...prod, role: "arn:aws:iam::222222222222:role/modelfleet" }],
      "stages.1.role: is of account 222222222222, and the stage is in account 333333333333",
    ],
    [
      "a role that is none",
      [sandbox, { ...prod, role: "modelfleet" }],
      "stages.1.role: the ARN of an IAM role",
    ],
    [
      "an external id without a role",
      [{ ...sandbox, externalId: "fleet-42" }],
      "stages.0.externalId: is given to AssumeRole",
    ],
    [
      "a negative lag",
      [sandbox, { ...prod, lag: "-7d" }],
      "stages.1.lag: a whole number with its unit",
    ],
    ["a lag of years", [sandbox, { ...prod, lag: "400d" }], "at most 365d"],
    [
      "a lag of the first stage",
      [{ ...sandbox, lag: "1h" }, prod],
      "stages.0.lag: no stage is before the first one",
    ],
    [
      "no approval at all",
      [{ ...sandbox, approval: "none" }],
      "stages.0.approval: no stage wants an approval",
    ],
    [
      "unapproved versions behind a stage that wants an approval",
      [sandbox, { ...prod, approval: "none" }],
      'stages.1.approval: "none" takes versions that nobody has approved, and stage "sandbox" before it',
    ],
    ["a misspelt field", [Object.assign({ endpont: "x" }, sandbox)], "stages.0"],
  ])("%s", (_what, stages, issue) => {
    expect(issuesOf(aFleet(stages)).join("\n")).toContain(issue);
  });

  test("eleven stages", () => {
    const more = Array.from({ length: 10 }, (_none, index) => ({
      ...sandbox,
      name: `s${index}`,
    }));
    expect(issuesOf(aFleet([sandbox, ...more]))).toEqual(["stages: at most 10 stages"]);
  });

  test("instances of a serverless stage", () => {
    const declaration = aFleet([{ ...sandbox, instances: 2 }], { endpoint: serverlessEndpoint() });
    expect(issuesOf(declaration)).toEqual([
      "stages.0.instances: serverlessEndpoint(…) has no instances: leave it out",
    ]);
  });
});

test("a fleet of sharded training has stages as any other", () => {
  const stages: Stages = [sandbox, { ...sandbox, name: "prod", approval: "stage" }];
  expect(issuesOf(aFleet(stages, { training: sharded("../training") }))).toEqual([]);
});

test("a stage takes from the worker's settings what it leaves open", () => {
  const home = {
    ...{ account: "111111111111", region: "eu-central-1" },
    ...{ bucket: "home", roleArn: "arn:aws:iam::111111111111:role/sagemaker" },
  };
  expect(placeOfStage(sandbox, home)).toEqual({
    ...{ name: "sandbox", role: null, externalId: null, ...home },
  });
  expect(placeOfStage({ ...prod, externalId: "x1" }, home)).toEqual({
    ...{ name: "prod", account: "333333333333", region: "eu-central-1", bucket: "models-prod" },
    ...{ roleArn: prod.executionRole, role: prod.role, externalId: "x1" },
  });
});

test("the worker's own bucket is no bucket of a stage elsewhere", () => {
  const home = { account: sandbox.account, bucket: prod.bucket };
  expect(() => assertOwnBucket({ ...sandbox, bucket: prod.bucket }, home)).not.toThrow();
  expect(() => assertOwnBucket(sandbox, home)).not.toThrow();
  expect(() => assertOwnBucket(prod, { ...home, bucket: "home" })).not.toThrow();
  expect(() => assertOwnBucket(prod, home)).toThrow(
    'stage "prod" is in account 333333333333, and its bucket models-prod is MODELFLEET_BUCKET of the home account 111111111111',
  );
});

test("the home account is the first stage's, unless the file says otherwise", () => {
  expect(homeAccount({ stages: [sandbox, prod] })).toBe("111111111111");
  expect(homeAccount({ account: "999999999999", stages: [sandbox] })).toBe("999999999999");
});

test("a stage may have other instances than the endpoint declares", () => {
  const endpoint = {
    kind: "multi-model",
    naming: "versioned",
    instanceType: "ml.m5.large",
    instances: 1,
  } as const;
  expect(endpointOfStage(endpoint, { instances: 3 })).toEqual({ ...endpoint, instances: 3 });
  expect(endpointOfStage(endpoint, undefined)).toEqual(endpoint);
});
