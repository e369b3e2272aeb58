/** The part of IAM that the server enforces: policies of users and roles, passing roles, policies of model package groups. */
import { parseRole } from "./role-arns.js";
import type { Accounts } from "./accounts.js";
import type { Principal } from "./accounts.js";
import { notAuthorized, validationError } from "./errors.js";
import { isPermitted } from "./iam-policy.js";
import { isList, isMembers } from "./json.js";
import { trustsSageMaker } from "./trust-policy.js";
import { matchesWildcards } from "./wildcards.js";

export interface Wanted {
  readonly action: string;
  readonly resource: string;
  readonly region?: string | undefined;
  /** Of an invocation: the very string that is used afterwards. */
  readonly targetModel?: string | undefined;
  /** Of a role that is passed. */
  readonly passedToService?: string;
}

/** Throws AccessDeniedException when a policy of the principal does not allow it. */
export function authorize(principal: Principal, wanted: Wanted): void {
  if (!isAuthorized(principal, wanted))
    throw notAuthorized(principal.arn, wanted.action, wanted.resource);
}

/** A principal without policies may do everything in its account. */
export function isAuthorized(principal: Principal, wanted: Wanted): boolean {
  const { policies, account, identityArn, userId } = principal;
  const { action, resource, region, targetModel, passedToService } = wanted;
  const userName = /:user\/(?:.*\/)?([^/]+)$/.exec(identityArn)?.[1];
  const context = {
    "aws:PrincipalArn": identityArn,
    "aws:PrincipalAccount": account,
    "aws:userid": userId,
    ...(userName !== undefined && { "aws:username": userName }),
    ...(region !== undefined && { "aws:RequestedRegion": region }),
    ...(targetModel !== undefined && { "sagemaker:TargetModel": targetModel }),
    ...(passedToService !== undefined && { "iam:PassedToService": passedToService }),
  };
  return isPermitted(policies, { action, resource, context });
}

/** The caller must be allowed to pass the role, and SageMaker to assume it. */
export function checkPassRole(accounts: Accounts, principal: Principal, roleArn: string): void {
  if (parseRole(roleArn)?.account !== principal.account)
    throw notAuthorized(principal.arn, "iam:PassRole", roleArn);
  const passedToService = "sagemaker.amazonaws.com";
  authorize(principal, { action: "iam:PassRole", resource: roleArn, passedToService });
  const trust = accounts.trustOf(roleArn);
  if (!accounts.isKnownRole(roleArn) || (trust !== undefined && !trustsSageMaker(trust)))
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
export function isPrincipal(allowed: string, principal: Principal): boolean {
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
    (pattern) =>
      typeof pattern === "string" && matchesWildcards(pattern.toLowerCase(), value.toLowerCase()),
  );
}

const listOf = (value: unknown): readonly unknown[] =>
  isList(value) ? value : value === undefined ? [] : [value];
