/** Brings an endpoint into service on the wanted config, and waits until it is. */
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DescribeEndpointCommand,
  UpdateEndpointCommand,
  type DescribeEndpointOutput,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import type { ApplicationFailure } from "@temporalio/common";
import { FAILURES } from "../fleet/errors.js";
import { messageOf, permanent, retryable } from "./application-failure.js";
import type { EndpointParts } from "./endpoint-request.js";
import { nextStep } from "./endpoint-step.js";
import { patiently, pause } from "./patience.js";

export interface RefreshOptions {
  readonly sagemaker: SageMakerClient;
  /** At most so many seconds between two looks. */
  readonly pollSeconds: number;
}

/** The first look comes early, as a local endpoint is up in seconds; AWS takes minutes. */
const FIRST_LOOK_SECONDS = 2;
const LOOK_GROWTH = 1.5;

/**
 * Returns the name of the config that is in service. Throws EndpointFailed; then what served before serves on.
 * Whatever an earlier attempt has begun is gone on with. Unless told to `reload`, an endpoint whose config holds the
 * same is left alone; else every container is replaced, and forgets the models that it had loaded.
 */
export async function refreshEndpoint(
  options: RefreshOptions,
  parts: EndpointParts,
  reload: boolean,
): Promise<string> {
  const { sagemaker, pollSeconds } = options;
  const { endpointName } = parts;
  const endpointConfigName = parts.config.EndpointConfigName;
  const accepts = (name: string) =>
    name === endpointConfigName || (!reload && parts.holdsSame(name));
  let seenSinceUpdate: number | null = null;
  for (let seconds = FIRST_LOOK_SECONDS; ; seconds *= LOOK_GROWTH) {
    const endpoint = await describeEndpoint(sagemaker, endpointName);
    if (seenSinceUpdate !== null) seenSinceUpdate += 1;
    const step = nextStep(endpoint, { accepts, seenSinceUpdate });
    switch (step.kind) {
      case "done":
        return step.live;
      case "create":
        log.info("endpoint is created", { endpointName, endpointConfigName });
        await createParts(sagemaker, parts);
        await create(sagemaker, parts);
        break;
      case "update":
        log.info("endpoint is updated", { endpointName, endpointConfigName });
        await createParts(sagemaker, parts);
        if (await update(sagemaker, parts)) seenSinceUpdate = 0;
        break;
      case "wait":
        break;
      case "rolled-back":
        throw rolledBack(endpointName, step.reason);
      case "stuck":
        throw stuck(endpointName, step);
    }
    await pause(Math.min(seconds, pollSeconds));
  }
}

/** Undefined when there is none of that name. */
export async function describeEndpoint(
  sagemaker: SageMakerClient,
  EndpointName: string,
): Promise<DescribeEndpointOutput | undefined> {
  try {
    return await patiently(() => sagemaker.send(new DescribeEndpointCommand({ EndpointName })));
  } catch (error) {
    if (refusedWith(error, /^Could not find endpoint /)) return undefined;
    throw error;
  }
}

/** Their names tell their content: what exists already is the same. */
async function createParts(sagemaker: SageMakerClient, parts: EndpointParts): Promise<void> {
  await unlessExists(() => sagemaker.send(new CreateModelCommand(parts.model)));
  await unlessExists(() => sagemaker.send(new CreateEndpointConfigCommand(parts.config)));
}

async function create(sagemaker: SageMakerClient, parts: EndpointParts): Promise<void> {
  await unlessExists(() =>
    sagemaker.send(
      new CreateEndpointCommand({
        EndpointName: parts.endpointName,
        EndpointConfigName: parts.config.EndpointConfigName,
        Tags: parts.tags,
      }),
    ),
  );
}

/** Whether the update has begun: somebody else's may be in progress, which is waited for. */
async function update(sagemaker: SageMakerClient, parts: EndpointParts): Promise<boolean> {
  const { EndpointConfigName } = parts.config;
  const EndpointName = parts.endpointName;
  try {
    await patiently(() =>
      sagemaker.send(new UpdateEndpointCommand({ EndpointName, EndpointConfigName })),
    );
    return true;
  } catch (error) {
    if (refusedWith(error, /^Cannot update in-progress endpoint/)) return false;
    const names = messageOf(error);
    if (
      refusedWith(error, /^Could not find endpoint configuration/) &&
      !names.includes(EndpointConfigName)
    )
      throw permanent(FAILURES.endpointFailed, {
        message: `endpoint ${EndpointName} cannot be updated, since the config that it uses was deleted: ${names}`,
        hint: deletion(EndpointName),
        cause: error,
      });
    throw notVisibleYet(error) ?? quotaUsedUp(error) ?? error;
  }
}

async function unlessExists(create: () => Promise<unknown>): Promise<void> {
  try {
    await patiently(create);
  } catch (error) {
    if (refusedWith(error, /^Cannot create already existing /)) return;
    throw notVisibleYet(error) ?? quotaUsedUp(error) ?? error;
  }
}

/** Said by SageMaker's control plane in so many words: it has no error code for it. */
export const refusedWith = (error: unknown, text: RegExp): error is Error =>
  error instanceof Error && error.name === "ValidationException" && text.test(error.message);

/** A model or config that was made a moment ago may not be seen by the next call. */
function notVisibleYet(error: unknown): ApplicationFailure | undefined {
  if (!refusedWith(error, /^Could not find (model|endpoint configuration) "/)) return undefined;
  return retryable(FAILURES.endpointFailed, {
    message: `SageMaker does not see yet what was just created: ${messageOf(error)}`,
    hint: "nothing to do: the activity tries again",
    cause: error,
  });
}

function quotaUsedUp(error: unknown): ApplicationFailure | undefined {
  if (!(error instanceof Error && error.name === "ResourceLimitExceeded")) return undefined;
  return retryable(FAILURES.quotaFull, {
    message: `no room for the endpoint's instances: ${messageOf(error)}`,
    hint: "ask AWS for a higher quota; an update needs the instances twice, until the new ones serve",
    cause: error,
  });
}

/** SageMaker's own faults may pass; a container that does not start will not start the next time either. */
function rolledBack(endpointName: string, reason: string): ApplicationFailure {
  const passes = reason === "" || /^Request to service failed|capacity/i.test(reason);
  const failure = passes ? retryable : permanent;
  return failure(FAILURES.endpointFailed, {
    message: `endpoint ${endpointName} was not updated and serves as before: ${reason || "SageMaker gave no reason"}`,
    hint: `correct what the reason names, then publish again; the endpoint's log: ${logOf(endpointName)}`,
  });
}

const stuck = (endpointName: string, { status, reason }: { status: string; reason: string }) =>
  permanent(FAILURES.endpointFailed, {
    message: `endpoint ${endpointName} is ${status}: ${reason || "SageMaker gave no reason"}`,
    hint: `${deletion(endpointName)}; its log: ${logOf(endpointName)}`,
  });

const deletion = (endpointName: string): string =>
  `delete it (aws sagemaker delete-endpoint --endpoint-name ${endpointName}); the next publication makes it anew`;

const logOf = (endpointName: string): string => `/aws/sagemaker/Endpoints/${endpointName}`;
