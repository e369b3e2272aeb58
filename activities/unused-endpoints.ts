/** Deletes the endpoints of a stage that no customer is pointed to any more. */
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import type pg from "pg";
import { endpointName, pipelineEndpointName } from "../fleet/names.js";
import { deleteEndpoint, deleteParts, removeCustomerEndpoint } from "./customer-endpoints.js";
import { describeEndpoint } from "./endpoint-refresh.js";
import { inParallel } from "./in-parallel.js";
import {
  hasLeftEndpoints,
  readEndpointErrands,
  unwantLeftEndpoints,
} from "./ledger/customer-endpoints.js";
import { isServedOtherwise, readPreprocessors } from "./ledger/pipelines.js";
import type { StageRef } from "./ledger/publications.js";
import { pause } from "./patience.js";
import { wantedGenerations } from "./pipeline-endpoints.js";

export interface UnusedEndpointDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
}

/** Of customers; each is a handful of calls. */
const REMOVALS_AT_A_TIME = 8;

/**
 * Of a preprocessor's older generations, and of another kind than the fleet has changed to. A while after the last
 * customer left: who has just read his pointer still calls there. Only one pass of an endpoint's workflow at a time
 * may do this.
 */
export async function removeUnusedEndpoints(
  dependencies: UnusedEndpointDependencies,
  place: StageRef,
  graceSeconds: number,
): Promise<void> {
  const { ledger, sagemaker } = dependencies;
  const shared = await unusedShared(dependencies, place);
  const hasLeft = await hasLeftEndpoints(ledger, place);
  if (shared.length === 0 && !hasLeft) return;
  await pause(graceSeconds);
  for (const name of shared) {
    await deleteEndpoint(sagemaker, name);
    await deleteParts(sagemaker, name);
    log.info("endpoint deleted that nobody is pointed to", { ...place, endpointName: name });
  }
  if (hasLeft) await removeLeft(dependencies, place);
}

async function unusedShared(
  { ledger, sagemaker }: UnusedEndpointDependencies,
  place: StageRef,
): Promise<string[]> {
  const { fleet, stage } = place;
  const known = await readPreprocessors(ledger, fleet);
  const wanted = await wantedGenerations(ledger, place);
  const candidates = [
    ...((await isLeft(ledger, place, wanted)) ? [endpointName(fleet, stage)] : []),
    ...known
      .filter(({ generation }) => !wanted.has(generation))
      .map(({ generation }) => pipelineEndpointName(fleet, stage, generation)),
  ];
  const unused: string[] = [];
  for (const name of candidates) {
    const status = (await describeEndpoint(sagemaker, name))?.EndpointStatus;
    if (status !== undefined && status !== "Deleting") unused.push(name);
  }
  return unused;
}

/**
 * Whether the endpoint of a fleet that was multi-model is of no use any more: its customers are served otherwise. Where
 * nobody is served at all it stays, as the first model may have been refused and the next one comes there. No way back
 * leads to it: the version before returns on the endpoint that serves.
 */
const isLeft = async (
  ledger: pg.Pool,
  place: StageRef,
  wanted: ReadonlySet<number | null>,
): Promise<boolean> => !wanted.has(null) && (await isServedOtherwise(ledger, place));

/** Endpoints of single customers whom a shared one serves by now; what is left of it is done with the next refresh. */
async function removeLeft(
  dependencies: UnusedEndpointDependencies,
  place: StageRef,
): Promise<void> {
  await unwantLeftEndpoints(dependencies.ledger, place);
  const errands = await readEndpointErrands(dependencies.ledger, place);
  const unwanted = errands.filter(({ version }) => version === null);
  await inParallel(REMOVALS_AT_A_TIME, unwanted, ({ customerKey }) =>
    removeCustomerEndpoint(dependencies, place, customerKey),
  );
}
