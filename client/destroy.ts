/** Has a fleet taken down by its worker, and tells beforehand what there is. */
import { setTimeout as wait } from "node:timers/promises";
import type { WorkflowHandleWithFirstExecutionRunId } from "@temporalio/client";
import { defineSearchAttributeKey } from "@temporalio/common";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import {
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type DestroyFleetInput,
} from "../workflows/messages.js";
import type { destroyFleet } from "../workflows/destroy-fleet.js";
import type { Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import { isPolled } from "./watch-cycle.js";

export type FleetInventory = Awaited<ReturnType<typeof destroyFleet>>;

export interface DestructionPart {
  readonly fleet: string;
  /** By default the whole fleet. */
  readonly stage?: string | undefined;
}

/** What would go. Changes nothing. */
export async function inspectFleet(
  connections: Connections,
  part: DestructionPart,
): Promise<FleetInventory> {
  const workflowId = workflowIds.inspectFleet(part.fleet);
  const looking = { ...part, cancel: false, by: "", dryRun: true };
  return resultOf(connections, await start(connections, workflowId, looking));
}

/** It goes on without us: another call finds the one that runs, or what that has left. */
export async function destroy(
  connections: Connections,
  part: DestructionPart & { readonly cancel: boolean; readonly by: string },
): Promise<FleetInventory> {
  const workflowId = workflowIds.destroyFleet(part.fleet);
  return resultOf(connections, await start(connections, workflowId, { ...part, dryRun: false }));
}

export const isNothingLeft = (found: FleetInventory): boolean =>
  found.endpoints.count +
    found.endpointConfigs.count +
    found.models.count +
    found.modelPackageGroups.count +
    found.objects.count +
    found.workflows.count +
    Object.keys(found.ledgerRows).length ===
    0 && !found.hasSchedule;

async function start(
  connections: Connections,
  workflowId: string,
  { stage, ...part }: DestroyFleetInput | (DestructionPart & Omit<DestroyFleetInput, "stage">),
) {
  const temporal = await connections.temporal();
  const input: DestroyFleetInput = { ...part, ...(stage === undefined ? {} : { stage }) };
  return temporal.workflow.start<typeof destroyFleet>(WORKFLOWS.destroyFleet, {
    workflowId,
    taskQueue: TASK_QUEUES.control,
    args: [input],
    workflowIdConflictPolicy: "USE_EXISTING",
    typedSearchAttributes: [
      { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: input.fleet },
    ],
    staticSummary: input.dryRun ? `What ${input.fleet} has made` : `Destroy ${input.fleet}`,
  });
}

/** A worker asks for work about once a minute; one that has just started has asked. */
const LOOK_MS = 2000;

async function resultOf(
  connections: Connections,
  handle: WorkflowHandleWithFirstExecutionRunId<typeof destroyFleet>,
): Promise<FleetInventory> {
  const temporal = await connections.temporal();
  const isOver = new AbortController();
  const idle = async (): Promise<never> => {
    for (;;) {
      await wait(LOOK_MS, undefined, { signal: isOver.signal });
      if (await isPolled(temporal).catch(() => true)) continue;
      throw new ClientError(
        "no worker runs, so nothing happens: it begins as soon as one does",
        "modelfleet worker",
      );
    }
  };
  try {
    return await Promise.race([handle.result(), idle()]);
  } catch (error) {
    if (error instanceof ClientError) throw error;
    throw refusal(error);
  } finally {
    isOver.abort();
  }
}

/** Temporal wraps failures; the innermost says what happened, and what to do about it. */
function refusal(error: unknown): ClientError {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  const details: unknown =
    root instanceof Error && "details" in root && Array.isArray(root.details)
      ? root.details[0]
      : undefined;
  const hint =
    typeof details === "object" && details !== null && "hint" in details ? details.hint : undefined;
  return new ClientError(
    messageOf(root),
    typeof hint === "string" ? hint : "run the same command again: it goes on with what is left",
    { cause: error },
  );
}
