/** Policies as they are read and evaluated. */
import { posix } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isPermitted, parsePolicy } from "../../local/sagemaker/iam-policy.js";
import { checkTargetModel } from "../../local/sagemaker/target-model.js";
import { matchesWildcards } from "../../local/sagemaker/wildcards.js";

const endpoint = "arn:aws:sagemaker:us-east-1:111111111111:endpoint/flights-prod";
const invoke = { Effect: "Allow", Action: "sagemaker:InvokeEndpoint", Resource: endpoint };

function permits(statements: object | object[], changes: object = {}, context: object = {}) {
  const policy = parsePolicy({ Version: "2012-10-17", Statement: statements });
  const request = { action: "sagemaker:InvokeEndpoint", resource: endpoint, context, ...changes };
  return isPermitted([policy], request);
}

const target = (targetModel: string) => ({ "sagemaker:TargetModel": targetModel });
const onlyA = { Condition: { StringLike: { "sagemaker:TargetModel": ["a/*", "common/*"] } } };

describe("a policy", () => {
  test.each([
    ["allows what it names", invoke, {}, {}, true],
    ["allows nothing else", invoke, { action: "sagemaker:DeleteEndpoint" }, {}, false],
    ["is about its resource", invoke, { resource: `${endpoint}2` }, {}, false],
    [
      "does not mind the case of actions",
      { ...invoke, Action: "SageMaker:invokeEndpoint" },
      {},
      {},
      true,
    ],
    [
      "minds the case of resources",
      { ...invoke, Resource: endpoint.toUpperCase().replace("ARN:", "arn:") },
      {},
      {},
      false,
    ],
    [
      "knows wildcards",
      { ...invoke, Action: "sagemaker:Invoke*", Resource: "arn:*:endpoint/flights-pro?" },
      {},
      {},
      true,
    ],
    [
      "denies what a statement denies, whatever another allows",
      [invoke, { ...invoke, Effect: "Deny", Action: "*", Resource: "*" }],
      {},
      {},
      false,
    ],
    [
      "allows all but NotAction",
      { Effect: "Allow", NotAction: "sagemaker:Delete*", Resource: "*" },
      {},
      {},
      true,
    ],
    [
      "does not allow NotAction itself",
      { Effect: "Allow", NotAction: "sagemaker:Invoke*", Resource: "*" },
      {},
      {},
      false,
    ],
    [
      "allows all but NotResource",
      { Effect: "Allow", Action: "*", NotResource: endpoint },
      {},
      {},
      false,
    ],
    ["allows a target below its prefix", { ...invoke, ...onlyA }, {}, target("a/v1.tar.gz"), true],
    ["allows a shared target", { ...invoke, ...onlyA }, {}, target("common/v1.tar.gz"), true],
    ["does not allow another's", { ...invoke, ...onlyA }, {}, target("b/v1.tar.gz"), false],
    ["minds the case of a target", { ...invoke, ...onlyA }, {}, target("A/v1.tar.gz"), false],
    ["does not allow a request without the key", { ...invoke, ...onlyA }, {}, {}, false],
    [
      "allows one without the key IfExists",
      { ...invoke, Condition: { StringLikeIfExists: target("a/*") } },
      {},
      {},
      true,
    ],
    [
      "holds the key to it IfExists",
      { ...invoke, Condition: { StringLikeIfExists: target("a/*") } },
      {},
      target("b/1"),
      false,
    ],
    [
      "allows all but StringNotLike",
      { ...invoke, Condition: { StringNotLike: target("secret/*") } },
      {},
      target("a/1"),
      true,
    ],
    [
      "denies with StringNotLike what is not listed",
      [invoke, { ...invoke, Effect: "Deny", Condition: { StringNotLike: target("a/*") } }],
      {},
      target("b/1"),
      false,
    ],
    [
      "denies with StringNotLike also without the key",
      [invoke, { ...invoke, Effect: "Deny", Condition: { StringNotLike: target("a/*") } }],
      {},
      {},
      false,
    ],
    [
      "takes StringEquals literally",
      { ...invoke, Condition: { StringEquals: target("a/*") } },
      {},
      target("a/1"),
      false,
    ],
    [
      "wants all of its conditions",
      {
        ...invoke,
        Condition: { ...onlyA.Condition, StringEquals: { "aws:RequestedRegion": "eu-west-1" } },
      },
      {},
      { ...target("a/1"), "aws:RequestedRegion": "us-east-1" },
      false,
    ],
    [
      "knows who asks",
      { ...invoke, Condition: { ArnLike: { "AWS:principalarn": "arn:aws:iam::*:role/tenant-*" } } },
      {},
      { "aws:PrincipalArn": "arn:aws:iam::111111111111:role/tenant-a" },
      true,
    ],
  ] as const)("%s", (_what, statements, changes, context, allowed) => {
    expect(permits(statements as object, changes, context)).toBe(allowed);
  });

  test("of a session limits the role's own, and adds nothing to it", () => {
    const role = parsePolicy({ Statement: { ...invoke, ...onlyA } });
    const session = parsePolicy({ Statement: { ...invoke, Action: "*", Resource: "*" } });
    const request = { action: "sagemaker:InvokeEndpoint", resource: endpoint };
    expect(isPermitted([role, session], { ...request, context: target("a/1") })).toBe(true);
    expect(isPermitted([role, session], { ...request, context: target("b/1") })).toBe(false);
    expect(isPermitted([], { ...request, context: {} })).toBe(true);
  });
});

