/** Builds fleet specs and cycles for tests, showing only what matters to them. */
import { createCycleActivities } from "../../activities/cycles.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import type { Parts } from "./parts.js";

export const CYCLE = "2013-07-01";
export const WINDOW = { floor: "2013-01-01T00:00:00.000Z", ceiling: "2013-07-01T00:00:00.000Z" };

export interface FleetOptions {
  readonly name: string;
  readonly source?: Readonly<Record<string, unknown>>;
  readonly training?: Readonly<Record<string, unknown>>;
  readonly gate?: Readonly<Record<string, unknown>>;
  readonly tuning?: Readonly<Record<string, unknown>>;
  readonly naming?: "versioned" | "stable";
  /** By default a multi-model endpoint of that naming. */
  readonly endpoint?: Readonly<Record<string, unknown>>;
}

export function aFleet({
  name,
  source = {},
  training = {},
  gate = {},
  tuning,
  naming = "versioned",
  endpoint = { kind: "multi-model", naming },
}: FleetOptions): FleetSpec {
  return fleetSpecSchema.parse({
    name,
    source: {
      kind: "postgres",
      connection: "WAREHOUSE_URL",
      query: "select * from sales where at >= :floor and at < :ceiling",
      customer: "customer",
      target: "target",
      window: { months: 6 },
      split: { validation: 0.3, test: 0.1 },
      minimumRows: 3,
      ...source,
    },
    training: { kind: "script", source: "training", sourceHash: "a".repeat(64), ...training },
    tuning,
    gate,
    endpoint,
    stages: [{ name: "local", account: "111111111111" }],
  });
}

/** Opens the cycle as its workflow would; opening it again makes the export start over. */
export async function openCycle(parts: Parts, spec: FleetSpec, cycle = CYCLE) {
  const cycles = createCycleActivities(parts);
  const workflowId = `retrain-fleet/${spec.name}/${cycle}`;
  await cycles.openCycle({ spec, cycle, window: WINDOW, workflowId, force: false });
  return { fleet: spec.name, cycle };
}
