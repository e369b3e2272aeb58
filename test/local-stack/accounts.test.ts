import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { mintCredentials } from "../../local/sagemaker/session-credentials.js";
import { parseAccounts, rolesOf } from "../../local/stack/accounts.js";
import { sessionsFile, usersFile } from "../../local/stack/s3-identities.js";

const keys = { accessKeyId: "AKIA", secretAccessKey: "secret" };
const sessionKey = Buffer.alloc(32, 7).toString("base64");
const identities = { userKeys: keys, sagemakerKeys: keys, sessionKey };
const qa = { name: "qa", id: "222222222222" };

describe("the accounts beside the stack's own", () => {
  test("are read from names and ids", () => {
    expect(parseAccounts("qa=222222222222, prod=333333333333")).toEqual([
      qa,
      { name: "prod", id: "333333333333" },
    ]);
  });

  test.each([
    ["qa", '"qa" is no account'],
    ["qa=12", '"qa=12" is no account'],
    ["QA=222222222222", '"QA=222222222222" is no account'],
    ["", '"" is no account'],
    ["qa=111111111111", "111111111111 is the stack's own account"],
    ["qa=222222222222,qa=333333333333", "qa stands twice"],
    ["qa=222222222222,prod=222222222222", "222222222222 stands twice"],
  ])("%j is refused", (text, because) => {
    expect(() => parseAccounts(text)).toThrow(because);
  });

  test("let the stack's own account in with their external id, and SageMaker without", () => {
    expect(rolesOf(qa).map(({ trust }) => trust.Statement)).toMatchObject([
      [{ Condition: { StringEquals: { "sts:ExternalId": "modelfleet-qa" } } }],
      [{ Principal: { Service: "sagemaker.amazonaws.com" } }],
    ]);
  });
});

describe("at the S3 server", () => {
  test("a stack of one account has nobody to keep apart", () => {
    expect(usersFile({ ...identities, accounts: [] })).toMatchObject({
      identities: [{ name: "user", actions: ["Admin"] }, { name: "sagemaker" }],
    });
  });

  test("with others the person is kept from their buckets, and they from all but their own", () => {
    expect(usersFile({ ...identities, accounts: [qa] })).toMatchObject({
      identities: [{ name: "user", policyNames: ["account-111111111111"] }, {}],
    });
    expect(sessionsFile({ ...identities, accounts: [qa] })).toMatchObject({
      sts: { signingKey: sessionKey },
      policies: [
        {
          name: "account-111111111111",
          document: {
            Statement: [
              { Effect: "Allow", Resource: ["arn:aws:s3:::*"] },
              { Effect: "Deny", Resource: ["arn:aws:s3:::modelfleet-222222222222*"] },
            ],
          },
        },
        {
          name: "account-222222222222",
          document: {
            Statement: [{ Effect: "Allow", Resource: ["arn:aws:s3:::modelfleet-222222222222*"] }],
          },
        },
      ],
    });
  });

  test("a session is told by its token, which the server's key has signed", () => {
    const session = { account: qa.id, role: "stages/modelfleet-stage", sessionName: "worker" };
    const { accessKeyId, secretAccessKey, sessionToken } = mintCredentials(sessionKey, session, 60);
    const [head, claims, signature] = sessionToken.split(".");
    const key = Buffer.from(sessionKey, "base64");
    expect(createHmac("sha256", key).update(`${head}.${claims}`).digest("base64url")).toBe(
      signature,
    );
    const told = JSON.parse(Buffer.from(claims ?? "", "base64url").toString()) as {
      sid: string;
    };
    expect(told).toMatchObject({
      sub: qa.id,
      role: `arn:aws:iam::${qa.id}:role/stages/modelfleet-stage`,
      pol: [`account-${qa.id}`],
    });
    expect(accessKeyId).toMatch(/^ASIA[0-9a-f]{16}$/);
    const derived = createHmac("sha256", key).update(`secret-key:${told.sid}`).digest("base64");
    expect(secretAccessKey).toBe(derived);
  });
});
