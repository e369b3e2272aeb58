/** Watches a cycle: where it stands, twice a second, until its models are registered and published. */
import { setTimeout as wait } from "node:timers/promises";
import type { Client } from "@temporalio/client";
import { TASK_QUEUES } from "../workflows/messages.js";
import { checkpointGlances } from "./cohort-checkpoints.js";
import type { Connections } from "./connections.js";
import { messageOf } from "./errors.js";
import { LedgerEmpty } from "./postgres-errors.js";
import { findCycle, type Cycle, type CycleState, type StateCounts } from "./ledger.js";

export interface CycleSnapshot {
  /** `starting` until the cycle is in the ledger, `publishing` while approved models are on their way. */
  readonly phase: "starting" | "publishing" | CycleState;
  readonly cycle?: Cycle;
  readonly customers: number;
  readonly states: StateCounts;
  /** Rows exported so far, as the export's last heartbeat told. */
  readonly exportedRows: number;
  /** Models that a sharded job has put into S3 so far; 0 for a fleet without. */
  readonly checkpoints: number;
  /** Nobody polls the task queue: nothing will happen until a worker runs. */
  readonly withoutWorker: boolean;
  /** Why the workflow failed, once it did. */
  readonly failure?: string;
  readonly ended: boolean;
}

export interface WatchOptions {
  readonly fleet: string;
  readonly cycle: string;
  readonly workflowId: string;
  readonly signal: AbortSignal;
  readonly everyMs?: number;
}

export async function* watchCycle(
  connections: Connections,
  options: WatchOptions,
): AsyncGenerator<CycleSnapshot> {
  const temporal = await connections.temporal();
  const glance = await workflowGlances(temporal, options.workflowId);
  const checkpoints = checkpointGlances(connections, options);
  let opened = false;
  while (!options.signal.aborted) {
    // The workflow first: a ledger read after its end has all that it wrote.
    const workflow = await glance();
    const cycle = await findCycle(connections, options).catch(none);
    opened ||= cycle !== undefined && !isClosed(cycle.state);
    const isTraining = (cycle?.states.training ?? 0) > 0;
    const made = isTraining ? await checkpoints() : 0;
    const snapshot = { ...toSnapshot(cycle, workflow, opened), checkpoints: made };
    yield snapshot;
    if (snapshot.ended) return;
    await wait(options.everyMs ?? 500, undefined, { signal: options.signal }).catch(
      () => undefined,
    );
  }
}

/** Before the first worker there are no tables to look into. */
function none(error: unknown): undefined {
  if (error instanceof LedgerEmpty) return undefined;
  throw error;
}

interface WorkflowGlance {
  readonly running: boolean;
  readonly completed: boolean;
  readonly exportedRows: number;
  readonly polled: boolean;
  readonly failure?: string;
}

function toSnapshot(
  cycle: Cycle | undefined,
  workflow: WorkflowGlance,
  opened: boolean,
): Omit<CycleSnapshot, "checkpoints"> {
  const states = cycle?.states ?? {};
  const publishing = (states.approved ?? 0) > 0;
  const failed = !workflow.running && !workflow.completed;
  return {
    phase: phaseOf(cycle, workflow, { publishing, opened }),
    ...(cycle === undefined ? {} : { cycle }),
    customers: cycle?.customers ?? 0,
    states,
    exportedRows: workflow.exportedRows,
    withoutWorker: workflow.running && !workflow.polled,
    ...(workflow.failure === undefined ? {} : { failure: workflow.failure }),
    ended: failed || (!workflow.running && !publishing),
  };
}

function phaseOf(
  cycle: Cycle | undefined,
  workflow: WorkflowGlance,
  { publishing, opened }: { publishing: boolean; opened: boolean },
): CycleSnapshot["phase"] {
  if (cycle === undefined) return workflow.running ? "starting" : "failed";
  // An earlier run of the cycle has left its state; the new one has not opened the cycle yet.
  if (workflow.running && isClosed(cycle.state) && !opened) return "starting";
  if (!workflow.running && !workflow.completed) return "failed";
  return cycle.state === "completed" && publishing ? "publishing" : cycle.state;
}

const isClosed = (state: CycleState) => ["completed", "failed", "cancelled"].includes(state);

/** Describes the workflow at most once a second, and asks for pollers while nothing moves. */
async function workflowGlances(
  temporal: Client,
  workflowId: string,
): Promise<() => Promise<WorkflowGlance>> {
  let at = 0;
  let last: WorkflowGlance | undefined;
  return async () => {
    if (last !== undefined && (Date.now() - at < 900 || !last.running)) return last;
    at = Date.now();
    last = await glanceAt(temporal, workflowId);
    return last;
  };
}

async function glanceAt(temporal: Client, workflowId: string): Promise<WorkflowGlance> {
  const handle = temporal.workflow.getHandle(workflowId);
  const { status, raw } = await handle.describe();
  const running = status.name === "RUNNING" || status.name === "CONTINUED_AS_NEW";
  const failed = !running && status.name !== "COMPLETED";
  return {
    running,
    completed: status.name === "COMPLETED",
    exportedRows: heartbeatRows(raw.pendingActivities ?? []),
    polled: running ? await isPolled(temporal) : true,
    ...(failed ? { failure: await failureOf(temporal, workflowId) } : {}),
  };
}

/** exportDataset heartbeats with `{customers, rows}`. */
function heartbeatRows(
  activities: readonly {
    heartbeatDetails?: { payloads?: { data?: Uint8Array | null }[] | null } | null;
  }[],
): number {
  for (const { heartbeatDetails } of activities) {
    const text = heartbeatDetails?.payloads?.[0]?.data;
    if (!text) continue;
    try {
      const details: unknown = JSON.parse(Buffer.from(text).toString());
      if (typeof details === "object" && details !== null && "rows" in details) {
        return Number(details.rows);
      }
    } catch {
      continue; // Another activity's details.
    }
  }
  return 0;
}

/** A worker asks again at least once a minute, for that is how long the server lets it wait. */
const POLL_SECONDS = 90;

/** Whether a worker has asked for activities of late: on both queues workers do. */
export async function isPolled(temporal: Client, queue: string = TASK_QUEUES.control) {
  const { pollers } = await temporal.workflowService.describeTaskQueue({
    namespace: temporal.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: 2, // TASK_QUEUE_TYPE_ACTIVITY
  });
  const since = Date.now() / 1000 - POLL_SECONDS;
  return (pollers ?? []).some((poller) => Number(poller.lastAccessTime?.seconds ?? 0) > since);
}

async function failureOf(temporal: Client, workflowId: string): Promise<string> {
  const failed: unknown = await temporal.workflow
    .getHandle(workflowId)
    .result()
    .catch((error: unknown) => error);
  return rootMessage(failed);
}

/** Temporal wraps failures; the innermost is the one that says what happened. */
function rootMessage(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return messageOf(root);
}
