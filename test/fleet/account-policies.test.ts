import { describe, expect, test } from "vitest";
import {
  homeBucketStatement,
  mergePolicy,
  packageGroupStatement,
  type RemoteStage,
} from "../../fleet/account-policies.js";

const prod: RemoteStage = {
  name: "prod",
  account: "333333333333",
  role: "arn:aws:iam::333333333333:role/modelfleet-stage",
};
const home = { fleet: "flight-delays", bucket: "models" };
const statement = homeBucketStatement(home, prod);

const theirs = {
  Sid: "Audit",
  Effect: "Allow",
  Principal: { AWS: "arn:aws:iam::999999999999:root" },
  Action: "s3:GetObject",
  Resource: "arn:aws:s3:::models/*",
};
const policyOf = (...Statement: object[]) =>
  JSON.stringify({ Version: "2012-10-17", Id: "hers", Statement });
const statementsOf = (policy: string) =>
  (JSON.parse(policy) as { Statement: { Sid: string }[] }).Statement;

describe("what a stage may do in the home account", () => {
  test("is read models and code, not the rows that they were trained on", () => {
    expect(statement).toMatchObject({
      Principal: { AWS: [prod.role] },
      Action: ["s3:GetObject", "s3:GetObjectTagging"],
      Resource: [
        "arn:aws:s3:::models/fleets/flight-delays/code/*",
        "arn:aws:s3:::models/fleets/flight-delays/cycles/*.tar.gz",
      ],
    });
  });

  test("is read the versions of a model package group", () => {
    const groupArn = "arn:aws:sagemaker:eu-west-1:111111111111:model-package-group/f--xna";
    expect(packageGroupStatement({ fleet: "f", groupArn }, prod)).toMatchObject({
      Principal: { AWS: ["arn:aws:iam::333333333333:root"] },
      Resource: [groupArn, "arn:aws:sagemaker:eu-west-1:111111111111:model-package/f--xna/*"],
    });
  });

  test("is told apart by fleet and stage, in letters and digits", () => {
    const sids = [
      ["a-1b", "qa"],
      ["a1b", "qa"],
      ["a", "qa"],
    ].map(
      ([fleet = "", name = ""]) => homeBucketStatement({ ...home, fleet }, { ...prod, name }).Sid,
    );
    expect(new Set(sids).size).toBe(3);
    for (const sid of sids) expect(sid).toMatch(/^Modelfleet[A-Za-z0-9]+$/);
  });
});

describe("a policy", () => {
  test("that is not there gets our statements", () => {
    const change = mergePolicy(undefined, [statement]);
    expect(change).toMatchObject({ adds: [statement.Sid], replaces: [] });
    expect(statementsOf(change?.policy ?? "")).toEqual([statement]);
  });

  test("keeps what others wrote into it", () => {
    const change = mergePolicy(policyOf(theirs), [statement]);
    expect(JSON.parse(change?.policy ?? "")).toEqual({
      Version: "2012-10-17",
      Id: "hers",
      Statement: [theirs, statement],
    });
  });

  test("that says it already is left, however AWS has written it", () => {
    const rewritten = {
      ...statement,
      Principal: { AWS: statement.Principal.AWS[0] },
      Action: [...statement.Action].reverse(),
    };
    expect(mergePolicy(policyOf(theirs, rewritten), [statement])).toBeUndefined();
  });

  test("whose statement of ours was widened gets it back as it must be", () => {
    const wide = { ...statement, Action: "s3:*" };
    const change = mergePolicy(policyOf(wide, theirs), [statement]);
    expect(change).toMatchObject({ adds: [], replaces: [statement.Sid] });
    expect(statementsOf(change?.policy ?? "")).toEqual([statement, theirs]);
  });

  test("keeps our statements of other fleets", () => {
    const other = homeBucketStatement({ ...home, fleet: "churn" }, prod);
    const change = mergePolicy(policyOf(other), [statement]);
    expect(statementsOf(change?.policy ?? "").map(({ Sid }) => Sid)).toEqual([
      other.Sid,
      statement.Sid,
    ]);
  });
});
