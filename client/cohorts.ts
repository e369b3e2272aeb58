/** Reads a fleet's cohorts: versions that one training job made for many customers, decided at once. */
import type { CohortFigures } from "../fleet/cohort.js";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import { askLedger, unknownFleet } from "./ledger.js";
import type { ReleaseState } from "./models.js";

export type CohortState =
  "pending" | "approved" | "published" | "denied" | "superseded" | "expired" | "withdrawn";

export interface Cohort {
  readonly fleet: string;
  readonly version: number;
  readonly cycle: string;
  readonly state: CohortState;
  readonly members: number;
  /** Members by how each stands today. */
  readonly states: Readonly<Partial<Record<ReleaseState, number>>>;
  readonly figures: CohortFigures;
  readonly decidedBy: string | null;
  readonly decidedAt: string | null;
  readonly note: string | null;
  readonly modelPackageArn: string;
  readonly workflowId: string;
}

interface CohortRow {
  fleet: string;
  version: number;
  cycle: string;
  state: CohortState;
  members: number;
  states: Partial<Record<ReleaseState, number>>;
  figures: CohortFigures;
  decided_by: string | null;
  decided_at: Date | null;
  note: string | null;
  model_package_arn: string;
  workflow_id: string;
}

/** Newest first; of one cycle, if it is given. */
export async function readCohorts(
  connections: Connections,
  { fleet, cycle }: { readonly fleet: string; readonly cycle?: string },
): Promise<Cohort[]> {
  const rows = await askLedger<CohortRow>(
    connections,
    `select h.*, m.states from cohorts h
       left join lateral (
            select jsonb_object_agg(state, members) as states from (
              select state, count(*)::int as members from releases r
               where r.fleet = h.fleet and r.version = h.version and r.cohort group by state) as counted) m on true
      where h.fleet = $1 and ($2::text is null or h.cycle = $2) order by h.version desc`,
    [fleet, cycle ?? null],
  );
  return rows.map(toCohort);
}

/**
 * The one that is named: by its version, or by its cycle, of whose cohorts the one that waits comes first. Throws
 * ClientError when there is none, naming those that wait.
 */
export async function findCohort(
  connections: Connections,
  { fleet, cycle, version }: { fleet: string; cycle?: string; version?: number },
): Promise<Cohort> {
  const all = await readCohorts(connections, { fleet });
  if (all.length === 0) throw await withoutCohorts(connections, fleet);
  const named = all.filter(
    (cohort) =>
      (version === undefined || cohort.version === version) &&
      (cycle === undefined || cohort.cycle === cycle),
  );
  const found = named.find(({ state }) => state === "pending") ?? named[0];
  if (found !== undefined) return found;
  const what = [
    ...(version === undefined ? [] : [`version ${version}`]),
    ...(cycle === undefined ? [] : [`of cycle "${cycle}"`]),
  ].join(" ");
  const known = all.slice(0, 5).map((cohort) => `version ${cohort.version} of ${cohort.cycle}`);
  throw new ClientError(
    `fleet "${fleet}" has no cohort ${what} (newest: ${known.join(", ")})`,
    `modelfleet history ${fleet}`,
  );
}

async function withoutCohorts(connections: Connections, fleet: string): Promise<ClientError> {
  const cycles = await askLedger<{ own: boolean }>(
    connections,
    "select exists (select from releases r where r.fleet = $1) as own from cycles where fleet = $1 limit 1",
    [fleet],
  );
  const [known] = cycles;
  if (known === undefined) return unknownFleet(connections, fleet);
  return known.own
    ? new ClientError(
        `fleet "${fleet}" has no cohorts: its models are decided customer by customer`,
        `modelfleet approve ${fleet} CUSTOMER, or modelfleet approve ${fleet} --all-pending`,
      )
    : new ClientError(`fleet "${fleet}" has no models yet`, `modelfleet status ${fleet}`);
}

function toCohort(row: CohortRow): Cohort {
  return {
    fleet: row.fleet,
    version: row.version,
    cycle: row.cycle,
    state: row.state,
    members: row.members,
    states: row.states,
    figures: row.figures,
    decidedBy: row.decided_by,
    decidedAt: row.decided_at?.toISOString() ?? null,
    note: row.note,
    modelPackageArn: row.model_package_arn,
    workflowId: row.workflow_id,
  };
}

/** What people call some members, as their keys. Throws ClientError for a name that is no member's. */
export async function memberKeys(
  connections: Connections,
  { fleet, version }: Pick<Cohort, "fleet" | "version">,
  names: readonly string[],
): Promise<string[]> {
  const rows = await askLedger<{ customer: string; customer_key: string }>(
    connections,
    `select c.customer, c.customer_key from releases r join customers c using (fleet, cycle, customer_key)
      where r.fleet = $1 and r.version = $2 and r.cohort and (c.customer = any($3) or c.customer_key = any($3))`,
    [fleet, version, names],
  );
  const byId = new Map(rows.map((row) => [row.customer, row.customer_key]));
  const keys = new Set(rows.map((row) => row.customer_key));
  return names.map((name) => {
    const key = byId.get(name) ?? (keys.has(name) ? name : undefined);
    if (key !== undefined) return key;
    throw new ClientError(
      `"${name}" is no member of version ${version} of fleet "${fleet}", so it cannot be left out`,
      `modelfleet status ${fleet} --customer ${JSON.stringify(name)} tells how it stands`,
    );
  });
}
