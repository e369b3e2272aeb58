/** One control-plane request: who asks, may it pass, is it valid, is it allowed, do it, count it. */
import type { Accounts } from "./accounts.js";
import type { CallCounts } from "./call-counts.js";
import { AwsError } from "./errors.js";
import type { FaultInjector } from "./faults.js";
import { authorize } from "./iam.js";
import { isList, type Members } from "./json.js";
import type { ServiceModel } from "./model.js";
import type { Call, Operations } from "./operations.js";
import { requiredResources } from "./required-resources.js";
import { authenticate } from "./sigv4.js";
import { validate } from "./validate.js";
import { answerJson, parseJson, targetOperation } from "./wire.js";
import type { Exchange } from "./wire.js";

export interface ControlPlane {
  readonly accounts: Accounts;
  readonly model: ServiceModel;
  readonly faults: FaultInjector;
  readonly counts: CallCounts;
  readonly operations: Operations;
}

/** Throws AwsError for what is refused. */
export async function answerControlPlane(plane: ControlPlane, exchange: Exchange): Promise<void> {
  const { accounts, model, faults, counts, operations } = plane;
  const sender = await authenticate(accounts, exchange.request, exchange.body, "sagemaker");
  const operation = targetOperation(exchange.request);
  const shape = operation === undefined ? undefined : model.operations[operation];
  if (operation === undefined || shape === undefined) throw unknownOperation(operation);
  if (!isOffered(operations, operation)) throw notOffered(operation, operations);
  faults.throttle(operation);

  const input = validate(model, shape.input?.shape ?? "", parseJson(exchange.body));
  const { principal, region } = sender;
  const { requestId } = exchange;
  const call: Call = { operation, principal, account: principal.account, region, requestId };
  const { required = [] } = model.shapes[shape.input?.shape ?? ""] ?? {};
  // Who gives tags to what he creates needs the right to tag it as well.
  const actions =
    isList(input["Tags"]) && /^Create/.test(operation) ? [operation, "AddTags"] : [operation];
  for (const resource of requiredResources(call, { operation, required, input }))
    for (const action of actions)
      authorize(principal, { action: `sagemaker:${action}`, resource, region });
  // The model has just checked that the input is what this operation takes.
  const handle = operations[operation] as (call: Call, input: Members) => Promise<unknown>;
  const answer = await handle(call, input);
  const resource = resourceName(model, shape.input?.shape ?? "", input);
  if (/^(Describe|List|Get|BatchDescribe)/.test(operation)) counts.recordSoon(operation, resource);
  else await counts.record(operation, resource);
  answerJson(exchange, answer);
}

function isOffered(operations: Operations, name: string): name is keyof Operations {
  return Object.hasOwn(operations, name);
}

/** The first member that is required names what the request is about, in all of SageMaker's shapes. */
function resourceName(model: ServiceModel, shapeName: string, input: Members): string {
  const required = model.shapes[shapeName]?.required ?? [];
  const candidates = [...required.slice(0, 1), "ModelPackageGroupName", "ModelPackageName"];
  const name = candidates.map((member) => input[member]).find((value) => typeof value === "string");
  return name ?? "";
}

const unknownOperation = (operation: string | undefined) =>
  new AwsError(
    "UnknownOperationException",
    operation === undefined
      ? "The request has no X-Amz-Target of the form SageMaker.<Operation>."
      : `SageMaker has no operation ${operation}.`,
  );

const notOffered = (operation: string, operations: Operations) =>
  new AwsError(
    "UnknownOperationException",
    `The local SageMaker server does not offer ${operation}; it offers ${Object.keys(operations).sort().join(", ")}.`,
  );
