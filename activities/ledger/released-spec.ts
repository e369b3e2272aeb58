/** Reads which spec a fleet's endpoint is made from. */
import type pg from "pg";
import { FAILURES } from "../../fleet/errors.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { permanent } from "../application-failure.js";
import { readSpec } from "./specs.js";

/**
 * That of the newest cycle with an approved model. All models of an endpoint share one container, so code that
 * nobody has approved a model of does not reach it, and code whose models were all rejected or withdrawn leaves it
 * again. Once every model of the fleet is withdrawn, the endpoint stays on what it had.
 */
export async function readReleasedSpec(
  ledger: pg.Pool,
  fleet: string,
  /** Of a pipeline: only models behind the preprocessor of this generation count. */
  generation: number | null = null,
): Promise<FleetSpec> {
  const { rows } = await ledger.query<{ spec_hash: string }>(
    `select spec_hash from (
       select y.spec_hash, y.started_at, y.cycle,
              bool_or(r.state in ('approved', 'serving')) as wanted
         from cycles y join releases r using (fleet, cycle)
        where y.fleet = $1 and ($2::int is null or r.generation = $2) and r.state in ('approved', 'serving', 'retired', 'withdrawn')
        group by y.fleet, y.cycle) as released
      order by wanted desc, started_at desc, cycle desc limit 1`,
    [fleet, generation],
  );
  const [row] = rows;
  if (row === undefined)
    throw permanent(FAILURES.specInvalid, {
      message: `the ledger has no approved model of fleet "${fleet}", so nothing is to be served`,
      hint: `modelfleet models ${fleet} lists what waits for approval`,
    });
  return readSpec(ledger, { fleet, specHash: row.spec_hash });
}
