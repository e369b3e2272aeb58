/** modelfleet for programs: everything the command line does, typed. */
import { applySchedule, proposeSchedule, type ScheduleProposal } from "./apply-schedule.js";
import { openConnections, type Connections } from "./connections.js";
import { readCandidates, selectCandidates, type Wish } from "./bulk-candidates.js";
import { decideInBulk, type BulkResult } from "./bulk-decide.js";
import { decideModel } from "./decisions.js";
import { readEvaluations } from "./evaluations.js";
import { anyAccount, loadFleetFile } from "./fleet-file.js";
import { callerAccount } from "./health-aws.js";
import { checkHealth } from "./health.js";
import {
  callModel,
  invokeModel,
  readPointer,
  type Invocation,
  type RawAnswer,
  type RawCall,
} from "./invocation.js";
import { findCustomer, readCustomers, readCycle, readCycles } from "./ledger.js";
import { readLineage } from "./lineage.js";
import { readModels } from "./models.js";
import { previewRun } from "./preview.js";
import { planRollback, rollBack, watchWithdrawal } from "./rollback.js";
import { runCycle, type CycleRun, type RunOptions } from "./run-cycle.js";
import { listSchedules, readSchedule } from "./schedules.js";
import type { Environment } from "./settings.js";
import {
  backfillSchedule,
  pauseSchedule,
  planBackfill,
  resumeSchedule,
  triggerSchedule,
  type BackfillPlan,
} from "./steer-schedule.js";
import { watchCycle } from "./watch-cycle.js";

export { loadEnvironment } from "./environment.js";
export { ClientError, UsageError } from "./errors.js";
export { FleetFileInvalid, type SpecIssue } from "./fleet-file-invalid.js";
export { anyAccount, loadFleetFile, type LoadedFleet, type OwnAccount } from "./fleet-file.js";
export type { Candidate, Candidates } from "./bulk-candidates.js";
export type { BulkResult } from "./bulk-decide.js";
export type { Decided } from "./decisions.js";
export type { CustomerCycle } from "./evaluations.js";
export type { Check } from "./health-check.js";
export type { Invocation, RawAnswer, RawCall } from "./invocation.js";
export { ModelFailed } from "./invocation-error.js";
export type { Cycle, CycleCustomer, CycleState, CustomerState } from "./ledger.js";
export type { Lineage } from "./lineage.js";
export type { Figures, Model, ModelFilter, ReleaseState } from "./models.js";
export type { LeftOut, RunPreview } from "./preview.js";
export type { RollbackPlan, StartedWithdrawal, WithdrawalSnapshot } from "./rollback.js";
export type { CycleRun, RunOptions } from "./run-cycle.js";
export type { ScheduleProposal } from "./apply-schedule.js";
export type { ScheduleDetails, ScheduledRun, ScheduleSummary } from "./schedules.js";
export type { Environment } from "./settings.js";
export type { BackfillPlan, Steered, Triggered } from "./steer-schedule.js";
export type { CycleSnapshot } from "./watch-cycle.js";

interface Customer {
  readonly fleet: string;
  /** As the warehouse calls it, or its key. */
  readonly customer: string;
}

export type FleetClient = ReturnType<typeof openClient>;

/**
 * Connects when a method first needs it. `environment` holds the settings of docs/reference/settings.md: call
 * `loadEnvironment(process.env, process.cwd())` before, to take those of the nearest local stack.
 */
