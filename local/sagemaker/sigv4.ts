/** Proves who sent a request: signs it again with the sender's secret and compares. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Sha256 } from "@smithy/core/checksum";
import { SignatureV4 } from "@smithy/signature-v4";
import type { AccessKey, Accounts, Principal } from "./accounts.js";
import { AwsError } from "./errors.js";

/** AWS: a signature is good for five minutes either way. */
const clockSkewMs = 5 * 60 * 1000;

export interface Sender {
  readonly principal: Principal;
  readonly region: string;
}

/** Throws the error that AWS answers to missing, unknown, expired or wrong credentials. */
export async function authenticate(
  accounts: Accounts,
  request: IncomingMessage,
  body: Buffer,
  service: string,
): Promise<Sender> {
  const claim = parseAuthorization(request);
  if (claim.service !== service)
    throw invalidSignature(`Credential should be scoped to correct service: '${service}'.`);
  const key = await accounts.findKey(claim.accessKeyId);
  if (key === undefined)
    throw new AwsError(
      "UnrecognizedClientException",
      "The security token included in the request is invalid.",
    );
  checkSession(key, header(request, "x-amz-security-token"));
  const signature = await sign(request, body, claim, key);
  if (!timingSafeEqual(digest(signature), digest(claim.signature)))
    throw invalidSignature(
      "The request signature we calculated does not match the signature you provided. " +
        "Check your AWS Secret Access Key and signing method.",
    );
  return { principal: key.principal, region: claim.region };
}

interface Claim {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly signingDate: Date;
}

function parseAuthorization(request: IncomingMessage): Claim {
  const authorization = header(request, "authorization");
  if (authorization === undefined)
    throw new AwsError("MissingAuthenticationTokenException", "Missing Authentication Token");
  const match =
    /^AWS4-HMAC-SHA256\s+Credential=([^/\s,]+)\/(\d{8})\/([^/\s,]+)\/([^/\s,]+)\/aws4_request,\s*SignedHeaders=([^\s,]+),\s*Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (match === null)
    throw new AwsError(
      "IncompleteSignatureException",
      "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' of AWS4-HMAC-SHA256.",
    );
  const [, accessKeyId = "", date = "", region = "", service = "", headers = "", signature = ""] =
    match;
  if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(region))
    throw invalidSignature(`Credential should be scoped to a valid region, not '${region}'.`);
  const signingDate = parseDate(header(request, "x-amz-date"), date);
  return {
    ...{ accessKeyId, date, region, service, signature, signingDate },
    signedHeaders: headers.split(";"),
  };
}

function parseDate(value: string | undefined, scopeDate: string): Date {
  const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(value ?? "");
  if (value === undefined || match === null || !value.startsWith(scopeDate))
    throw invalidSignature("Date in Credential scope does not match YYYYMMDD from X-Amz-Date.");
  const [, year, month, day, hour, minute, second] = match.map(Number);
  const time = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second);
  if (Math.abs(Date.now() - time) > clockSkewMs)
    throw invalidSignature(
      `Signature expired: ${value} is not within 5 minutes of this server's time.`,
    );
  return new Date(time);
}

function checkSession(key: AccessKey, token: string | undefined): void {
  if (key.session === undefined) return;
  if (token !== key.session.token)
    throw new AwsError(
      "UnrecognizedClientException",
      "The security token included in the request is invalid.",
    );
  if (key.session.expiresAt * 1000 <= Date.now())
    throw new AwsError(
      "ExpiredTokenException",
      "The security token included in the request is expired",
    );
}

async function sign(
  request: IncomingMessage,
  body: Buffer,
  claim: Claim,
  key: AccessKey,
): Promise<string> {
  const declared = header(request, "x-amz-content-sha256");
  if (declared !== undefined && declared !== createHash("sha256").update(body).digest("hex"))
    throw invalidSignature("The value of x-amz-content-sha256 is not the hash of the body.");
  const signer = new SignatureV4({
    credentials: { accessKeyId: claim.accessKeyId, secretAccessKey: key.secretAccessKey },
    region: claim.region,
    service: claim.service,
    sha256: Sha256,
    applyChecksum: false,
  });
  const url = new URL(request.url ?? "/", "http://localhost");
  const signed = await signer.sign(
    {
      method: request.method ?? "POST",
      protocol: "http:",
      hostname: "localhost",
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: headersOf(request, claim.signedHeaders),
      body,
    },
    { signingDate: claim.signingDate, signableHeaders: new Set(claim.signedHeaders) },
  );
  return /Signature=([0-9a-f]+)$/.exec(signed.headers["authorization"] ?? "")?.[1] ?? "";
}

function headersOf(request: IncomingMessage, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, header(request, name) ?? ""]));
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

const digest = (text: string) => createHash("sha256").update(text).digest();

const invalidSignature = (message: string) => new AwsError("InvalidSignatureException", message);