describe("a policy is refused", () => {
  test.each([
    ["that is none", "text", /a JSON object with a Statement/],
    ["without a statement", { Version: "2012-10-17" }, /Statement\[0\] is not a JSON object/],
    [
      "with a version of its own",
      { Version: "2020-01-01", Statement: [invoke] },
      /Version is "2020/,
    ],
    ["with a Principal", { Statement: { ...invoke, Principal: "*" } }, /a member "Principal"/],
    ["without an effect", { Statement: { ...invoke, Effect: "allow" } }, /Effect is "allow"/],
    [
      "without an action",
      { Statement: { Effect: "Allow", Resource: "*" } },
      /needs either Action or/,
    ],
    [
      "with a resource that is no ARN",
      { Statement: { ...invoke, Resource: "flights" } },
      /"flights": write an ARN/,
    ],
    [
      "with a key it does not know",
      { Statement: { ...invoke, Condition: { StringLike: { "aws:SourceIp": "*" } } } },
      /the key "aws:SourceIp": there are sagemaker:TargetModel/,
    ],
    [
      "with an operator it does not know",
      { Statement: { ...invoke, Condition: { "ForAnyValue:StringLike": target("a/*") } } },
      /the operator "ForAnyValue:StringLike"/,
    ],
    [
      "with a variable",
      { Statement: { ...invoke, Condition: { StringLike: target("${aws:username}/*") } } },
      /policy variables are not offered/,
    ],
    [
      "with no values",
      { Statement: { ...invoke, Condition: { StringLike: { "sagemaker:TargetModel": [] } } } },
      /is empty/,
    ],
  ])("%s", (_what, document, message) => {
    expect(() => parsePolicy(document)).toThrow(message);
  });
});

describe("wildcards", () => {
  /** What they mean, written down without a thought for time. */
  function means(pattern: string, text: string): boolean {
    if (pattern === "") return text === "";
    const rest = pattern.slice(1);
    if (pattern[0] === "*")
      return means(rest, text) || (text !== "" && means(pattern, text.slice(1)));
    return (
      text !== "" && (pattern[0] === "?" || pattern[0] === text[0]) && means(rest, text.slice(1))
    );
  }

  test("match as their meaning says", () => {
    const some = (letters: string, maxLength: number) =>
      fc.array(fc.constantFrom(...letters), { maxLength }).map((each) => each.join(""));
    fc.assert(
      fc.property(some("ab/*?", 7), some("ab/.", 9), (pattern, text) => {
        expect(matchesWildcards(pattern, text)).toBe(means(pattern, text));
      }),
      { numRuns: 2_000 },
    );
  });

  test("take no longer for a pattern made to take long", () => {
    const before = performance.now();
    expect(matchesWildcards(`${"a*".repeat(500)}b`, "a".repeat(5_000))).toBe(false);
    expect(performance.now() - before).toBeLessThan(2_000);
  });
});

test("no name of a model leads out of the prefix that a policy allows", () => {
  const parts = [
    "a",
    "b",
    "common",
    "A",
    "..",
    ".",
    "/",
    "//",
    "\\",
    "%2e%2e",
    "%2f",
    "%5c",
    "%00",
  ];
  const odd = [
    " ",
    "\t",
    "\n",
    "\u0000",
    "*",
    "?",
    "a/*",
    "\uff0e\uff0e",
    "\u2215",
    "á",
    ":",
    "#",
    ";",
  ];
  const name = fc
    .array(fc.oneof(fc.constantFrom(...parts, ...odd, "/v1.tar.gz"), fc.string({ maxLength: 4 })))
    .map((each) => each.join(""));
  const policy = parsePolicy({ Statement: { ...invoke, ...onlyA } });
  const isUsed = (targetModel: string) => {
    try {
      return checkTargetModel(targetModel) === targetModel;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(
      fc.oneof(
        name,
        name.map((rest) => `a/${rest}`),
      ),
      (targetModel) => {
        const request = { action: "sagemaker:InvokeEndpoint", resource: endpoint };
        const context = target(targetModel);
        if (!isPermitted([policy], { ...request, context }) || !isUsed(targetModel)) return;
        // However a store reads it, the object lies below a prefix that is allowed.
        for (const read of [
          targetModel,
          decodeLeniently(targetModel),
          targetModel.normalize("NFKC"),
        ]) {
          const key = posix.normalize(`models/${read.replaceAll("\\", "/")}`);
          expect(key).toMatch(/^models\/(a|common)\//);
        }
      },
    ),
    { numRuns: 5_000 },
  );
});

function decodeLeniently(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
