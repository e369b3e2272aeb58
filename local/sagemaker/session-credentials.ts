/**
 * Temporary credentials that the S3 gateway knows too. SeaweedFS keeps no sessions: their token is a JWT that it
 * checks, and both keys follow from the token's session id (weed/iam/sts, token_utils.go, as of 4.48).
 */
import { createHash, createHmac, randomBytes } from "node:crypto";
import type { ServerConfig } from "./config.schema.js";
import { parseRole, roleArn } from "./role-arns.js";

/** Who signs the tokens; the gateway is told the same. */
export const SESSION_ISSUER = "modelfleet-local";

/** The gateway's policy with which every session of an account begins. */
export const accountPolicyName = (account: string): string => `account-${account}`;

export interface RoleSession {
  readonly account: string;
  readonly role: string;
  readonly sessionName: string;
  /** What the session is limited to, beside the role's own policy. */
  readonly policy?: unknown;
}

export interface MintedCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

/** `sessionKey` is the gateway's, in base64. */
export function mintCredentials(
  sessionKey: string,
  session: RoleSession,
  durationSeconds: number,
): MintedCredentials {
  const key = Buffer.from(sessionKey, "base64");
  const sessionId = randomBytes(16).toString("hex");
  const expiresAt = Date.now() / 1000 + durationSeconds;
  const accessKey = createHash("sha256").update(`access-key:${sessionId}`).digest();
  return {
    accessKeyId: `ASIA${accessKey.toString("hex", 0, 8)}`,
    secretAccessKey: createHmac("sha256", key).update(`secret-key:${sessionId}`).digest("base64"),
    sessionToken: signToken(key, claimsOf(session, sessionId, expiresAt)),
    expiresAt,
  };
}

/** What a job or an endpoint has that runs as the role. */
export function mintForRole(
  sessionKey: string,
  arn: string,
  durationSeconds: number,
): MintedCredentials {
  const { account = "", role = "" } = parseRole(arn) ?? {};
  return mintCredentials(sessionKey, { account, role, sessionName: "SageMaker" }, durationSeconds);
}

/** Longer than any job may run: what its container is given is not renewed. */
const containerSeconds = 30 * 24 * 60 * 60;

/** What a job's container finds in its environment to reach S3 as its role. */
export function containerKeys(
  { accessKeyId, secretAccessKey, sessionKey }: ServerConfig["s3"],
  arn: string | undefined,
): Record<string, string> {
  if (sessionKey === undefined || arn === undefined)
    return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const minted = mintForRole(sessionKey, arn, containerSeconds);
  return {
    AWS_ACCESS_KEY_ID: minted.accessKeyId,
    AWS_SECRET_ACCESS_KEY: minted.secretAccessKey,
    AWS_SESSION_TOKEN: minted.sessionToken,
  };
}

function claimsOf(session: RoleSession, sessionId: string, expiresAt: number) {
  const { account, role, sessionName, policy } = session;
  const arn = roleArn(account, role);
  const issuedAt = Math.floor(Date.now() / 1000);
  return {
    iss: SESSION_ISSUER,
    // The account: what the gateway makes the owner of what the session writes.
    sub: account,
    ...{ iat: issuedAt, nbf: issuedAt - 1, exp: Math.ceil(expiresAt) },
    ...{ jti: sessionId, sid: sessionId, snam: sessionName, typ: "session" },
    // Bucket policies name roles. The gateway compares texts, so the session bears its role's name, not its own.
    ...{ role: arn, principal: arn, assumed: `${role}:${sessionName}` },
    pol: [accountPolicyName(account)],
    ...(policy !== undefined && { spol: JSON.stringify(policy) }),
    assumed_at: new Date(issuedAt * 1000).toISOString(),
  };
}

/** JWT, RFC 7519, with HS256. */
function signToken(key: Buffer, claims: object): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}
