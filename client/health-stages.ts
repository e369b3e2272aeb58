/** Checks that each fleet's stages in other accounts have all that promotion needs there. */
import { fleetSpecSchema } from "../fleet/spec.schema.js";
import { planAccounts } from "./accounts.js";
import type { Connections } from "./connections.js";
import type { Check } from "./health-check.js";
import { askLedger } from "./ledger.js";

/** Nothing to tell of fleets whose stages are all in the account of training. */
export async function checkStages(connections: Connections): Promise<Check[]> {
  const rows = await askLedger<{ fleet: string; spec: unknown }>(
    connections,
    `select * from (select distinct on (fleet) fleet, spec from fleet_specs
                     order by fleet, created_at desc) newest
      where jsonb_path_exists(spec, '$.stages[*] ? (exists(@.role) || exists(@.bucket))')`,
  ).catch(() => []);
  const checks: Check[] = [];
  for (const { fleet, spec } of rows) {
    const part = `stages of ${fleet}`;
    const parsed = fleetSpecSchema.safeParse(spec);
    // Of a version that this modelfleet does not read any more: the fleet file itself is what counts.
    if (!parsed.success) continue;
    const { stages, steps, problems } = await planAccounts(connections, parsed.data);
    const places = stages.map(({ stage, account }) => `${stage} in ${account}`).join(", ");
    for (const { found, mend } of problems)
      checks.push({ part, state: "problem", found, ...(mend !== undefined && { mend }) });
    if (steps.length > 0)
      checks.push({
        part,
        state: "problem",
        found: `${steps.length === 1 ? "1 thing is" : `${steps.length} things are`} missing in their accounts`,
        mend: "modelfleet accounts apply FLEET.ts, with the fleet's file",
      });
    if (steps.length + problems.length === 0) checks.push({ part, state: "ok", found: places });
  }
  return checks;
}
