/** Keeps an endpoint for each generation of a preprocessor that models serve behind. */
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { endpointOfStage } from "../fleet/stages.js";
import { permanent } from "./application-failure.js";
import { collectConfigs } from "./endpoint-configs.js";
import { refreshEndpoint } from "./endpoint-refresh.js";
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
import { versionToServe } from "./restore-artifact.js";
import { copyToStage, type StageStore } from "./served-code.js";

export interface PipelineDependencies extends StageStore {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly region: string;
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
    const released = await readReleasedSpec(ledger, fleet, { generation });
    const declared = released.stages.find(({ name }) => name === stage);
    const endpoint = endpointOfStage(released.endpoint, declared);
    const parts = pipelineParts({
      ...dependencies,
      ...{ stage, generation },
      artifactUri: await copyToStage(dependencies, artifactUri),
      spec: { ...released, endpoint },
      preprocessor: preprocessorOf(await readSpec(ledger, { fleet, specHash }), generation),
    });
    const live = await refreshEndpoint(dependencies, parts, false);
    if (live === parts.config.EndpointConfigName)
      await collectConfigs(sagemaker, parts.endpointName, live);
  }
}

/** Of what serves, of what is about to, and of what a denied version makes way for. */
export async function wantedGenerations(
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