export function openClient(environment: Environment) {
  const connections = openConnections(environment);
  const ownAccount = () => callerAccount(connections);
  return {
    /** What a run would do and cost. Changes nothing. */
    plan: async (fleetFile: string, options: { at: string }) =>
      previewRun(connections, await loadFleetFile(fleetFile, anyAccount), options),
    /** Starts a cycle, or finds the one that runs or ran for the same time. */
    run: async (fleetFile: string, options: RunOptions): Promise<CycleRun> =>
      runCycle(connections, await loadFleetFile(fleetFile, ownAccount), options),
    /** Snapshots until the cycle has ended and what was approved serves; aborting only ends the watching. */
    watch: (run: Pick<CycleRun, "fleet" | "cycle" | "workflowId">, signal: AbortSignal) =>
      watchCycle(connections, { ...run, signal }),
    /** What applying the file's schedule would change. Changes nothing. */
    proposeSchedule: async (fleetFile: string, options: { deleteSchedule: boolean; now: Date }) =>
      proposeSchedule(connections, await loadFleetFile(fleetFile, ownAccount), options),
    /** Does what was proposed; refuses when the schedule has changed since. */
    applySchedule: async (
      fleetFile: string,
      options: { proposal: ScheduleProposal; by: string },
    ): Promise<void> =>
      applySchedule(connections, await loadFleetFile(fleetFile, ownAccount), options),
    schedules: () => listSchedules(connections),
    schedule: (fleet: string) => readSchedule(connections, fleet),
    pause: (of: { fleet: string; note: string }) => pauseSchedule(connections, of),
    resume: (of: { fleet: string; note: string }) => resumeSchedule(connections, of),
    trigger: (fleet: string) => triggerSchedule(connections, fleet),
    planBackfill: (of: { fleet: string; from: Date; to: Date }) => planBackfill(connections, of),
    backfill: (plan: BackfillPlan): Promise<void> => backfillSchedule(connections, plan),
    cycles: (fleet: string) => readCycles(connections, fleet),
    cycle: (of: { fleet: string; cycle?: string }) => readCycle(connections, of),
    customers: (of: Parameters<typeof readCustomers>[1]) => readCustomers(connections, of),
    models: (filter: Parameters<typeof readModels>[1]) => readModels(connections, filter),
    history: (of: Customer) => readEvaluations(connections, of),
    lineage: (of: Customer & { version?: number }) => readLineage(connections, of),
    approve: (of: Customer & { version: number; by: string; note?: string }) =>
      decide(connections, "approve", of),
    deny: (of: Customer & { version: number; by: string; note: string }) =>
      decide(connections, "deny", of),
    /** What waits, with the figures that a condition can name. */
    candidates: (fleet: string) => readCandidates(connections, fleet),
    /** Decides all that wait and match; aborted, those under way come to their end and the rest still waits. */
    decideMany: (of: ManyDecisions) => decideMany(connections, of),
    /** Takes the version that serves out of service; `watchWithdrawal` tells when another one serves. */
    rollBack: async (of: Customer & { to?: number; by: string; because: string }) =>
      rollBack(connections, await planRollback(connections, of), of),
    watchWithdrawal: (of: Parameters<typeof watchWithdrawal>[1], signal: AbortSignal) =>
      watchWithdrawal(connections, of, signal),
    /** Predictions of the customer's serving model for rows of CSV. */
    invoke: async (of: Customer & { body: string }): Promise<Invocation> => {
      const { stage, endpointName, targetModel, version } = await readPointer(connections, of);
      const { fleet, body } = of;
      return invokeModel(connections, { fleet, stage, endpointName, targetModel, version, body });
    },
    /** The same call with a body of any type, and the answer as it came. */
    call: async (
      of: Customer & Pick<RawCall, "body" | "contentType" | "accept">,
    ): Promise<RawAnswer> => {
      const { stage, endpointName, targetModel, version } = await readPointer(connections, of);
      const { fleet, body, contentType, accept } = of;
      const target = { fleet, stage, endpointName, targetModel, version };
      return callModel(connections, { ...target, body, contentType, accept });
    },
    health: () => checkHealth(connections),
    close: () => connections.close(),
  };
}

async function decide(
  connections: Connections,
  verdict: "approve" | "deny",
  of: Customer & { version: number; by: string; note?: string },
) {
  const known = await findCustomer(connections, of);
  const { fleet, version, by, note } = of;
  const decision = { verdict, by, ...(note === undefined ? {} : { note }) };
  return decideModel(connections, { fleet, ...known, version }, decision);
}

export interface ManyDecisions extends Wish {
  readonly fleet: string;
  readonly verdict: "approve" | "deny";
  readonly by: string;
  /** Required of a denial. */
  readonly note?: string;
  readonly signal?: AbortSignal;
}

async function decideMany(connections: Connections, of: ManyDecisions) {
  const { fleet, verdict, by, note, signal = new AbortController().signal } = of;
  const { chosen, outliers } = selectCandidates(await readCandidates(connections, fleet), of);
  const decision = { verdict, by, ...(note === undefined ? {} : { note }) };
  const results: BulkResult[] = [];
  const onResult = (result: BulkResult) => void results.push(result);
  await decideInBulk(connections, chosen, { fleet, decision, signal, onResult });
  return { results, outliers };
}
