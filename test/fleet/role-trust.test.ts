import { expect, test } from "vitest";
import { policyDocument } from "../../fleet/policy-document.js";
import { executionRoleTrust } from "../../fleet/role-policies.js";
import { trustProblem } from "../../fleet/role-trust.js";

const account = "111111111111";
const statement = (more: object) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Action: "sts:AssumeRole",
        Principal: { Service: "sagemaker.amazonaws.com" },
        ...more,
      },
    ],
  });

test.each([
  ["what we print", JSON.stringify(executionRoleTrust({ account }))],
  ["no condition", statement({})],
  [
    "several services, one of them ours",
    statement({ Principal: { Service: ["a", "sagemaker.amazonaws.com"] } }),
  ],
  ["one statement that is no list", statement({}).replace("[", "").replace("]", "")],
  [
    "the account among others",
    statement({ Condition: { StringEquals: { "AWS:SourceAccount": ["222222222222", account] } } }),
  ],
])("SageMaker may assume a role with %s", (_, document) => {
  expect(trustProblem(document, account)).toBeUndefined();
});

test.each([
  ["another service", statement({ Principal: { Service: "ec2.amazonaws.com" } })],
  ["an account in place of a service", statement({ Principal: { AWS: "*" } })],
  ["a denial", statement({ Effect: "Deny" })],
  ["another action", statement({ Action: "sts:TagSession" })],
  ["no statement", JSON.stringify(policyDocument())],
  ["no JSON", "{"],
])("it may not with %s", (_, document) => {
  expect(trustProblem(document, account)).toBe("does not let sagemaker.amazonaws.com assume it");
});

test("a role for another account's jobs says for whose", () => {
  const document = JSON.stringify(executionRoleTrust({ account: "222222222222" }));
  expect(trustProblem(document, account)).toBe(
    "lets SageMaker assume it for account 222222222222 only, not for 111111111111",
  );
});
