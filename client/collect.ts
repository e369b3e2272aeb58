/** Has what a fleet no longer needs deleted by its worker, and tells beforehand what that is. */
import { defineSearchAttributeKey } from "@temporalio/common";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import type { collectFleet } from "../workflows/collect-fleet.js";
import {
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type CollectFleetInput,
} from "../workflows/messages.js";
import type { Connections } from "./connections.js";
import { resultOf } from "./workflow-result.js";

export type CollectionReport = Awaited<ReturnType<typeof collectFleet>>;

/** What would go. Changes nothing. Throws ClientError when the ledger has no cycle of the fleet. */
export const inspectCollection = (
  connections: Connections,
  fleet: string,
): Promise<CollectionReport> =>
  start(connections, workflowIds.inspectCollection(fleet), { fleet, by: "", dryRun: true });

/** It goes on without us: another call finds the one that runs, or what that has left. */
export const collect = (
  connections: Connections,
  { fleet, by }: { readonly fleet: string; readonly by: string },
): Promise<CollectionReport> =>
  start(connections, workflowIds.collectFleet(fleet), { fleet, by, dryRun: false });

export const isNothingCollectible = (found: CollectionReport): boolean =>
  found.versions.count +
    found.artifacts.count +
    found.datasets.count +
    found.copies.count +
    found.modelPackages +
    found.endpointConfigs.count +
    found.models.count +
    found.retiring.count ===
  0;

async function start(
  connections: Connections,
  workflowId: string,
  input: CollectFleetInput,
): Promise<CollectionReport> {
  const temporal = await connections.temporal();
  const handle = await temporal.workflow.start<typeof collectFleet>(WORKFLOWS.collectFleet, {
    workflowId,
    taskQueue: TASK_QUEUES.control,
    args: [input],
    workflowIdConflictPolicy: "USE_EXISTING",
    typedSearchAttributes: [
      { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: input.fleet },
    ],
    staticSummary: input.dryRun
      ? `What ${input.fleet} no longer needs`
      : `Delete what ${input.fleet} no longer needs`,
  });
  return resultOf(connections, handle);
}
