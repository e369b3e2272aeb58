/** Tells whom a newly registered version concerns: older ones that still wait, and the registry's watcher. */
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import type pg from "pg";
import {
  superseded,
  TASK_QUEUES,
  wake,
  workflowIds,
  WORKFLOWS,
  type WatchRegistryInput,
} from "../workflows/messages.js";
import { olderUndecidedCohorts, type CohortRef } from "./ledger/cohorts.js";
import { olderUndecided } from "./ledger/decisions.js";
import { findModelPackageArn, type ReleaseRef } from "./ledger/releases.js";
import { claimRegistryWatch, giveUpRegistryWatch } from "./ledger/watched-versions.js";

export interface AnnounceDependencies {
  readonly ledger: pg.Pool;
  readonly temporal: Client;
  readonly watchSeconds: number;
}

/** A watcher that was not seen for this long is gone, or so far behind that another call does no harm. */
const staleSeconds = (watchSeconds: number): number => Math.max(30, 4 * watchSeconds);

/**
 * Call when the version is in the ledger, and again with every repeated attempt. A release that is not there to be
 * told, since its workflow is about to start, finds the newer version in the ledger as it does.
 */
export async function announceVersion(
  dependencies: AnnounceDependencies,
  registered: ReleaseRef,
): Promise<void> {
  const { ledger } = dependencies;
  const older = await olderUndecided(ledger, registered);
  await supersede(dependencies, older, registered.version);
  const place = placeOf(await findModelPackageArn(ledger, registered));
  if (place !== null) await wakeWatcher(dependencies, place);
}

/** The same for a cohort: older ones of other cycles give way. */
export async function announceCohort(
  dependencies: AnnounceDependencies,
  registered: CohortRef & { readonly modelPackageArn: string },
): Promise<void> {
  const older = await olderUndecidedCohorts(dependencies.ledger, registered);
  await supersede(dependencies, older, registered.version);
  const place = placeOf(registered.modelPackageArn);
  if (place !== null) await wakeWatcher(dependencies, place);
}

async function supersede(
  { temporal }: AnnounceDependencies,
  releases: readonly string[],
  version: number,
): Promise<void> {
  for (const workflowId of releases)
    try {
      await temporal.workflow.getHandle(workflowId).signal(superseded, { version });
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
}

/** It comes for as long as versions wait or serve there; one that is at work hears that it is wanted. */
export async function wakeWatcher(
  { ledger, temporal, watchSeconds }: AnnounceDependencies,
  place: WatchRegistryInput,
): Promise<void> {
  const { unwatched } = await claimRegistryWatch(ledger, place, staleSeconds(watchSeconds));
  if (!unwatched) return;
  const { account, region } = place;
  try {
    // With start, since the watcher may be gone; a signal, since it may be about to go.
    await temporal.workflow.signalWithStart(WORKFLOWS.watchRegistry, {
      workflowId: workflowIds.watchRegistry(account, region),
      taskQueue: TASK_QUEUES.control,
      args: [place],
      signal: wake,
      signalArgs: [],
      staticSummary: `Model registry of account ${account} in ${region}`,
    });
  } catch (error) {
    await giveUpRegistryWatch(ledger, place);
    throw error;
  }
}

/** `arn:aws:sagemaker:<region>:<account>:model-package/…`. */
function placeOf(arn: string | undefined): WatchRegistryInput | null {
  const [, , , region = "", account = ""] = arn?.split(":") ?? [];
  return region === "" || account === "" ? null : { account, region };
}
