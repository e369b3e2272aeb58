/** The little of IAM that the server enforces: passing roles, and policies of model package groups. */
import { parseRole } from "./accounts.js";
import type { Accounts } from "./accounts.js";
import type { Principal } from "./accounts.js";
import { notAuthorized, validationError } from "./errors.js";
import { isList, isMembers } from "./json.js";

/** The caller must be allowed to pass the role, and SageMaker to assume it. */
export function checkPassRole(accounts: Accounts, principal: Principal, roleArn: string): void {
  if (parseRole(roleArn)?.account !== principal.account)
    throw notAuthorized(principal.arn, "iam:PassRole", roleArn);
  if (!accounts.isKnownRole(roleArn))
    throw validationError(
      `Could not assume role ${roleArn}. Please ensure that the role exists and allows principal ` +
        `'sagemaker.amazonaws.com' to assume the role.`,
    );
}

export interface AccessRequest {
  readonly principal: Principal;
  readonly action: string;
  readonly resource: string;
}

/** Does a resource policy (JSON text) allow it? An explicit Deny wins over every Allow. */
export function isAllowedBy(policy: string, request: AccessRequest): boolean {
  const statements = statementsOf(policy).filter((statement) => applies(statement, request));
  return (
    statements.some(({ Effect }) => Effect === "Allow") &&
    !statements.some(({ Effect }) => Effect === "Deny")
  );
}

/** Throws what AWS answers to a policy that is no policy. */
export function checkPolicy(policy: string): void {
  const statements = statementsOf(policy);
  const isComplete = ({ Effect, Principal, Action, Resource }: Record<string, unknown>) =>
    (Effect === "Allow" || Effect === "Deny") &&
    Principal !== undefined &&
    Action !== undefined &&
    Resource !== undefined;
  if (statements.length === 0 || !statements.every(isComplete))
    throw validationError(
      "Invalid resource policy: it must be a JSON document whose statements have Effect, Principal, Action and Resource.",
    );
}

function statementsOf(policy: string): Record<string, unknown>[] {
  try {
    const parsed: unknown = JSON.parse(policy);
    return isMembers(parsed) ? listOf(parsed["Statement"]).filter(isMembers) : [];
  } catch {
    return [];
  }
}

function applies(statement: Record<string, unknown>, request: AccessRequest): boolean {
  return (
    listOf(
      isMembers(statement["Principal"]) ? statement["Principal"]["AWS"] : statement["Principal"],
    )
      .filter((each) => typeof each === "string")
      .some((each) => isPrincipal(each, request.principal)) &&
    matchesAny(statement["Action"], request.action) &&
    matchesAny(statement["Resource"], request.resource)
  );
}

/** An account's root stands for everyone in it; a role for each of its sessions. */
function isPrincipal(allowed: string, principal: Principal): boolean {
  if (allowed === "*" || allowed === principal.account || allowed === principal.arn) return true;
  if (allowed === `arn:aws:iam::${principal.account}:root`) return true;
  const role = parseRole(allowed);
  const name = role?.role.split("/").at(-1) ?? "";
  return (
    role !== undefined &&
    principal.arn.startsWith(`arn:aws:sts::${role.account}:assumed-role/${name}/`)
  );
}

function matchesAny(patterns: unknown, value: string): boolean {
  return listOf(patterns).some(
    (pattern) => typeof pattern === "string" && wildcard(pattern).test(value),
  );
}

/** IAM's wildcards: `*` for any characters, `?` for one. */
function wildcard(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`, "i");
}

const listOf = (value: unknown): readonly unknown[] =>
  isList(value) ? value : value === undefined ? [] : [value];
