/**
 * Identity policies: read strictly, since what is not understood could allow too much, and evaluated as
 * IAM does (IAM User Guide, reference_policies_evaluation-logic): an explicit Deny wins over every Allow,
 * and what no statement allows is denied.
 */
import { isList, isMembers } from "./json.js";
import type { Members } from "./json.js";
import { matchesWildcards } from "./wildcards.js";

export interface Policy {
  readonly statements: readonly Statement[];
}

interface Statement {
  readonly effect: "Allow" | "Deny";
  readonly actions: Patterns;
  readonly resources: Patterns;
  readonly conditions: readonly Condition[];
}

/** Action or NotAction, Resource or NotResource. */
interface Patterns {
  readonly patterns: readonly string[];
  readonly isNegated: boolean;
}

interface Condition {
  readonly operator: string;
  readonly ifExists: boolean;
  readonly key: ConditionKey;
  readonly values: readonly string[];
}

/** What a policy is asked. */
export interface PolicyRequest {
  readonly action: string;
  readonly resource: string;
  readonly context: Readonly<Partial<Record<ConditionKey, string>>>;
}

const conditionKeys = [
  "sagemaker:TargetModel",
  "aws:PrincipalArn",
  "aws:PrincipalAccount",
  "aws:RequestedRegion",
  "aws:userid",
  "aws:username",
  "iam:PassedToService",
] as const;
export type ConditionKey = (typeof conditionKeys)[number];

type Match = (pattern: string, value: string) => boolean;

const equals: Match = (pattern, value) => pattern === value;
const equalsIgnoringCase: Match = (pattern, value) => pattern.toLowerCase() === value.toLowerCase();

/** ARNs match part by part: a `*` reaches no further than the next colon. */
const arnLike: Match = (pattern, value) => {
  const [patterns, parts] = [pattern, value].map((arn) => splitArn(arn));
  if (patterns === undefined || parts?.length !== patterns.length) return false;
  return patterns.every((each, index) => matchesWildcards(each, parts[index] ?? ""));
};

function splitArn(arn: string): string[] {
  const parts = arn.split(":");
  return [...parts.slice(0, 5), parts.slice(5).join(":")];
}

const operators: Readonly<Record<string, { readonly match: Match; readonly isNegated: boolean }>> =
  {
    StringEquals: { match: equals, isNegated: false },
    StringNotEquals: { match: equals, isNegated: true },
    StringEqualsIgnoreCase: { match: equalsIgnoringCase, isNegated: false },
    StringNotEqualsIgnoreCase: { match: equalsIgnoringCase, isNegated: true },
    StringLike: { match: matchesWildcards, isNegated: false },
    StringNotLike: { match: matchesWildcards, isNegated: true },
    ArnEquals: { match: arnLike, isNegated: false },
    ArnNotEquals: { match: arnLike, isNegated: true },
    ArnLike: { match: arnLike, isNegated: false },
    ArnNotLike: { match: arnLike, isNegated: true },
  };

/** Do all of the policies allow it? Without any, everything is allowed. */
export function isPermitted(policies: readonly Policy[], request: PolicyRequest): boolean {
  return policies.every(({ statements }) => {
    const applying = statements.filter((statement) => applies(statement, request));
    return (
      applying.some(({ effect }) => effect === "Allow") &&
      !applying.some(({ effect }) => effect === "Deny")
    );
  });
}

function applies({ actions, resources, conditions }: Statement, request: PolicyRequest): boolean {
  // Actions are the one part of a policy whose case does not matter.
  const action = request.action.toLowerCase();
  return (
    actions.patterns.some((each) => matchesWildcards(each.toLowerCase(), action)) !==
      actions.isNegated &&
    resources.patterns.some((each) => matchesWildcards(each, request.resource)) !==
      resources.isNegated &&
    conditions.every((condition) => holds(condition, request.context[condition.key]))
  );
}

/** A key that the request does not have: positive operators fail, negated ones and …IfExists hold. */
function holds({ operator, ifExists, values }: Condition, value: string | undefined): boolean {
  const { match, isNegated } = operators[operator] ?? { match: equals, isNegated: false };
  if (value === undefined) return ifExists || isNegated;
  return values.some((each) => match(each, value)) !== isNegated;
}

