/** Has a version taken out of service by a workflow of its own. */
import type { Client } from "@temporalio/client";
import { defineSearchAttributeKey } from "@temporalio/common";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import {
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type WithdrawModelInput,
} from "../workflows/messages.js";

/** One that was started by an earlier attempt goes on. `summary`: what the list of workflows says of it. */
export async function startWithdrawal(
  temporal: Client,
  input: WithdrawModelInput,
  summary: string,
): Promise<void> {
  const { fleet, customerKey, version } = input;
  await temporal.workflow.start(WORKFLOWS.withdrawModel, {
    workflowId: workflowIds.withdrawModel(fleet, customerKey, version),
    taskQueue: TASK_QUEUES.control,
    args: [input],
    workflowIdConflictPolicy: "USE_EXISTING",
    typedSearchAttributes: [
      { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: fleet },
      { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.customer, "KEYWORD"), value: customerKey },
    ],
    staticSummary: summary,
  });
}
