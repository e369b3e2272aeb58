/** Brings the endpoints of single customers in line with what the ledger wants of them. */
import {
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  ListEndpointConfigsCommand,
  ListModelsCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import { ApplicationFailure } from "@temporalio/common";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { LIMITS } from "../fleet/limits.js";
import {
  endpointConfigPrefix,
  isOwnConfig,
  isOwnModel,
  s3Keys,
  targetModel,
} from "../fleet/names.js";
import { endpointOfStage } from "../fleet/stages.js";
import { messageOf, retryable } from "./application-failure.js";
import { collectConfigs } from "./endpoint-configs.js";
import { describeEndpoint, refreshEndpoint, refusedWith } from "./endpoint-refresh.js";
import { customerEndpointParts } from "./endpoint-request.js";
import { inParallel } from "./in-parallel.js";
import {
  forgetUnwanted,
  readEndpointErrands,
  recordEndpoint,
  type EndpointErrand,
} from "./ledger/customer-endpoints.js";
import type { StageRef } from "./ledger/publications.js";
import { readSpec } from "./ledger/specs.js";
import { patiently, pause } from "./patience.js";

export interface CustomerEndpointDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
  readonly pollSeconds: number;
}

/** Each takes minutes on AWS, nearly all of it waiting; a Describe of each is due every `pollSeconds`. */
const ENDPOINTS_AT_A_TIME = 25;
/** Tries of one endpoint when it is SageMaker that fails: more would keep the other customers waiting. */
const ATTEMPTS = 3;
const SECONDS_BETWEEN_ATTEMPTS = 5;

/**
 * One customer's trouble is not the others': an endpoint that cannot be made is recorded with the reason, and the
 * version that it was made for is rejected when it comes to be verified.
 */
export async function settleCustomerEndpoints(
  dependencies: CustomerEndpointDependencies,
  place: StageRef,
  told: (done: number, of: number) => void,
): Promise<void> {
  const errands = await readEndpointErrands(dependencies.ledger, place);
  let done = 0;
  await inParallel(ENDPOINTS_AT_A_TIME, errands, async (errand) => {
    await carryOut(dependencies, place, errand);
    done += 1;
    told(done, errands.length);
  });
}

async function carryOut(
  dependencies: CustomerEndpointDependencies,
  place: StageRef,
  errand: EndpointErrand,
): Promise<void> {
  const { ledger, sagemaker } = dependencies;
  const { customerKey, version } = errand;
  if (version === null) return removeCustomerEndpoint(dependencies, place, customerKey);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const live = await serveVersion(dependencies, place, errand);
      await recordEndpoint(ledger, place, errand, null);
      await collectConfigs(sagemaker, errand.endpointName, live);
      return;
    } catch (error) {
      if (!isOfTheEndpoint(error)) throw error;
      const { endpointName } = errand;
      const because = messageOf(error);
      log.warn("endpoint of a customer not made", { ...place, customerKey, attempt, because });
      if (error.nonRetryable === true || attempt === ATTEMPTS) {
        await removeFailed(dependencies, endpointName);
        const mayPass = error.nonRetryable !== true;
        return recordEndpoint(ledger, place, errand, { because, mayPass });
      }
    }
    await pause(SECONDS_BETWEEN_ATTEMPTS);
  }
}

const isOfTheEndpoint = (error: unknown): error is ApplicationFailure =>
  error instanceof ApplicationFailure &&
  (error.type === FAILURES.endpointFailed || error.type === FAILURES.quotaFull);

