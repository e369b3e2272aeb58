/** Reads fleet specs from the ledger; a spec never changes under its hash, so each is parsed once. */
import type pg from "pg";
import { z } from "zod";
import { FAILURES } from "../../fleet/errors.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { permanent } from "../application-failure.js";

export interface SpecRef {
  readonly fleet: string;
  readonly specHash: string;
}

/** More than a worker meets in a cycle; the oldest goes first. */
const CACHED_SPECS = 100;
const parsed = new Map<string, FleetSpec>();

export async function readSpec(ledger: pg.Pool, { fleet, specHash }: SpecRef): Promise<FleetSpec> {
  const known = parsed.get(specHash);
  if (known !== undefined) return known;
  const { rows } = await ledger.query<{ spec: unknown }>(
    "select spec from fleet_specs where fleet = $1 and spec_hash = $2",
    [fleet, specHash],
  );
  const spec = parseSpec(rows[0]?.spec, fleet);
  const [oldest] = parsed.keys();
  if (parsed.size >= CACHED_SPECS && oldest !== undefined) parsed.delete(oldest);
  parsed.set(specHash, spec);
  return spec;
}

/** Of what a client wrote, which may be a newer modelfleet than this worker. */
export function parseSpec(spec: unknown, fleet: string): FleetSpec {
  const result = fleetSpecSchema.safeParse(spec);
  if (result.success) return result.data;
  throw permanent(FAILURES.specInvalid, {
    message: `the worker cannot read the spec of fleet "${fleet}":\n${z.prettifyError(result.error)}`,
    hint: "run the worker with the same version of modelfleet as the client that started the cycle",
  });
}
