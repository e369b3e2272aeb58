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
  {
    generation = null,
    stage = null,
  }: {
    /** Of a pipeline: only models behind the preprocessor of this generation count. */
    readonly generation?: number | null;
    /** Of several stages: only models that were copied to this one count, decided or not. */
    readonly stage?: string | null;
  } = {},
): Promise<FleetSpec> {
  const { rows } = await ledger.query<{ spec_hash: string }>(
    `select spec_hash from (
       select y.spec_hash, y.started_at, y.cycle,
              bool_or(r.state in ('pending', 'approved', 'serving')) as wanted
         from cycles y join releases r using (fleet, cycle)
        where y.fleet = $1 and ($2::int is null or r.generation = $2)
          and r.state in ('pending', 'approved', 'serving', 'retired', 'withdrawn')
          and case when $3::text is null then r.state <> 'pending' else exists
                (select from publications p
                  where p.fleet = r.fleet and p.customer_key = r.customer_key and p.version = r.version
                    and p.stage = $3 and p.state in ('copied', 'serving')) end
        group by y.fleet, y.cycle) as released
      order by wanted desc, started_at desc, cycle desc limit 1`,
    [fleet, generation, stage],
  );
  const [row] = rows;
  // Nothing of it is left in the stage: the endpoint is on its way back, or out.
  if (row === undefined && stage !== null) return readReleasedSpec(ledger, fleet, { generation });
  if (row === undefined)
    throw permanent(FAILURES.specInvalid, {
      message: `the ledger has no approved model of fleet "${fleet}", so nothing is to be served`,
      hint: `modelfleet models ${fleet} lists what waits for approval`,
    });
  return readSpec(ledger, { fleet, specHash: row.spec_hash });
}
