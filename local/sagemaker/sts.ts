/** STS: who am I, and temporary credentials of a role. */
import type { Accounts, Principal } from "./accounts.js";
import { rolePrincipal } from "./accounts.js";
import { parseRole } from "./role-arns.js";
import type { CallCounts } from "./call-counts.js";
import { AwsError } from "./errors.js";
import type { FaultInjector } from "./faults.js";
import { isAuthorized, isPrincipal } from "./iam.js";
import { parsePolicy } from "./iam-policy.js";
import type { Policies } from "./policies.js";
import type { ServiceModel } from "./model.js";
import { decodeForm, toXml } from "./query-protocol.js";
import type { Xml } from "./query-protocol.js";
import { authenticate } from "./sigv4.js";
import { isTrusted } from "./trust-policy.js";
import { validate } from "./validate.js";
import { send } from "./wire.js";
import type { Exchange } from "./wire.js";

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
const defaultDurationSeconds = 3600;

export interface Sts {
  readonly accounts: Accounts;
  readonly model: ServiceModel;
  readonly counts: CallCounts;
  readonly policies: Pick<Policies, "of">;
  readonly faults: Pick<FaultInjector, "current">;
}

/** Throws AwsError, which `answerStsError` lays out. */
export async function answerSts(sts: Sts, exchange: Exchange): Promise<void> {
  const { accounts, model, counts } = sts;
  const { principal } = await authenticate(accounts, exchange.request, exchange.body, "sts");
  const form = new URLSearchParams(exchange.body.toString("utf8"));
  const operation = form.get("Action") ?? "";
  switch (operation) {
    case "GetCallerIdentity": {
      const { userId, account, arn } = principal;
      await counts.record(operation, "");
      return answer(exchange, operation, { UserId: userId, Account: account, Arn: arn });
    }
    case "AssumeRole": {
      const request = checkRequest(model, form);
      const assumed = await assumeRole(sts, principal, request);
      await counts.record(operation, request.roleArn);
      return answer(exchange, operation, assumed);
    }
    default:
      throw new AwsError(
        "InvalidAction",
        `The local STS offers GetCallerIdentity and AssumeRole, not ${operation || "no Action at all"}.`,
      );
  }
}

/** STS has older names for the errors that all services share, and answers 403 with them. */
const credentialErrors: Readonly<Record<string, string>> = {
  MissingAuthenticationTokenException: "MissingAuthenticationToken",
  IncompleteSignatureException: "IncompleteSignature",
  UnrecognizedClientException: "InvalidClientTokenId",
  InvalidSignatureException: "SignatureDoesNotMatch",
  ExpiredTokenException: "ExpiredToken",
};

export function answerStsError({ response, requestId }: Exchange, error: AwsError): void {
  const Type = error.status < 500 ? "Sender" : "Receiver";
  const Code = credentialErrors[error.code] ?? error.code;
  const status = Code === error.code ? error.status : 403;
  const body = toXml({ Error: { Type, Code, Message: error.message } });
  const text = `<ErrorResponse xmlns="${namespace}">${body}<RequestId>${requestId}</RequestId></ErrorResponse>`;
  send(response, status, requestId, { "content-type": "text/xml" }, text);
}

interface AssumeRoleRequest {
  readonly roleArn: string;
  readonly sessionName: string;
  readonly durationSeconds: number;
  readonly externalId: string | undefined;
  readonly policy: unknown;
}

/** STS has a code of its own for what the control plane calls ValidationException. */
function checkRequest(model: ServiceModel, form: URLSearchParams): AssumeRoleRequest {
  try {
    const request = decodeForm(model, "AssumeRoleRequest", form);
    const checked = validate(model, "AssumeRoleRequest", request);
    const { RoleArn, RoleSessionName, DurationSeconds, ExternalId, Policy, PolicyArns } = checked;
    if (PolicyArns !== undefined)
      throw new AwsError(
        "ValidationError",
        "The local STS has no managed policies: give the session's policy itself in Policy.",
      );
    return {
      roleArn: String(RoleArn),
      sessionName: String(RoleSessionName),
      durationSeconds: Number(DurationSeconds ?? defaultDurationSeconds),
      externalId: typeof ExternalId === "string" ? ExternalId : undefined,
      policy: readPolicy(Policy),
    };
  } catch (error) {
    const codes = ["ValidationException", "SerializationException"];
    if (error instanceof AwsError && codes.includes(error.code))
      throw new AwsError("ValidationError", error.message);
    throw error;
  }
}

function readPolicy(text: unknown): unknown {
  if (typeof text !== "string") return undefined;
  try {
    const policy: unknown = JSON.parse(text);
    parsePolicy(policy);
    return policy;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AwsError("MalformedPolicyDocument", `The session policy is refused: ${reason}.`);
  }
}

async function assumeRole(
  { accounts, policies, faults }: Sts,
  principal: Principal,
  { roleArn, sessionName, durationSeconds, externalId, policy }: AssumeRoleRequest,
): Promise<Xml> {
  const role = parseRole(roleArn);
  if (role === undefined) throw new AwsError("ValidationError", `${roleArn} is invalid`);
  const wanted = { action: "sts:AssumeRole", resource: roleArn };
  const trust = accounts.trustOf(roleArn);
  const isLetIn =
    trust === undefined || isTrusted(trust, (each) => isPrincipal(each, principal), externalId);
  // A role that is not there, one that does not trust the caller, and a wrong external id: AWS tells them alike.
  if (!accounts.isKnownRole(roleArn) || !isLetIn || !isAuthorized(principal, wanted))
    throw new AwsError(
      "AccessDenied",
      `User: ${principal.arn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`,
      403,
    );
  const isChained = principal.arn.includes(":assumed-role/");
  if (isChained && durationSeconds > defaultDurationSeconds)
    throw new AwsError(
      "ValidationError",
      "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
    );
  const session = { ...role, sessionName, policy };
  const { sessionSeconds = durationSeconds } = faults.current();
  const minted = await accounts.mint(session, Math.min(durationSeconds, sessionSeconds));
  const assumed = rolePrincipal(policies, session);
  return {
    Credentials: {
      AccessKeyId: minted.accessKeyId,
      SecretAccessKey: minted.secretAccessKey,
      SessionToken: minted.sessionToken,
      Expiration: new Date(minted.expiresAt * 1000).toISOString(),
    },
    AssumedRoleUser: { Arn: assumed.arn, AssumedRoleId: assumed.userId },
  };
}

function answer({ response, requestId }: Exchange, operation: string, result: Xml): void {
  const body = toXml({
    [`${operation}Result`]: result,
    ResponseMetadata: { RequestId: requestId },
  });
  const text = `<${operation}Response xmlns="${namespace}">${body}</${operation}Response>`;
  send(response, 200, requestId, { "content-type": "text/xml" }, text);
}
