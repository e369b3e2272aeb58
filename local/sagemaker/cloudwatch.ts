/** CloudWatch's protocol, as the SDK for JavaScript and boto3 speak it: AWS JSON 1.0 beside SageMaker's own. */
import type { IncomingMessage } from "node:http";
import type { Accounts } from "./accounts.js";
import type { CallCounts } from "./call-counts.js";
import type { CloudWatchOperations } from "./cloudwatch-operations.js";
import { AwsError } from "./errors.js";
import type { FaultInjector } from "./faults.js";
import { authorize } from "./iam.js";
import type { Members } from "./json.js";
import type { Scope } from "./arns.js";
import type { ServiceModel } from "./model.js";
import { authenticate } from "./sigv4.js";
import { validate } from "./validate.js";
import { parseJson, send } from "./wire.js";
import type { Exchange } from "./wire.js";

export interface CloudWatch {
  readonly accounts: Accounts;
  readonly model: ServiceModel;
  readonly faults: FaultInjector;
  readonly counts: CallCounts;
  readonly operations: CloudWatchOperations;
}

const targetPrefix = "GraniteServiceVersion20100801.";

export function isCloudWatch({ headers }: IncomingMessage): boolean {
  const target = headers["x-amz-target"];
  return typeof target === "string" && target.startsWith(targetPrefix);
}

/** Throws AwsError, which `answerCloudWatchError` lays out. */
export async function answerCloudWatch(parts: CloudWatch, exchange: Exchange): Promise<void> {
  const { accounts, model, faults, counts, operations } = parts;
  const { request, response, requestId, body } = exchange;
  const { principal, region } = await authenticate(accounts, request, body, "monitoring");
  const operation = String(request.headers["x-amz-target"]).slice(targetPrefix.length);
  if (!Object.hasOwn(operations, operation)) throw notOffered(operation, operations);
  faults.throttle(operation);
  authorize(principal, { action: `cloudwatch:${operation}`, resource: "*", region });
  const input = checkRequest(model, `${operation}Input`, parseJson(body));
  // The model has just checked that the input is what this operation takes.
  const handle = operations[operation as keyof CloudWatchOperations] as (
    scope: Scope,
    input: Members,
  ) => Promise<unknown>;
  const answer = await handle({ account: principal.account, region }, input);
  counts.recordSoon(operation, "");
  send(response, 200, requestId, { "content-type": contentType }, JSON.stringify(answer));
}

const contentType = "application/x-amz-json-1.0";

/** Codes of the older query protocol, which clients of that time go by, and how JSON names them. */
const shapes: Readonly<Record<string, string>> = {
  InvalidParameterValue: "InvalidParameterValueException",
  InvalidParameterCombination: "InvalidParameterCombinationException",
};

export function answerCloudWatchError({ response, requestId }: Exchange, error: AwsError): void {
  const type = shapes[error.code] ?? error.code;
  const headers = {
    "content-type": contentType,
    "x-amzn-query-error": `${error.code};${error.status < 500 ? "Sender" : "Receiver"}`,
  };
  const body = JSON.stringify({ __type: type, message: error.message });
  send(response, error.status, requestId, headers, body);
}

/** CloudWatch has a code of its own for what SageMaker calls ValidationException. */
function checkRequest(model: ServiceModel, shape: string, request: unknown): Members {
  try {
    return validate(model, shape, request);
  } catch (error) {
    if (error instanceof AwsError && error.code === "ValidationException")
      throw new AwsError("ValidationError", error.message);
    throw error;
  }
}

const notOffered = (operation: string, operations: CloudWatchOperations) =>
  new AwsError(
    "UnknownOperationException",
    `The local CloudWatch does not offer ${operation}; it offers ${Object.keys(operations).sort().join(", ")}.`,
  );
