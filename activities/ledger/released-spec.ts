/** Reads which spec a fleet's endpoint is made from. */
import type pg from "pg";
import { FAILURES } from "../../fleet/errors.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { permanent } from "../application-failure.js";
import { readSpec } from "./specs.js";

/**
 * That of the newest cycle with an approved model. All models of an endpoint share one container, so code that
 * nobody has approved a model of does not reach it, and code whose models were all rejected leaves it again.
 */
export async function readReleasedSpec(ledger: pg.Pool, fleet: string): Promise<FleetSpec> {
  const { rows } = await ledger.query<{ spec_hash: string }>(
    `select y.spec_hash from cycles y
      where y.fleet = $1 and exists (
        select from releases r
         where r.fleet = y.fleet and r.cycle = y.cycle and r.state in ('approved', 'serving'))
      order by y.started_at desc, y.cycle desc limit 1`,
    [fleet],
  );
  const [row] = rows;
  if (row === undefined)
    throw permanent(FAILURES.specInvalid, {
      message: `the ledger has no approved model of fleet "${fleet}", so nothing is to be served`,
      hint: `modelfleet models ${fleet} lists what waits for approval`,
    });
  return readSpec(ledger, { fleet, specHash: row.spec_hash });
}
