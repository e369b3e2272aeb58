/** The runtime API: InvokeEndpoint, as REST with its parameters in headers. */
import type { Accounts } from "./accounts.js";
import { arnOf, keyOf } from "./arns.js";
import type { CallCounts } from "./call-counts.js";
import { AwsError } from "./errors.js";
import type { FaultInjector } from "./faults.js";
import { authorize } from "./iam.js";
import type { Members } from "./json.js";
import { shapeOf } from "./model.js";
import type { ServiceModel } from "./model.js";
import { RuntimeError } from "./runtime-error.js";
import type { ServingFleets } from "./serving-fleets.js";
import { authenticate } from "./sigv4.js";
import { validate } from "./validate.js";
import { send } from "./wire.js";
import type { Exchange } from "./wire.js";

export interface Runtime {
  readonly accounts: Accounts;
  readonly model: ServiceModel;
  readonly faults: FaultInjector;
  readonly counts: CallCounts;
  readonly fleets: Pick<ServingFleets, "invoke">;
}

const invocationPath = /^\/endpoints\/([^/]*)\/invocations$/;
const operation = "InvokeEndpoint";

export const isInvocation = (path: string): boolean => path.startsWith("/endpoints/");

export async function answerInvocation(runtime: Runtime, exchange: Exchange): Promise<void> {
  const { accounts, model, faults, counts, fleets } = runtime;
  const { request, response, body, requestId, path } = exchange;
  const receivedAtMs = performance.now();
  const sender = await authenticate(accounts, request, body, "sagemaker");
  const name = invocationPath.exec(path)?.[1];
  if (name === undefined)
    throw new AwsError(
      "UnknownOperationException",
      "The local SageMaker runtime offers POST /endpoints/{EndpointName}/invocations.",
      404,
    );
  faults.throttle(operation);
  const input = checkRequest(model, exchange, decoded(name));
  const optional = (member: string) => {
    const value = input[member];
    return typeof value === "string" ? value : undefined;
  };
  const scope = { account: sender.principal.account, region: sender.region };
  const endpoint = keyOf(scope, "endpoint", String(input["EndpointName"]));
  const targetModel = optional("TargetModel");
  authorize(sender.principal, {
    ...{ action: `sagemaker:${operation}`, resource: arnOf(endpoint) },
    ...{ region: sender.region, targetModel },
  });
  const invocation = {
    body,
    requestId,
    contentType: optional("ContentType"),
    accept: optional("Accept"),
    customAttributes: optional("CustomAttributes"),
    targetModel,
    targetVariant: optional("TargetVariant"),
    targetContainerHostname: optional("TargetContainerHostname"),
    receivedAtMs,
  };
  const answer = await fleets.invoke(endpoint, invocation).catch((error: unknown) => {
    throw toAwsError(error);
  });
  counts.recordSoon(operation, endpoint.name);
  const headers = {
    "content-type": answer.contentType,
    "x-amzn-invoked-production-variant": answer.invokedProductionVariant,
    ...(answer.customAttributes !== undefined && {
      "x-amzn-sagemaker-custom-attributes": answer.customAttributes,
    }),
  };
  send(response, 200, requestId, headers, answer.body);
}

/** A name that is wrongly escaped is no name: its own characters fail the pattern. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** The runtime says ValidationError where the control plane says ValidationException. */
function checkRequest(model: ServiceModel, { request, body }: Exchange, name: string): Members {
  const shape = shapeOf(model, "InvokeEndpointInput");
  const headers = Object.entries(shape.members ?? {})
    .filter(([, { location }]) => location === "header")
    .map(([member, { locationName = "" }]) => [member, request.headers[locationName.toLowerCase()]])
    .filter(([, value]) => typeof value === "string");
  try {
    const members = { ...Object.fromEntries(headers), EndpointName: name, Body: body } as Members;
    return validate(model, "InvokeEndpointInput", members);
  } catch (error) {
    if (error instanceof AwsError) throw new AwsError("ValidationError", error.message);
    throw error;
  }
}

export function answerRuntimeError({ response, requestId }: Exchange, error: AwsError): void {
  const body = JSON.stringify({ ...error.extra, Message: error.message || null });
  const headers = { "content-type": "application/json", "x-amzn-errortype": error.code };
  send(response, error.status, requestId, headers, body);
}

function toAwsError(error: unknown): unknown {
  if (!(error instanceof RuntimeError)) return error;
  return new AwsError(error.code, error.message, error.status, error.extra);
}
