/** Looks for customers whose rows, or whose champion's errors, are no longer what they were in training. */
import { cancellationSignal, log } from "@temporalio/activity";
import type pg from "pg";
import { decideRetraining, type DriftAction } from "../fleet/drift.js";
import type { DriftPolicy } from "../fleet/drift.schema.js";
import { FAILURES, SpecError } from "../fleet/errors.js";
import { specHash } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { permanent } from "./application-failure.js";
import { compareGroups } from "./drift/compare.js";
import { scoreChampions } from "./drift/score.js";
import { inWarehouse, type Warehouse } from "./export/warehouse.js";
import {
  countRun,
  drifted,
  openRun,
  readRun,
  recordActions,
  recordComparison,
  type DriftCounts,
  type DriftRun,
  type DriftRunRef,
} from "./ledger/drift.js";
import { parseSpec } from "./ledger/specs.js";
import { withHeartbeat } from "./patience.js";
import type { StageAccess } from "./stage-access.js";

export interface DriftDependencies {
  readonly ledger: pg.Pool;
  /** Champions are asked where they serve. */
  readonly stageAccess: StageAccess;
  /** Value of a secret that a spec names, such as WAREHOUSE_URL; undefined when the worker has none. */
  readonly secret: (name: string) => Promise<string | undefined>;
}

export interface OpenDriftRunInput extends DriftRunRef {
  readonly spec: FleetSpec;
  /** ISO. */
  readonly at: string;
  readonly workflowId: string;
  readonly dryRun: boolean;
}

export interface CloseDriftRunInput extends DriftRunRef {
  readonly state: "completed" | "failed";
  readonly reason?: string;
}

/** What reads the warehouse, hours of it if need be. Queue `TASK_QUEUES.warehouse`; both heartbeat. */
export const createDriftActivities = (dependencies: DriftDependencies) => ({
  /**
   * Compares every customer that a champion serves, and writes down what it found. Throws QueryInvalid for a query that
   * Postgres refuses, SpecInvalid for one without its window or for columns to ignore that are none.
   */
  async compareWindows(ref: DriftRunRef): Promise<DriftCounts> {
    const { ledger } = dependencies;
    const run = await readRun(ledger, ref);
    if (!run.compared) {
      const policy = policyOf(run.spec);
      const sql = await withHeartbeat(() =>
        inWarehouseOf(dependencies, run, (warehouse) =>
          compareGroups(warehouse, { ledger, run, policy }),
        ),
      );
      // Last: a run that is compared has everybody.
      await recordComparison(ledger, ref, { sql, scores: policy.error !== undefined });
    }
    return countRun(ledger, ref);
  },

  /**
   * Asks a sample of champions about newly labelled rows, each in the last of the stages that serve it. A model that
   * does not answer, or whose stage cannot be reached, is told, and fails nothing.
   */
  async scoreChampions(ref: DriftRunRef): Promise<DriftCounts> {
    const { ledger, stageAccess } = dependencies;
    const run = await readRun(ledger, ref);
    const policy = policyOf(run.spec);
    const { error } = policy;
    if (error !== undefined && !run.decided)
      await withHeartbeat(() =>
        inWarehouseOf(dependencies, run, (warehouse) =>
          scoreChampions(warehouse, { ledger, stageAccess, run, policy, error }),
        ),
      );
    return countRun(ledger, ref);
  },
});

/** What needs the ledger only. */
export const createDriftRunActivities = ({ ledger }: Pick<DriftDependencies, "ledger">) => ({
  /** Throws SpecInvalid when the fleet declares no drift. */
  async openDriftRun({ spec: given, ...run }: OpenDriftRunInput): Promise<void> {
    const spec = parseSpec(given, run.fleet);
    policyOf(spec);
    await openRun(ledger, { ...run, spec, specHash: specHash(spec) });
  },

  /** Who is retrained now, the worst first; done twice, it finds what it decided. */
  async decideDrift(ref: DriftRunRef): Promise<DriftCounts> {
    const run = await readRun(ledger, ref);
    if (!run.decided) {
      await withHeartbeat(() => decideAll(ledger, run, policyOf(run.spec)));
      await ledger.query(
        "update drift_runs set decided_at = now(), state = 'retraining' where fleet = $1 and run = $2",
        [ref.fleet, ref.run],
      );
    }
    return countRun(ledger, ref);
  },

  async closeDriftRun({ fleet, run, state, reason }: CloseDriftRunInput): Promise<DriftCounts> {
    await ledger.query(
      `update drift_runs set state = $3, reason = $4, ended_at = coalesce(ended_at, now())
        where fleet = $1 and run = $2`,
      [fleet, run, state, reason ?? null],
    );
    return countRun(ledger, { fleet, run });
  },
});

async function decideAll(ledger: pg.Pool, run: DriftRun, policy: DriftPolicy): Promise<void> {
  // An attempt that died in the middle may have taken others: what it decided is forgotten.
  await ledger.query(
    "update drift_customers set action = 'none', left_because = null where fleet = $1 and run = $2",
    [run.fleet, run.run],
  );
  let taken = 0;
  for await (const page of drifted(ledger, run)) {
    const decided: { customerKey: string; decision: DriftAction }[] = [];
    for (const { customerKey, ...customer } of page) {
      const decision = decideRetraining(customer, policy, { at: run.at, taken });
      if (decision.action === "retrain") taken += 1;
      decided.push({ customerKey, decision });
    }
    await recordActions(ledger, run, decided);
  }
  log.info("drift decided", { fleet: run.fleet, run: run.run, retrain: taken });
}

function policyOf({ name, drift }: FleetSpec): DriftPolicy {
  if (drift !== undefined) return drift;
  throw permanent(FAILURES.specInvalid, {
    message: `fleet "${name}" declares no drift`,
    hint: 'add to its file: drift: watchDrift({ schedule: weekly({ day: "MON", at: "05:00" }) })',
  });
}

async function inWarehouseOf<T>(
  { secret }: DriftDependencies,
  { fleet, run, spec }: DriftRun,
  read: (warehouse: Warehouse) => Promise<T>,
): Promise<T> {
  const { connection } = spec.source;
  const url = await secret(connection);
  if (url === undefined || url === "")
    throw permanent(FAILURES.specInvalid, {
      message: `the worker has no secret ${connection}, which source.connection names`,
      hint: `set ${connection} to a postgres:// URL in the worker's environment and restart it`,
    });
  const applicationName = `modelfleet ${fleet} ${run}`;
  try {
    return await inWarehouse(
      { connection, url, applicationName, signal: cancellationSignal() },
      read,
    );
  } catch (error) {
    // The domain's refusals: no retry mends them.
    if (!(error instanceof SpecError)) throw error;
    throw permanent(error.type, { message: error.message, hint: error.hint, cause: error });
  }
}
