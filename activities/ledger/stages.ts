/** Reads how a fleet declares one of its stages. */
import type pg from "pg";
import { FAILURES } from "../../fleet/errors.js";
import type { FleetSpec, StageSpec } from "../../fleet/spec.schema.js";
import { permanent } from "../application-failure.js";
import type { StageRef } from "./publications.js";
import { readSpec } from "./specs.js";

export interface DeclaredStage {
  readonly spec: FleetSpec;
  readonly stage: StageSpec;
}

/** By the newest cycle whose spec has the stage: what serves there is looked after, also when a newer spec leaves it out. */
export async function readStage(
  ledger: pg.Pool,
  { fleet, stage: name }: StageRef,
): Promise<DeclaredStage> {
  const { rows } = await ledger.query<{ spec_hash: string }>(
    `select f.spec_hash from fleet_specs f join cycles y using (fleet, spec_hash)
      where f.fleet = $1
        and exists (select from jsonb_array_elements(f.spec -> 'stages') s where s ->> 'name' = $2)
      order by y.started_at desc, y.cycle desc limit 1`,
    [fleet, name],
  );
  const [row] = rows;
  const spec =
    row === undefined ? undefined : await readSpec(ledger, { fleet, specHash: row.spec_hash });
  const stage = spec?.stages.find((one) => one.name === name);
  if (spec === undefined || stage === undefined)
    throw permanent(FAILURES.specInvalid, {
      message: `the ledger knows no stage "${name}" of fleet "${fleet}"`,
      hint: "run a cycle of the fleet file that declares the stage",
    });
  return { spec, stage };
}
