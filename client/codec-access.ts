/** Who may have payloads decoded: whoever has the token, or an access token of the web UI that names a known person. */
import { createHash, timingSafeEqual } from "node:crypto";
import { createRemoteJWKSet, jwtVerify } from "jose";

/** Who asks, as the log shows it; undefined for nobody that may. */
export type Access = (authorization: string | undefined) => Promise<string | undefined>;

export interface AccessTokens {
  /** Where the issuer publishes the keys that it signs with. */
  readonly jwksUrl: URL;
  readonly issuer: string;
  /** The claim that holds the person's e-mail address. */
  readonly claim: string;
  /** Those addresses that may read. A token that is merely genuine is anybody's who has an account there. */
  readonly users: readonly string[];
}

/** Asymmetric only: with a public key as its secret, an HMAC would be anybody's to make. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"];

/** Access by bearer token, by access token, or by either. */
export function accessBy(means: {
  readonly token: string | undefined;
  readonly accessTokens: AccessTokens | undefined;
}): Access {
  const { token, accessTokens } = means;
  const jwks = accessTokens === undefined ? undefined : createRemoteJWKSet(accessTokens.jwksUrl);
  return async (authorization) => {
    const bearer = /^Bearer (\S+)$/.exec(authorization ?? "")?.[1];
    if (bearer === undefined) return undefined;
    if (token !== undefined && isSame(bearer, token)) return "the token";
    if (accessTokens === undefined || jwks === undefined) return undefined;
    const { issuer, claim, users } = accessTokens;
    const verified = await jwtVerify(bearer, jwks, {
      issuer,
      algorithms: ALGORITHMS,
      requiredClaims: ["exp", claim],
    }).catch(() => undefined);
    const user = verified?.payload[claim];
    return users.find((known) => typeof user === "string" && isSameAddress(known, user));
  };
}

/** In the same time however much of it is right. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

const isSameAddress = (one: string, another: string): boolean =>
  one.toLowerCase() === another.toLowerCase();
