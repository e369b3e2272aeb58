/** What all workflows of one fleet cost, by type, counted from their histories. */
import type { Client } from "@temporalio/client";
import { inFlight } from "../in-flight.mjs";
import { addCosts, historyCost, NO_COST, type HistoryCost } from "./history-cost.js";

export interface TypeCost extends HistoryCost {
  readonly runs: number;
}

/** Histories fetched at a time. */
const CONCURRENCY = 10;

/**
 * The job watcher serves all fleets of the account and carries no fleet's name: its runs are found by their type,
 * which is right as long as one fleet runs at a time.
 */
export async function workflowCosts(
  client: Client,
  fleet: string,
  since: Date,
): Promise<ReadonlyMap<string, TypeCost>> {
  const query =
    `(Fleet = "${fleet}" or WorkflowType = "watchJobs") ` +
    `and StartTime >= "${since.toISOString()}"`;
  const runs: { workflowId: string; runId: string; type: string }[] = [];
  for await (const run of client.workflow.list({ query })) runs.push(run);
  const costs = new Map<string, TypeCost>();
  await inFlight({ count: runs.length, limit: CONCURRENCY }, async (number) => {
    const run = runs[number];
    if (run === undefined) return;
    const history = await client.workflow.getHandle(run.workflowId, run.runId).fetchHistory();
    const before = costs.get(run.type) ?? { ...NO_COST, runs: 0 };
    costs.set(run.type, { ...addCosts(before, historyCost(history)), runs: before.runs + 1 });
  });
  return costs;
}
