/** Changes a version's way through its fleet's stages, by its release workflow's `promote` update. */
import { randomUUID } from "node:crypto";
import { WorkflowNotFoundError, WorkflowUpdateFailedError } from "@temporalio/client";
import type { PromotionCommand } from "../fleet/promotion.js";
import { promote, workflowIds } from "../workflows/messages.js";
import type { Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import { askLedger, findCustomer } from "./ledger.js";
import { isPolled } from "./watch-cycle.js";

/** A worker answers an update within milliseconds; without one it would wait for ever. */
const ANSWER_TIMEOUT_MS = 20_000;

export interface PromotedModel {
  readonly fleet: string;
  readonly customer: string;
  readonly customerKey: string;
  readonly version: number;
}

/** The version that is named, or else the newest that is on its way. Throws ClientError when there is none. */
export async function findPromotion(
  connections: Connections,
  { fleet, customer, version }: { fleet: string; customer: string; version?: number },
): Promise<PromotedModel> {
  const known = await findCustomer(connections, { fleet, customer });
  if (version !== undefined) return { fleet, ...known, version };
  const [row] = await askLedger<{ version: number | null }>(
    connections,
    `select max(version) as version from promotions
      where fleet = $1 and customer_key = $2
        and state in ('ahead', 'approval', 'stage-approval', 'held', 'lag', 'publishing')`,
    [fleet, known.customerKey],
  );
  if (row?.version != null) return { fleet, ...known, version: row.version };
  throw new ClientError(
    `no version of "${known.customer}" is on its way through the stages`,
    `modelfleet status ${fleet} --stages`,
  );
}

/** Throws ClientError with the release's own words when it refuses, when its way is over, and when no worker answers. */
export async function changePromotion(
  connections: Connections,
  model: PromotedModel,
  command: PromotionCommand,
): Promise<void> {
  const { fleet, customer, customerKey, version } = model;
  const name = `version ${version} of "${customer}"`;
  const temporal = await connections.temporal();
  const handle = temporal.workflow.getHandle(workflowIds.releaseModel(fleet, customerKey, version));
  const args: [PromotionCommand] = [command];
  try {
    await temporal.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      handle.executeUpdate(promote, { args, updateId: randomUUID() }),
    );
  } catch (error) {
    const look = `modelfleet status ${fleet} --stages`;
    if (error instanceof WorkflowUpdateFailedError)
      throw new ClientError(`${name} goes on as it did: ${messageOf(error.cause ?? error)}`, look);
    if (error instanceof WorkflowNotFoundError)
      throw new ClientError(`${name} is not on its way through the stages`, look);
    const polled = await isPolled(temporal).catch(() => true);
    throw new ClientError(
      polled ? `no worker has answered: ${messageOf(error)}` : "no worker runs",
      "modelfleet worker; modelfleet doctor checks every part",
      error instanceof Error ? { cause: error } : {},
    );
  }
}
