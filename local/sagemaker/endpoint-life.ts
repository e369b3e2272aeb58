/** The life of endpoints: created, updated with a way back, deleted, and found again after a restart. */
import { setTimeout as pause } from "node:timers/promises";
import { arnOf } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import type { Deployment, Documents } from "./documents.js";
import { instancesOf, summarizeVariants } from "./endpoint-plan.js";
import type { FaultInjector } from "./faults.js";
import { persistently } from "./persistently.js";
import { drain } from "./serving-fleets.js";
import type { ServingFleets } from "./serving-fleets.js";
import type { Row, Store } from "./store.js";

export interface EndpointLifeParts {
  readonly store: Store;
  readonly faults: FaultInjector;
  readonly fleets: ServingFleets;
  readonly onUnexpected: (error: unknown, key: ResourceKey) => void;
  /** After this nothing is written: the containers end because the server does. */
  readonly closing: AbortSignal;
}

type EndpointKey = ResourceKey<"endpoint">;
type Endpoint = Documents["endpoint"];

export interface EndpointLife {
  /** Each answers at once; what becomes of it stands in the endpoint's status. */
  create(key: EndpointKey, deployment: Deployment): void;
  update(key: EndpointKey, deployment: Deployment): void;
  takeDown(key: EndpointKey): void;
  /** After a change whose outcome nobody knows, since the database went away: goes on with what it left. */
  recover(key: EndpointKey): void;
  /** After a start of the server: every endpoint comes back to where its owner left it. */
  resume(): Promise<void>;
}

/** Statuses that end by themselves. */
const unsettled = ["Creating", "Updating", "RollingBack", "Deleting"];

export function createEndpointLife(parts: EndpointLifeParts): EndpointLife {
  const underWay = new Set<string>();
  const background = (key: EndpointKey, work: Promise<void>): void => {
    const arn = arnOf(key);
    underWay.add(arn);
    void work
      .catch((error: unknown) => parts.onUnexpected(error, key))
      .finally(() => underWay.delete(arn));
  };
  const recover = async (key: EndpointKey): Promise<void> => {
    const row = await persistently(() => parts.store.find(key));
    const isOrphan = row !== undefined && unsettled.includes(row.status ?? "");
    if (isOrphan && !underWay.has(arnOf(key))) background(key, goOn(parts, row));
  };
  return {
    create: (key, deployment) => background(key, create(parts, key, deployment)),
    update: (key, deployment) => background(key, update(parts, key, deployment)),
    takeDown: (key) => background(key, takeDown(parts, key)),
    recover: (key) => void recover(key).catch((error: unknown) => parts.onUnexpected(error, key)),
    resume: async () => {
      for (const row of await parts.store.inStatus("endpoint", ["InService", ...unsettled]))
        background(row.key, resume(parts, row));
    },
  };
}

async function create(
  parts: EndpointLifeParts,
  key: EndpointKey,
  deployment: Deployment,
): Promise<void> {
  try {
    const fleet = await parts.fleets.bringUp(key, deployment);
    void parts.fleets.serve(key, Promise.resolve(fleet));
    await inService(parts, key, deployment);
  } catch (error) {
    await change(parts, key, "Failed", { FailureReason: reasonOf(error) });
  }
}

/** Blue and green: the old fleet serves until the new one is up, and for ever when it does not come up. */
async function update(
  parts: EndpointLifeParts,
  key: EndpointKey,
  deployment: Deployment,
): Promise<void> {
  const { updateEndpoint, endpointStartSeconds = 0 } = parts.faults.current();
  try {
    if (updateEndpoint !== undefined) {
      await pause(endpointStartSeconds * 1000);
      throw new Error(
        "Request to service failed. If failure persists after retry, contact support.",
      );
    }
    const green = await parts.fleets.bringUp(key, deployment);
    const blue = parts.fleets.serve(key, Promise.resolve(green));
    await inService(parts, key, deployment);
    await drain(blue);
  } catch (error) {
    const FailureReason = reasonOf(error);
    if (updateEndpoint !== "fail") return rollBack(parts, key, FailureReason);
    await change(parts, key, "Failed", { FailureReason });
    await parts.fleets.takeDown(key); // A failed endpoint answers nobody, and can only be deleted.
  }
}

async function takeDown({ fleets, store }: EndpointLifeParts, key: EndpointKey): Promise<void> {
  await fleets.takeDown(key);
  await persistently(() => store.remove(key));
}

/** What served serves again (its callers only wait for the fleet); then whatever was under way goes on. */
async function resume(parts: EndpointLifeParts, row: Row<"endpoint">): Promise<void> {
  const { serving } = row.hidden;
  if (serving && row.status !== "Deleting") {
    const fleet = parts.fleets.bringUp(row.key, serving);
    void parts.fleets.serve(row.key, fleet);
    try {
      await fleet;
    } catch (error) {
      return change(parts, row.key, "Failed", { FailureReason: reasonOf(error) });
    }
  }
  await goOn(parts, row);
}

async function goOn(
  parts: EndpointLifeParts,
  { key, status, hidden: { serving, next } }: Row<"endpoint">,
): Promise<void> {
  if (status === "Deleting") return takeDown(parts, key);
  if (!next) return;
  await (serving ? update(parts, key, next) : create(parts, key, next));
}

function inService(
  parts: EndpointLifeParts,
  key: EndpointKey,
  deployment: Deployment,
): Promise<void> {
  return change(parts, key, "InService", {
    EndpointConfigName: deployment.config.EndpointConfigName,
    ProductionVariants: summarizeVariants(deployment),
    serving: deployment,
  });
}

/** The endpoint is InService again on what it had; only FailureReason tells that an update failed. */
async function rollBack(
  parts: EndpointLifeParts,
  key: EndpointKey,
  FailureReason: string,
): Promise<void> {
  const serving = (await persistently(() => parts.store.find(key)))?.hidden.serving;
  await change(parts, key, "InService", { FailureReason, ...(serving && { serving }) });
}

interface EndpointChange extends Partial<Endpoint> {
  /** What serves after the change, and holds its instances. */
  readonly serving?: Deployment;
}

/** Every end of a deployment: what was pending no longer is. */
async function change(
  { store, closing }: EndpointLifeParts,
  key: EndpointKey,
  status: Endpoint["EndpointStatus"],
  { serving, ...document }: EndpointChange,
): Promise<void> {
  if (closing.aborted) return;
  const modifiedAt = Date.now() / 1000;
  await persistently(() =>
    store.update(key, {
      document: { ...document, EndpointStatus: status, LastModifiedTime: modifiedAt },
      remove: ["PendingDeploymentSummary"],
      hidden: { next: null, ...(serving && { serving, instances: instancesOf(serving) }) },
      status,
      modifiedAt,
    }),
  );
}

/** AWS, DescribeEndpoint: FailureReason has at most 1024 characters. */
function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1024);
}
