/** Keeps an endpoint for each generation of a preprocessor that models serve behind, and none that nobody is pointed to. */
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { endpointName, pipelineEndpointName } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { permanent } from "./application-failure.js";
import { deleteEndpoint, deleteParts } from "./customer-endpoints.js";
import { collectConfigs } from "./endpoint-configs.js";
import { describeEndpoint, refreshEndpoint } from "./endpoint-refresh.js";
import { pipelineParts } from "./endpoint-request.js";
import {
  readLeavingCustomers,
  readPreprocessors,
  readServedGenerations,
} from "./ledger/pipelines.js";
import type { StageRef } from "./ledger/publications.js";
import { readReleasedSpec } from "./ledger/released-spec.js";
import { readSpec } from "./ledger/specs.js";
import { readCustomerVersions } from "./ledger/withdrawals.js";
import { pause } from "./patience.js";
import { versionToServe } from "./restore-artifact.js";

export interface PipelineDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
  readonly pollSeconds: number;
}

/** One after another: a second one is wanted only while customers move from one generation to the next. */
export async function refreshPipelines(
  dependencies: PipelineDependencies,
  place: StageRef,
): Promise<void> {
  const { ledger, sagemaker } = dependencies;
  const { fleet, stage } = place;
  const known = await readPreprocessors(ledger, fleet);
  for (const generation of await wantedGenerations(ledger, place)) {
    if (generation === null) continue;
    const preprocessor = known.find((one) => one.generation === generation);
    if (preprocessor === undefined) throw unknownPreprocessor(fleet, generation);
    const { specHash, artifactUri } = preprocessor;
    const parts = pipelineParts({
      ...dependencies,
      ...{ stage, generation, artifactUri },
      spec: await readReleasedSpec(ledger, fleet, generation),
      preprocessor: preprocessorOf(await readSpec(ledger, { fleet, specHash }), generation),
    });
    const live = await refreshEndpoint(dependencies, parts, false);
    if (live === parts.config.EndpointConfigName)
      await collectConfigs(sagemaker, parts.endpointName, live);
  }
}

/** Of what serves, of what is about to, and of what a denied version makes way for. */
async function wantedGenerations(
  ledger: pg.Pool,
  place: StageRef,
): Promise<ReadonlySet<number | null>> {
  const wanted = new Set(await readServedGenerations(ledger, place));
  for (const customerKey of await readLeavingCustomers(ledger, place)) {
    const next = versionToServe(await readCustomerVersions(ledger, place, customerKey));
    if (next !== null) wanted.add(next.generation);
  }
  return wanted;
}

function preprocessorOf({ name, training }: FleetSpec, generation: number) {
  if (training.kind !== "pipeline") throw unknownPreprocessor(name, generation);
  return training.preprocessor;
}

const unknownPreprocessor = (fleet: string, generation: number) =>
  permanent(FAILURES.specInvalid, {
    message: `the ledger has no preprocessor of generation ${generation} of fleet "${fleet}"`,
    hint: "run the fleet's cycle again: it fits one, and trains the models behind it",
  });

/**
 * Deletes the stage's shared endpoints that no customer is pointed to any more, a while after the last of them left:
 * who has just read his pointer still calls there. Only one pass of an endpoint's workflow at a time may do this.
 */
export async function removeUnusedEndpoints(
  { ledger, sagemaker }: PipelineDependencies,
  place: StageRef,
  graceSeconds: number,
): Promise<void> {
  const { fleet, stage } = place;
  const known = await readPreprocessors(ledger, fleet);
  if (known.length === 0) return;
  const wanted = await wantedGenerations(ledger, place);
  const candidates = [
    ...(wanted.has(null) ? [] : [endpointName(fleet, stage)]),
    ...known
      .filter(({ generation }) => !wanted.has(generation))
      .map(({ generation }) => pipelineEndpointName(fleet, stage, generation)),
  ];
  const unused: string[] = [];
  for (const name of candidates) {
    const status = (await describeEndpoint(sagemaker, name))?.EndpointStatus;
    if (status !== undefined && status !== "Deleting") unused.push(name);
  }
  if (unused.length === 0) return;
  await pause(graceSeconds);
  for (const name of unused) {
    await deleteEndpoint(sagemaker, name);
    await deleteParts(sagemaker, name);
    log.info("endpoint deleted that nobody is pointed to", { ...place, endpointName: name });
  }
}
