/** Hands what is asked of a stage's endpoint to the workflow that owns it. */
import type { Client } from "@temporalio/client";
import { defineSearchAttributeKey } from "@temporalio/common";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import {
  publish,
  TASK_QUEUES,
  withdraw,
  workflowIds,
  WORKFLOWS,
  type Pace,
  type Publication,
  type ServeEndpointInput,
  type Withdrawal,
} from "../workflows/messages.js";

export interface PublicationDependencies {
  readonly temporal: Client;
}

export interface RequestPublicationInput {
  readonly fleet: string;
  readonly stage: string;
  readonly publication: Publication;
  readonly pace: Pace;
}

export interface RequestWithdrawalInput {
  readonly fleet: string;
  readonly stage: string;
  readonly withdrawal: Withdrawal;
  readonly pace: Pace;
}

export const createPublicationActivities = ({ temporal }: PublicationDependencies) => ({
  /** Signals `publish`, starting serveEndpoint if it does not run: a workflow cannot do both at once. */
  async requestPublication(input: RequestPublicationInput): Promise<void> {
    await temporal.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
      ...endpointOf(input),
      signal: publish,
      signalArgs: [input.publication],
    });
  },

  /** Signals `withdraw`, starting serveEndpoint if it does not run. */
  async requestWithdrawal(input: RequestWithdrawalInput): Promise<void> {
    await temporal.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
      ...endpointOf(input),
      signal: withdraw,
      signalArgs: [input.withdrawal],
    });
  },
});
export type PublicationActivities = ReturnType<typeof createPublicationActivities>;

/** What starts the workflow that owns a stage's endpoint. */
export function endpointOf({ fleet, stage, pace }: ServeEndpointInput) {
  const endpoint: ServeEndpointInput = { fleet, stage, pace };
  return {
    workflowId: workflowIds.serveEndpoint(fleet, stage),
    taskQueue: TASK_QUEUES.control,
    args: [endpoint],
    staticSummary: `endpoint of ${fleet} in ${stage}`,
    typedSearchAttributes: [
      { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: fleet },
    ],
  };
}
