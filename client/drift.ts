/** Starts a look for drift, and reads from the ledger what the last ones have found. */
import { defineSearchAttributeKey, TypedSearchAttributes } from "@temporalio/common";
import { WorkflowExecutionAlreadyStartedError } from "@temporalio/client";
import type { Measure } from "../fleet/drift.js";
import { cycleId } from "../fleet/names.js";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import {
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type WatchDriftInput,
} from "../workflows/messages.js";
import { uploadCode } from "./code-upload.js";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import type { LoadedFleet } from "./fleet-file.js";
import { requireImages } from "./image-check.js";
import { askLedger } from "./ledger.js";

export interface StartedDriftRun {
  readonly fleet: string;
  readonly run: string;
  readonly workflowId: string;
  /** `found`: it runs, or has completed, and was left so. */
  readonly how: "started" | "found";
}

/** One that only looks can be repeated; one that retrains is done once for its time. */
export async function startDriftRun(
  connections: Connections,
  loaded: LoadedFleet,
  { at, dryRun }: { readonly at: string; readonly dryRun: boolean },
): Promise<StartedDriftRun> {
  const { spec, path } = loaded;
  if (spec.drift === undefined)
    throw new ClientError(
      `${path} declares no drift`,
      'add it: drift: watchDrift({ schedule: weekly({ day: "MON", at: "05:00" }) })',
    );
  const run = `${cycleId(at, { drift: true })}${dryRun ? "-look" : ""}`;
  const workflowId = workflowIds.watchDrift(spec.name, run);
  requireImages(loaded, connections.environment);
  const temporal = await connections.temporal();
  if (!dryRun) await uploadCode(connections, loaded);
  const input: WatchDriftInput = { spec, at, dryRun };
  const fleet = defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD");
  try {
    await temporal.workflow.start(WORKFLOWS.watchDrift, {
      workflowId,
      taskQueue: TASK_QUEUES.control,
      args: [input],
      workflowIdReusePolicy: dryRun ? "ALLOW_DUPLICATE" : "ALLOW_DUPLICATE_FAILED_ONLY",
      workflowIdConflictPolicy: "FAIL",
      typedSearchAttributes: new TypedSearchAttributes([{ key: fleet, value: spec.name }]),
      staticSummary: `look for drift in ${spec.name} at ${run}`,
    });
    return { fleet: spec.name, run, workflowId, how: "started" };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    return { fleet: spec.name, run, workflowId, how: "found" };
  }
}

/** Until it has ended, its cycle too. Throws with the reason when it failed. */
export async function awaitDriftRun(
  connections: Connections,
  { workflowId }: Pick<StartedDriftRun, "workflowId">,
): Promise<void> {
  const temporal = await connections.temporal();
  const { WorkflowFailedError } = await import("@temporalio/client");
  try {
    await temporal.workflow.getHandle(workflowId).result();
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const why = error.cause?.message ?? error.message;
    throw new ClientError(`the look for drift failed: ${why}`, "mend that, and run it again", {
      cause: error,
    });
  }
}

export interface DriftFinding {
  readonly customer: string;
  readonly customerKey: string;
  readonly championVersion: number;
  readonly championCycle: string;
  readonly referenceRows: number;
  readonly newestRows: number;
  readonly scoredRows: number | null;
  readonly drifted: boolean;
  /** The worst figure in multiples of its threshold; null: not compared. */
  readonly excess: number | null;
  readonly action: "none" | "retrain" | "left";
  readonly because: string;
  readonly leftBecause: string | null;
  /** Those that exceed, and the worst of each measure; the worst first. */
  readonly figures: readonly {
    readonly measure: Measure;
    /** Of an error, the gate's metric. */
    readonly column: string;
    readonly value: number;
    readonly threshold: number;
    readonly exceeds: boolean;
  }[];
}

export interface DriftResult {
  readonly fleet: string;
  readonly run: string;
  readonly at: string;
  readonly dryRun: boolean;
  readonly state: "comparing" | "scoring" | "retraining" | "completed" | "failed";
  readonly reason: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly customers: number;
  readonly compared: number;
  readonly scored: number;
  readonly drifted: number;
  readonly retrained: number;
  /** That retrains them; null: nobody is retrained. */
  readonly cycle: string | null;
  /** Drifted customers, the worst first; with `all`, everybody. */
  readonly findings: readonly DriftFinding[];
}

/** By default the newest run that was started. Throws when the fleet has none. */
export async function readDrift(
  connections: Connections,
  {
    fleet,
    run,
    all = false,
  }: { readonly fleet: string; readonly run?: string; readonly all?: boolean },
): Promise<DriftResult> {
  const [row] = await askLedger<
    Omit<DriftResult, "findings" | "at" | "startedAt" | "endedAt"> & {
      at: Date;
      startedAt: Date;
      endedAt: Date | null;
    }
  >(connections, RUN, [fleet, run ?? null]);
  if (row === undefined)
    throw new ClientError(
      `fleet "${fleet}" has not been looked at for drift${run === undefined ? "" : ` by a run ${run}`}`,
      run === undefined
        ? "modelfleet drift FLEETFILE --dry-run"
        : `modelfleet drift ${fleet} --last`,
    );
  const findings = await askLedger<DriftFinding>(connections, FINDINGS, [fleet, row.run, all]);
  return {
    ...row,
    at: row.at.toISOString(),
    startedAt: row.startedAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
    findings,
  };
}

const RUN = `
  select d.fleet, d.run, d.at, d.dry_run as "dryRun", d.state, d.reason, d.started_at as "startedAt",
         d.ended_at as "endedAt", count(c.*)::int as customers, count(c.excess)::int as compared,
         count(c.scored_rows)::int as scored, (count(*) filter (where c.drifted))::int as drifted,
         (count(*) filter (where c.action = 'retrain'))::int as retrained,
         case when not d.dry_run and count(*) filter (where c.action = 'retrain') > 0 then d.run end as cycle
    from drift_runs d left join drift_customers c using (fleet, run)
   where d.fleet = $1 and ($2::text is null or d.run = $2)
   group by d.fleet, d.run order by d.started_at desc limit 1`;

const FINDINGS = `
  select c.customer, c.customer_key as "customerKey", c.champion_version as "championVersion",
         c.champion_cycle as "championCycle", c.reference_rows::float8 as "referenceRows",
         c.newest_rows::float8 as "newestRows", c.scored_rows as "scoredRows", c.drifted, c.excess, c.action,
         c.because, c.left_because as "leftBecause",
         coalesce((select jsonb_agg(jsonb_build_object('measure', f.measure, 'column', f.column_name,
                            'value', f.value, 'threshold', f.threshold, 'exceeds', f.exceeds)
                            order by f.exceeds desc, f.value / f.threshold desc, f.column_name)
                     from drift_figures f where f.fleet = c.fleet and f.run = c.run
                      and f.customer_key = c.customer_key), '[]') as figures
    from drift_customers c
   where c.fleet = $1 and c.run = $2 and (c.drifted or $3)
   order by c.drifted desc, c.excess desc nulls last, c.customer_key`;
