/** Has a fleet taken down by its worker, and tells beforehand what there is. */
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
import { resultOf } from "./workflow-result.js";

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