/** Throws an Error that says what in the document is not offered, or no policy at all. */
export function parsePolicy(document: unknown): Policy {
  if (!isMembers(document)) throw new Error("a policy is a JSON object with a Statement");
  checkMembers("the policy", document, ["Version", "Id", "Statement"]);
  const version = document["Version"];
  if (version !== undefined && version !== "2012-10-17" && version !== "2008-10-17")
    throw new Error(`Version is ${shown(version)}: write "2012-10-17"`);
  const statements = isList(document["Statement"])
    ? document["Statement"]
    : [document["Statement"]];
  if (statements.length === 0) throw new Error("Statement is empty: a policy needs at least one");
  return {
    statements: statements.map((each, index) => parseStatement(each, `Statement[${index}]`)),
  };
}

const statementMembers = [
  "Sid",
  "Effect",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
  "Condition",
];

function parseStatement(statement: unknown, place: string): Statement {
  if (!isMembers(statement)) throw new Error(`${place} is not a JSON object`);
  checkMembers(place, statement, statementMembers);
  const { Effect: effect } = statement;
  if (effect !== "Allow" && effect !== "Deny")
    throw new Error(`${place}.Effect is ${shown(effect)}: write "Allow" or "Deny"`);
  return {
    effect,
    actions: parsePatterns(statement, "Action", place, /^(\*|[a-z0-9-]+:[a-z0-9*?]+)$/i),
    resources: parsePatterns(statement, "Resource", place, /^(\*|arn:.*)$/s),
    conditions: parseConditions(statement["Condition"], `${place}.Condition`),
  };
}

function parsePatterns(statement: Members, name: string, place: string, form: RegExp): Patterns {
  const negated = `Not${name}`;
  const isNegated = statement[negated] !== undefined;
  if (isNegated === (statement[name] !== undefined))
    throw new Error(`${place} needs either ${name} or ${negated}`);
  const member = isNegated ? negated : name;
  const patterns = parseStrings(statement[member], `${place}.${member}`);
  const odd = patterns.find((pattern) => !form.test(pattern));
  if (odd !== undefined)
    throw new Error(
      `${place}.${member} holds ${shown(odd)}: write ${name === "Action" ? '"service:Action"' : "an ARN"} or "*"`,
    );
  return { patterns, isNegated };
}

function parseConditions(conditions: unknown, place: string): Condition[] {
  if (conditions === undefined) return [];
  if (!isMembers(conditions)) throw new Error(`${place} is not a JSON object`);
  return Object.entries(conditions).flatMap(([name, keys]) => {
    const ifExists = name.endsWith("IfExists");
    const operator = ifExists ? name.slice(0, -"IfExists".length) : name;
    if (!Object.hasOwn(operators, operator))
      throw new Error(
        `${place} uses the operator ${shown(name)}: there are ${Object.keys(operators).join(", ")}, each also with IfExists`,
      );
    if (!isMembers(keys)) throw new Error(`${place}.${name} is not a JSON object`);
    return Object.entries(keys).map(([key, values]) => ({
      ...{ operator, ifExists, key: parseKey(key, `${place}.${name}`) },
      values: parseStrings(values, `${place}.${name}.${key}`),
    }));
  });
}

/** Names of keys are the same in any case. */
function parseKey(name: string, place: string): ConditionKey {
  const key = conditionKeys.find((each) => each.toLowerCase() === name.toLowerCase());
  if (key !== undefined) return key;
  throw new Error(`${place} uses the key ${shown(name)}: there are ${conditionKeys.join(", ")}`);
}

function parseStrings(value: unknown, place: string): string[] {
  const list = isList(value) ? value : [value];
  if (list.length === 0) throw new Error(`${place} is empty`);
  return list.map((each) => {
    if (typeof each !== "string" || each === "")
      throw new Error(`${place} holds ${shown(each)}: write a text that is not empty`);
    if (each.includes("${"))
      throw new Error(`${place} holds ${shown(each)}: policy variables are not offered`);
    return each;
  });
}

function checkMembers(place: string, members: Members, known: readonly string[]): void {
  const unknown = Object.keys(members).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`${place} has a member ${shown(unknown)}: there are ${known.join(", ")}`);
}

const shown = (value: unknown): string => JSON.stringify(value) ?? "missing";
