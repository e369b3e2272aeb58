/** How a process reaches Temporal: its standard environment configuration, the API key being a secret like others. */
import type { DataConverter } from "@temporalio/common";
import { loadClientConnectConfig, type ClientConnectConfig } from "@temporalio/envconfig";
import { valueOf, type Environment } from "./environment.js";
import { payloadCodec } from "./payload-codec.js";
import { readPayloadKeys } from "./payload-keys.js";
import type { ReadSecret } from "./secrets.js";

export interface TemporalSettings {
  readonly address: string;
  readonly namespace: string;
  /** For `Connection.connect` and `NativeConnection.connect` alike. */
  readonly connectionOptions: ClientConnectConfig["connectionOptions"];
  /** For every client and worker; undefined while payloads are plain. */
  readonly dataConverter: DataConverter | undefined;
}

/** What stands in Temporal's own settings cannot be used. */
export class TemporalSettingsInvalid extends Error {
  readonly hint = "correct the TEMPORAL_… settings, or the profile in temporal.toml";
  override readonly name = "TemporalSettingsInvalid";
}

/**
 * `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_TLS…`, `TEMPORAL_PROFILE` and `temporal.toml`, as
 * https://docs.temporal.io/develop/environment-configuration has them; `TEMPORAL_API_KEY` and
 * `MODELFLEET_ENCRYPTION_KEYS` also by reference. Rejects with SecretUnreadable, PayloadKeysInvalid or
 * TemporalSettingsInvalid.
 */
export async function temporalSettings(
  environment: Environment,
  secret: ReadSecret,
): Promise<TemporalSettings> {
  const keys = readPayloadKeys(await secret("MODELFLEET_ENCRYPTION_KEYS"));
  const apiKey = await secret("TEMPORAL_API_KEY");
  const { connectionOptions, namespace = "default" } = load({
    ...present(environment),
    ...(apiKey === undefined ? {} : { TEMPORAL_API_KEY: apiKey }),
  });
  const { address = "127.0.0.1:7233" } = connectionOptions;
  return {
    address,
    namespace,
    connectionOptions: { ...connectionOptions, address },
    dataConverter: keys === undefined ? undefined : { payloadCodecs: [payloadCodec(keys)] },
  };
}

function load(environment: Record<string, string>): ClientConnectConfig {
  try {
    return loadClientConnectConfig({ overrideEnvVars: environment });
  } catch (error) {
    // A certificate that cannot be read, or a profile that is not there: Temporal's sentence says which.
    const told = error instanceof Error ? error.message : "they cannot be read";
    throw new TemporalSettingsInvalid(`Temporal's settings: ${told}`, { cause: error });
  }
}

/** An empty value is none: an empty API key would turn TLS on. */
function present(environment: Environment): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of Object.keys(environment)) {
    const value = valueOf(environment, name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}