/** The name of the config that is in service, with the version in it. */
async function serveVersion(
  dependencies: CustomerEndpointDependencies,
  place: StageRef,
  errand: EndpointErrand,
): Promise<string> {
  const { fleet } = place;
  const { customerKey, endpointName, version, specHash, modelSpecHash } = errand;
  const capacity = await readSpec(dependencies.ledger, { fleet, specHash });
  const declared = capacity.stages.find(({ name }) => name === place.stage);
  const endpoint = endpointOfStage(capacity.endpoint, declared);
  const spec = await readSpec(dependencies.ledger, { fleet, specHash: modelSpecHash ?? specHash });
  const target = targetModel(customerKey, version ?? 0);
  const artifactKey = s3Keys.artifact({ ...place, targetModel: target });
  const wanted = { spec, endpoint, customerKey, endpointName, artifactKey };
  const parts = customerEndpointParts({ ...dependencies, stage: place.stage, ...wanted });
  await removeFailed(dependencies, endpointName);
  return refreshEndpoint(dependencies, parts, false);
}

/** An endpoint that has failed serves nobody and accepts only its deletion: with a new one the name is of use again. */
async function removeFailed(
  { sagemaker, pollSeconds }: CustomerEndpointDependencies,
  EndpointName: string,
): Promise<void> {
  const found = await describeEndpoint(sagemaker, EndpointName);
  const status = found?.EndpointStatus ?? "";
  if (!["Failed", "UpdateRollbackFailed", "OutOfService"].includes(status)) return;
  log.warn("failed endpoint is deleted", { EndpointName, status, because: found?.FailureReason });
  await patiently(() => sagemaker.send(new DeleteEndpointCommand({ EndpointName })));
  while ((await describeEndpoint(sagemaker, EndpointName)) !== undefined)
    await pause(Math.min(2, pollSeconds));
}

/** Endpoint, configs and models; only while nobody is pointed to it. Throws while it is being changed. */
export async function removeCustomerEndpoint(
  { ledger, sagemaker }: Pick<CustomerEndpointDependencies, "ledger" | "sagemaker">,
  place: StageRef,
  customerKey: string,
): Promise<void> {
  await forgetUnwanted(ledger, place, customerKey, async (endpointName) => {
    await deleteEndpoint(sagemaker, endpointName);
    await deleteParts(sagemaker, endpointName);
    log.info("endpoint of a customer deleted", { ...place, customerKey, endpointName });
  });
}

/** Done when its deletion has begun. Throws while it is being changed. */
export async function deleteEndpoint(
  sagemaker: SageMakerClient,
  EndpointName: string,
): Promise<void> {
  try {
    await patiently(() => sagemaker.send(new DeleteEndpointCommand({ EndpointName })));
  } catch (error) {
    if (refusedWith(error, /^Could not find endpoint /)) return;
    if (!refusedWith(error, /^Cannot update in-progress endpoint/)) throw error;
    const endpoint = await describeEndpoint(sagemaker, EndpointName);
    if (endpoint === undefined || endpoint.EndpointStatus === "Deleting") return;
    throw retryable(FAILURES.endpointFailed, {
      message: `endpoint ${EndpointName} cannot be deleted while it is ${endpoint.EndpointStatus ?? "busy"}`,
      hint: "nothing to do: it is tried again",
      cause: error,
    });
  }
}

/** One page of each: an endpoint never has more. What is left cost nothing, and goes with `modelfleet destroy`. */
export async function deleteParts(sagemaker: SageMakerClient, endpointName: string): Promise<void> {
  const page = {
    NameContains: endpointConfigPrefix(endpointName),
    MaxResults: LIMITS.listPageSize,
  };
  const configs = await patiently(() => sagemaker.send(new ListEndpointConfigsCommand(page)));
  for (const { EndpointConfigName = "" } of configs.EndpointConfigs ?? [])
    if (isOwnConfig(EndpointConfigName, endpointName))
      await patiently(() =>
        sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName })),
      );
  const models = await patiently(() => sagemaker.send(new ListModelsCommand(page)));
  for (const { ModelName = "" } of models.Models ?? [])
    if (isOwnModel(ModelName, endpointName))
      await unlessGone(() => sagemaker.send(new DeleteModelCommand({ ModelName })));
}

async function unlessGone(remove: () => Promise<unknown>): Promise<void> {
  try {
    await patiently(remove);
  } catch (error) {
    if (!refusedWith(error, /^Could not find /)) throw error;
  }
}
