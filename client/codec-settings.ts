/** What the codec server needs to know, read once and refused in one sentence when it is wrong. */
import { z } from "zod";
import { valueOf, type Environment } from "../settings/environment.js";
import { payloadCodec } from "../settings/payload-codec.js";
import { readPayloadKeys } from "../settings/payload-keys.js";
import { secretReader } from "../settings/secrets.js";
import { temporalSettings } from "../settings/temporal.js";
import { accessBy, type AccessTokens } from "./codec-access.js";
import { isLoopback, type CodecServerOptions } from "./codec-server.js";
import { ClientError } from "./errors.js";

const PAGE = "docs/encryption.md says what each is for";

const schema = z.object({
  MODELFLEET_CODEC_HOST: z.string().default("127.0.0.1"),
  MODELFLEET_CODEC_PORT: z.coerce
    .number("a port's number")
    .int("a port's number")
    .min(0, "a port's number")
    .max(65535, "a port's number")
    .default(8081),
  MODELFLEET_CODEC_ORIGIN: z
    .string()
    .regex(/^https?:\/\/[^/\s]+$/, "an origin such as https://cloud.temporal.io, without a path")
    .optional(),
  MODELFLEET_CODEC_JWKS_URL: z
    .string()
    .regex(/^https:\/\/\S+$/, "an https URL")
    .transform((url) => new URL(url))
    .optional(),
  MODELFLEET_CODEC_ISSUER: z.string().optional(),
  MODELFLEET_CODEC_CLAIM: z.string().default("email"),
  MODELFLEET_CODEC_USERS: z.string().optional(),
});

/**
 * Rejects with ClientError, SecretUnreadable or PayloadKeysInvalid. `withoutAuthorization` lets anybody on this
 * machine ask, and is refused for an address that others reach.
 */
export async function readCodecSettings(
  environment: Environment,
  withoutAuthorization: boolean,
): Promise<Omit<CodecServerOptions, "onServed">> {
  const secret = secretReader(environment);
  const keys = readPayloadKeys(await secret("MODELFLEET_ENCRYPTION_KEYS"));
  if (keys === undefined)
    throw new ClientError(
      "MODELFLEET_ENCRYPTION_KEYS is not set: there is nothing to decode with",
      "give the codec server the keys that the workers have",
    );
  const given = Object.keys(environment).map((name) => [name, valueOf(environment, name)] as const);
  const parsed = schema.safeParse(Object.fromEntries(given));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `${path.join(".")} must be ${message}`,
    );
    throw new ClientError(problems.join("; "), PAGE);
  }
  const settings = parsed.data;
  const host = settings.MODELFLEET_CODEC_HOST;
  const token = tokenOf(await secret("MODELFLEET_CODEC_TOKEN"));
  const accessTokens = accessTokensOf(settings);
  const nobody = token === undefined && accessTokens === undefined;
  refuseOpenDoors({ nobody, withoutAuthorization, host });
  return {
    host,
    port: settings.MODELFLEET_CODEC_PORT,
    codec: payloadCodec(keys),
    access: nobody ? undefined : accessBy({ token, accessTokens }),
    origin: settings.MODELFLEET_CODEC_ORIGIN,
    namespace: (await temporalSettings(environment, secret)).namespace,
  };
}

function tokenOf(token: string | undefined): string | undefined {
  if (token === undefined || /^[\x21-\x7e]{32,}$/.test(token)) return token;
  throw new ClientError(
    "MODELFLEET_CODEC_TOKEN must be 32 or more visible characters",
    "openssl rand -hex 32",
  );
}

function accessTokensOf(settings: z.infer<typeof schema>): AccessTokens | undefined {
  const { MODELFLEET_CODEC_JWKS_URL: jwksUrl, MODELFLEET_CODEC_ISSUER: issuer } = settings;
  if (jwksUrl === undefined) return undefined;
  const users = (settings.MODELFLEET_CODEC_USERS ?? "").split(/[\s,]+/).filter((one) => one !== "");
  if (issuer === undefined || users.length === 0)
    throw new ClientError(
      "MODELFLEET_CODEC_JWKS_URL needs MODELFLEET_CODEC_ISSUER and MODELFLEET_CODEC_USERS: whom it signs for is not whom you trust",
      PAGE,
    );
  return { jwksUrl, issuer, users, claim: settings.MODELFLEET_CODEC_CLAIM };
}

function refuseOpenDoors(of: {
  readonly nobody: boolean;
  readonly withoutAuthorization: boolean;
  readonly host: string;
}): void {
  const { nobody, withoutAuthorization, host } = of;
  if (withoutAuthorization && !nobody)
    throw new ClientError(
      "--without-authorization contradicts the settings, which say who may ask",
      "leave the flag away",
    );
  if (!nobody) return;
  if (!withoutAuthorization)
    throw new ClientError(
      "nothing says who may have payloads decoded",
      "set MODELFLEET_CODEC_TOKEN or MODELFLEET_CODEC_JWKS_URL; for yourself on this machine, --without-authorization",
    );
  if (!isLoopback(host))
    throw new ClientError(
      `--without-authorization is for the loopback address only, and MODELFLEET_CODEC_HOST is ${host}`,
      "unset MODELFLEET_CODEC_HOST, or set MODELFLEET_CODEC_TOKEN",
    );
}
