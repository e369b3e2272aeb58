/** What InvokeEndpoint answers when it cannot answer: code, HTTP status and the text that AWS uses. */

export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  readonly code: RuntimeErrorCode;
  readonly status: number;
  /** Further members of the answer's body. */
  readonly extra: Readonly<Record<string, string | number>>;

  constructor(
    code: RuntimeErrorCode,
    status: number,
    message: string,
    extra: Readonly<Record<string, string | number>> = {},
  ) {
    super(message);
    this.code = code;
    this.status = status;
    this.extra = extra;
  }
}

export type RuntimeErrorCode =
  "ValidationError" | "ModelError" | "ModelNotReadyException" | "ThrottlingException";

export const validationError = (message: string) =>
  new RuntimeError("ValidationError", 400, message);

export const modelNotReady = (targetModel: string) =>
  new RuntimeError(
    "ModelNotReadyException",
    429,
    `Model ${targetModel} is still being downloaded or loaded. Loading goes on: try again.`,
  );

/** AWS sends no text with it. */
export const throttled = () => new RuntimeError("ThrottlingException", 400, "");

/** Where a container's failure is told: account, endpoint and the name that AWS gives the container. */
export interface ErrorPlace {
  readonly account: string;
  readonly region: string;
  readonly endpointName: string;
  readonly containerName: string;
}

/** The container answered 4xx or 5xx, or (status 0) not at all. */
export function modelError(place: ErrorPlace, status: number, originalMessage: string) {
  const kind = status >= 400 && status < 500 ? "client" : "server";
  const { account, region, endpointName, containerName } = place;
  const group = `/aws/sagemaker/Endpoints/${endpointName}`;
  const console = `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#logEventViewer:group=${group}`;
  return new RuntimeError(
    "ModelError",
    424,
    `Received ${kind} error (${status}) from ${containerName} with message "${originalMessage}". ` +
      `See ${console} in account ${account} for more information.`,
    {
      ErrorCode: kind === "client" ? "CLIENT_ERROR_FROM_MODEL" : "INTERNAL_FAILURE_FROM_MODEL",
      LogStreamArn: `arn:aws:logs:${region}:${account}:log-group:${group}`,
      OriginalMessage: originalMessage,
      OriginalStatusCode: status,
    },
  );
}
