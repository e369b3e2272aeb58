/** Changes the way of a version, or of a whole cohort, through its fleet's stages, by its release's `promote` update. */
import { randomUUID } from "node:crypto";
import { WorkflowNotFoundError, WorkflowUpdateFailedError } from "@temporalio/client";
import type { PromotionCommand } from "../fleet/promotion.js";
import { COHORT_KEY } from "../fleet/names.js";
import { promote, workflowIds } from "../workflows/messages.js";
import { findCohort } from "./cohorts.js";
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

/** All models of a sharded fleet's cycle, which move as one. */
export interface PromotedCohort {
  readonly fleet: string;
  readonly cycle: string;
  readonly version: number;
  readonly members: number;
}

/**
 * The version that is named, or else the newest that is on its way. Throws ClientError when there is none, and when it
 * moves with its cohort.
 */
export async function findPromotion(
  connections: Connections,
  { fleet, customer, version }: { fleet: string; customer: string; version?: number },
): Promise<PromotedModel> {
  const known = await findCustomer(connections, { fleet, customer });
  const [row] = await askLedger<{ version: number; cohort: boolean }>(
    connections,
    `select r.version, r.cohort
       from releases r
       join promotions p on p.fleet = r.fleet and p.version = r.version
                        and p.customer_key = case when r.cohort then $3 else r.customer_key end
      where r.fleet = $1 and r.customer_key = $2 and ($4::int is null or r.version = $4)
        and p.state in ('ahead', 'approval', 'stage-approval', 'held', 'lag', 'publishing')
      order by r.version desc limit 1`,
    [fleet, known.customerKey, COHORT_KEY, version ?? null],
  );
  if (row?.cohort === true)
    throw new ClientError(
      `version ${row.version} of "${known.customer}" moves through the stages with all models of its cohort`,
      `name the cohort, not the customer: modelfleet promote ${fleet} --version ${row.version} …`,
    );
  const found = version ?? row?.version;
  if (found !== undefined) return { fleet, ...known, version: found };
  throw new ClientError(
    `no version of "${known.customer}" is on its way through the stages`,
    `modelfleet status ${fleet} --stages`,
  );
}

/** The cohort that is named, by its cycle or its version. Throws ClientError when there is none. */
export async function findCohortPromotion(
  connections: Connections,
  named: { fleet: string; cycle?: string; version?: number },
): Promise<PromotedCohort> {
  const { fleet, cycle, version, members } = await findCohort(connections, named);
  return { fleet, cycle, version, members };
}

/** As messages and tables call it. */
export const nameOf = (promoted: PromotedModel | PromotedCohort): string =>
  "customer" in promoted
    ? `version ${promoted.version} of "${promoted.customer}"`
    : `version ${promoted.version} of all customers of "${promoted.fleet}"`;

const workflowIdOf = (promoted: PromotedModel | PromotedCohort): string =>
  "customer" in promoted
    ? workflowIds.releaseModel(promoted.fleet, promoted.customerKey, promoted.version)
    : workflowIds.releaseCohort(promoted.fleet, promoted.version);

/** Throws ClientError with the release's own words when it refuses, when its way is over, and when no worker answers. */
export async function changePromotion(
  connections: Connections,
  promoted: PromotedModel | PromotedCohort,
  command: PromotionCommand,
): Promise<void> {
  const { fleet } = promoted;
  const name = nameOf(promoted);
  const temporal = await connections.temporal();
  const handle = temporal.workflow.getHandle(workflowIdOf(promoted));
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
