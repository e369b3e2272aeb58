/** Approves or denies a model version by way of its release workflow's `decide` update. */
import { WorkflowNotFoundError, WorkflowUpdateFailedError } from "@temporalio/client";
import { decide, workflowIds, type Decision } from "../workflows/messages.js";
import type { Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import { isPolled } from "./watch-cycle.js";

/** A worker answers an update within milliseconds; without one it would wait for ever. */
const ANSWER_TIMEOUT_MS = 20_000;

export async function decideModel(
  connections: Connections,
  model: { fleet: string; customer: string; customerKey: string; version: number },
  decision: Decision,
): Promise<Decision> {
  const temporal = await connections.temporal();
  const workflowId = workflowIds.releaseModel(model.fleet, model.customerKey, model.version);
  const handle = temporal.workflow.getHandle(workflowId);
  const name = `version ${model.version} of "${model.customer}"`;
  try {
    return await temporal.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      handle.executeUpdate(decide, { args: [decision] }),
    );
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) {
      throw new ClientError(`${name} was not decided: ${messageOf(error.cause ?? error)}`);
    }
    if (error instanceof WorkflowNotFoundError) {
      throw new ClientError(
        `${name} no longer waits for a decision`,
        `modelfleet models ${model.fleet}`,
        { cause: error },
      );
    }
    if (await isPolled(temporal).catch(() => true)) throw error;
    throw new ClientError("no worker runs, so nobody carries decisions out", "modelfleet worker");
  }
}
