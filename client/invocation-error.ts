/** Why an endpoint gave no predictions: one line for a person, and all that the container said for whoever needs it. */
import { ClientError, messageOf } from "./errors.js";

export interface ModelCall {
  readonly endpointName: string;
  /** Null: the endpoint has no other model. */
  readonly targetModel: string | null;
}

/** The model's container was reached and failed: SageMaker's ModelError. */
export class ModelFailed extends ClientError {
  readonly endpointName: string;
  readonly targetModel: string | null;
  /** HTTP status of the container's answer; null when SageMaker does not tell. */
  readonly status: number | null;
  /** The container's whole answer, with its traceback. */
  readonly said: string;
  /** Where the container logs; null when SageMaker does not tell. */
  readonly logGroup: string | null;

  constructor({ endpointName, targetModel }: ModelCall, error: Error) {
    const said = textMember(error, "OriginalMessage") ?? error.message;
    const logGroup = /log-group:([^:]+)/.exec(textMember(error, "LogStreamArn") ?? "")?.[1] ?? null;
    super(
      `${targetModel ?? "the model"} on ${endpointName} failed: ${shortened(firstLine(said))}`,
      "check the row: the feature columns in the order of training; --json shows all that the container said" +
        (logGroup === null ? "" : `, and so does log group ${logGroup}`),
      { cause: error },
    );
    this.endpointName = endpointName;
    this.targetModel = targetModel;
    this.said = said;
    this.logGroup = logGroup;
    this.status = numberMember(error, "OriginalStatusCode") ?? null;
  }
}

/** Of what InvokeEndpoint threw: always one sentence that names model and endpoint, and what to do. */
export function invocationError(error: unknown, call: ModelCall): ClientError {
  if (error instanceof ClientError) return error;
  const name = error instanceof Error ? error.name : "";
  if (error instanceof Error && name === "ModelError") return new ModelFailed(call, error);
  const asked = call.targetModel === null ? "" : ` for ${call.targetModel}`;
  const said = `endpoint ${call.endpointName} answered${asked}: ${messageOf(error)}`;
  if (name === "ModelNotReadyException")
    return new ClientError(said, "the model is still loading: ask again in a minute");
  if (name === "ThrottlingException")
    return new ClientError(
      said,
      "more calls at a time than the endpoint takes: ask again, or raise maxConcurrency or instances",
      { cause: error },
    );
  if (name === "AccessDeniedException")
    return new ClientError(
      said,
      "these credentials may not call it: modelfleet iam customer-policy prints what a customer needs",
      { cause: error },
    );
  if (/^Failed to download model data/.test(messageOf(error)))
    return new ClientError(said, "modelfleet models FLEET --stage lists what can be called", {
      cause: error,
    });
  return new ClientError(said, "modelfleet doctor", { cause: error });
}

const TRACEBACK = "Traceback (most recent call last):";

/** The toolkit says the exception's message, then its traceback; the model server wraps its own in JSON. */
function firstLine(said: string): string {
  const [before = "", after] = (messageInJson(said) ?? said).split(TRACEBACK);
  const line = linesOf(before)[0] ?? linesOf(after ?? "").at(-1);
  return line ?? "the container gave no reason";
}

const linesOf = (text: string): string[] =>
  text.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));

function messageInJson(text: string): string | undefined {
  try {
    return textMember(JSON.parse(text), "message");
  } catch {
    return undefined;
  }
}

const LONGEST_LINE = 300;

const shortened = (line: string): string =>
  line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE - 1)}…` : line;

function textMember(value: unknown, name: string): string | undefined {
  const found = member(value, name);
  return typeof found === "string" && found !== "" ? found : undefined;
}

function numberMember(value: unknown, name: string): number | undefined {
  const found = member(value, name);
  return typeof found === "number" ? found : undefined;
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null
    ? new Map<string, unknown>(Object.entries(value)).get(name)
    : undefined;
