/** Checks that each fleet's stages in other accounts have all that promotion needs there. */
import { fleetSpecSchema, type FleetSpec } from "../fleet/spec.schema.js";
import { planAccounts, type AccountProblem } from "./accounts.js";
import type { Connections } from "./connections.js";
import type { Check } from "./health-check.js";
import { askLedger } from "./ledger.js";

/**
 * Of the fleets on record, and of those that are `declared`, also before their first cycle. Nothing to tell of fleets
 * whose stages are all in the account of training.
 */
export async function checkStages(
  connections: Connections,
  declared: readonly FleetSpec[] = [],
): Promise<Check[]> {
  const rows = await askLedger<{ fleet: string; spec: unknown }>(
    connections,
    `select distinct on (fleet) fleet, spec from fleet_specs order by fleet, created_at desc`,
  ).catch(() => []);
  // Of a version that this modelfleet does not read any more: the fleet file itself is what counts.
  const recorded = rows.flatMap(({ spec }) => fleetSpecSchema.safeParse(spec).data ?? []);
  const fleets = new Map([...recorded, ...declared].map((spec) => [spec.name, spec]));
  const checks: Check[] = [];
  for (const spec of fleets.values())
    if (spec.stages.some((stage) => stage.role ?? stage.bucket ?? stage.executionRole))
      checks.push(...(await checkFleet(connections, spec)));
  return checks;
}

async function checkFleet(connections: Connections, spec: FleetSpec): Promise<Check[]> {
  const part = `stages of ${spec.name}`;
  // Groups by the thousand take minutes, and whoever has applied lacks the newest.
  const plan = await planAccounts(connections, spec, { newestOnly: true });
  const { stages, steps } = plan;
  // Of the account of training and registry, another check tells.
  const ofStages = ({ stage }: AccountProblem) => stage !== undefined;
  const toCheck =
    (state: "problem" | "note") =>
    ({ found, mend }: AccountProblem): Check => ({
      ...{ part, state, found },
      ...(mend !== undefined && { mend }),
    });
  const problems = plan.problems.filter(ofStages).map(toCheck("problem"));
  const checks = [...problems, ...plan.notes.filter(ofStages).map(toCheck("note"))];
  const mend = "modelfleet accounts apply FLEET.ts, with the fleet's file";
  const groups = steps.filter(({ kind }) => kind === "group-policy").length;
  const others = steps.length - groups;
  if (others > 0) {
    const found = `${others === 1 ? "1 thing is" : `${others} things are`} missing in their accounts`;
    checks.push({ part, state: "problem", found, mend });
  }
  // New customers have new groups. What is promoted does not need them.
  if (groups > 0) {
    const which = plan.olderUnread === true ? `of the newest ${plan.groups} ` : "";
    const found = `${which}${groups === 1 ? "1 model package group is" : `${groups} model package groups are`} not shown to their accounts yet`;
    checks.push({ part, state: "note", found, mend });
  }
  const places = stages.map(({ stage, account }) => `${stage} in ${account}`).join(", ");
  const isWell = steps.length + problems.length === 0;
  return isWell ? [...checks, { part, state: "ok", found: places }] : checks;
}
