/** Starts a cycle's workflow, or finds the one that runs or ran for the same time. */
import { defineSearchAttributeKey, TypedSearchAttributes } from "@temporalio/common";
import { WorkflowExecutionAlreadyStartedError, type Client } from "@temporalio/client";
import { cycleId } from "../fleet/names.js";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import { cycleWindow } from "../fleet/window.js";
import {
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type Pace,
  type RetrainFleetInput,
} from "../workflows/messages.js";
import { uploadCode } from "./code-upload.js";
import type { Connections } from "./connections.js";
import type { LoadedFleet } from "./fleet-file.js";
import { requireImages } from "./image-check.js";
import type { TimeWindow } from "./warehouse.js";

export interface CycleRun {
  readonly fleet: string;
  readonly cycle: string;
  readonly window: TimeWindow;
  readonly workflowId: string;
  readonly runId: string;
  /** `started` just now; `attached`: it was running; `completed`: it had ended before, and was left so. */
  readonly how: "started" | "attached" | "completed";
}

export interface RunOptions {
  /** ISO time the cycle is for. */
  readonly at: string;
  /** Train unchanged customers too, and run a cycle again that has completed. */
  readonly force: boolean;
  /** One training job in place of each search; a cycle of its own. */
  readonly testing?: boolean;
  readonly pace?: Pace;
}

export async function runCycle(
  connections: Connections,
  loaded: LoadedFleet,
  { at, force, testing = false, pace }: RunOptions,
): Promise<CycleRun> {
  const { spec } = loaded;
  const cycle = cycleId(at, { testing });
  const workflowId = workflowIds.retrainFleet(spec.name, cycle);
  const window = cycleWindow(spec.source.window, at);
  requireImages(loaded, connections.environment);
  const temporal = await connections.temporal();
  await uploadCode(connections, loaded);
  const input: RetrainFleetInput = {
    spec,
    at,
    force,
    testing,
    ...(pace === undefined ? {} : { pace }),
  };
  try {
    const handle = await temporal.workflow.start(WORKFLOWS.retrainFleet, {
      workflowId,
      taskQueue: TASK_QUEUES.control,
      args: [input],
      // A cycle that failed may be tried again; one that completed is done unless forced.
      workflowIdReusePolicy: force ? "ALLOW_DUPLICATE" : "ALLOW_DUPLICATE_FAILED_ONLY",
      workflowIdConflictPolicy: "FAIL",
      typedSearchAttributes: searchAttributes(spec.name, cycle),
      staticSummary: `retrain ${spec.name} for ${cycle}`,
    });
    const { firstExecutionRunId: runId } = handle;
    return { fleet: spec.name, cycle, window, workflowId, runId, how: "started" };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const found = await existing(temporal, workflowId);
    return { fleet: spec.name, cycle, window, workflowId, ...found };
  }
}

async function existing(
  temporal: Client,
  workflowId: string,
): Promise<{ runId: string; how: "attached" | "completed" }> {
  const { runId, status } = await temporal.workflow.getHandle(workflowId).describe();
  return { runId, how: status.name === "RUNNING" ? "attached" : "completed" };
}

function searchAttributes(fleet: string, cycle: string): TypedSearchAttributes {
  return new TypedSearchAttributes([
    { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: fleet },
    { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.cycle, "KEYWORD"), value: cycle },
  ]);
}
