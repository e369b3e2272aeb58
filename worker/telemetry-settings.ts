/** Where a worker shows its metrics, read from the environment; nothing is shown unless it is asked for. */
import { z } from "zod";
import { SettingsInvalid } from "./settings.js";

export interface TelemetrySettings {
  /** Host and port of the Prometheus endpoint; null: none. */
  readonly metricsAddress: string | null;
}

/** `9464` is this machine's alone; `0.0.0.0:9464` is for a container whose network is guarded otherwise. */
const addressSchema = z
  .string()
  .regex(/^((\d{1,3}\.){3}\d{1,3}:|\[[0-9a-fA-F:]+\]:)?\d{1,5}$/)
  .refine((address) => Number(address.split(":").at(-1)) <= 65_535)
  .transform((address) => (address.includes(":") ? address : `127.0.0.1:${address}`));

/** Throws SettingsInvalid. */
export function readTelemetrySettings(environment: NodeJS.ProcessEnv): TelemetrySettings {
  const { MODELFLEET_METRICS_ADDRESS: wanted } = environment;
  if (wanted === undefined || wanted === "") return { metricsAddress: null };
  const parsed = addressSchema.safeParse(wanted);
  if (!parsed.success)
    throw new SettingsInvalid(
      "the worker cannot start: MODELFLEET_METRICS_ADDRESS must be a port such as 9464, or an address and a port " +
        "such as 0.0.0.0:9464",
    );
  return { metricsAddress: parsed.data };
}
