/** Reads a cycle from the ledger. */
import type pg from "pg";
import { FAILURES } from "../../fleet/errors.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Window } from "../../fleet/window.js";
import { permanent } from "../application-failure.js";
import { readSpec } from "./specs.js";

export interface CycleRef {
  readonly fleet: string;
  readonly cycle: string;
}

export interface Cycle extends CycleRef {
  readonly spec: FleetSpec;
  readonly specHash: string;
  readonly window: Window;
  readonly workflowId: string;
  /** One training job in place of each search. */
  readonly testing: boolean;
  /** Drift: it trains the customers that the drift run of the same id has chosen. */
  readonly cause: "drift" | null;
  /** Rows that the finished export wrote; null before. */
  readonly rows: number | null;
  /** S3 key of the folder that the preparation wrote in place of the cycle's own; null without one. */
  readonly prepared: string | null;
}

export async function readCycle(ledger: pg.Pool, { fleet, cycle }: CycleRef): Promise<Cycle> {
  const { rows } = await ledger.query<{
    spec_hash: string;
    window_floor: Date;
    window_ceiling: Date;
    workflow_id: string;
    testing: boolean;
    cause: "drift" | null;
    rows: string | null;
    prepared: string | null;
  }>(
    `select spec_hash, window_floor, window_ceiling, workflow_id, testing, cause, rows, prepared
       from cycles where fleet = $1 and cycle = $2`,
    [fleet, cycle],
  );
  const [row] = rows;
  if (row === undefined) throw unknownCycle({ fleet, cycle });
  return {
    fleet,
    cycle,
    spec: await readSpec(ledger, { fleet, specHash: row.spec_hash }),
    specHash: row.spec_hash,
    window: { floor: row.window_floor.toISOString(), ceiling: row.window_ceiling.toISOString() },
    workflowId: row.workflow_id,
    testing: row.testing,
    cause: row.cause,
    rows: row.rows === null ? null : Number(row.rows),
    prepared: row.prepared,
  };
}

export const unknownCycle = ({ fleet, cycle }: CycleRef) =>
  permanent(FAILURES.specInvalid, {
    message: `the ledger has no cycle ${cycle} of fleet "${fleet}"`,
    hint: "the worker and whoever started the workflow must use the same MODELFLEET_LEDGER_URL",
  });
