/** Hands an approved version to the workflow that owns the stage's endpoint. */
import type { Client } from "@temporalio/client";
import { defineSearchAttributeKey } from "@temporalio/common";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import {
  publish,
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type Pace,
  type Publication,
  type ServeEndpointInput,
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

export const createPublicationActivities = ({ temporal }: PublicationDependencies) => ({
  /** Signals `publish`, starting serveEndpoint if it does not run: a workflow cannot do both at once. */
  async requestPublication(input: RequestPublicationInput): Promise<void> {
    const { fleet, stage, publication, pace } = input;
    const endpoint: ServeEndpointInput = { fleet, stage, pace };
    await temporal.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
      workflowId: workflowIds.serveEndpoint(fleet, stage),
      taskQueue: TASK_QUEUES.control,
      args: [endpoint],
      signal: publish,
      signalArgs: [publication],
      staticSummary: `endpoint of ${fleet} in ${stage}`,
      typedSearchAttributes: [
        { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: fleet },
      ],
    });
  },
});
export type PublicationActivities = ReturnType<typeof createPublicationActivities>;
