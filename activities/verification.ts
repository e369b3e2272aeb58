/** Asks a served model for the predictions that training made, and compares the answers. */
import { performance } from "node:perf_hooks";
import {
  InvokeEndpointCommand,
  type SageMakerRuntimeClient,
} from "@aws-sdk/client-sagemaker-runtime";
import { FAILURES } from "../fleet/errors.js";
import { differenceOf, readPredictions } from "../fleet/verification.js";
import { jittered, messageOf, permanent } from "./application-failure.js";
import { pause } from "./patience.js";

/** What a model is asked. */
export interface ModelQuestion {
  readonly endpointName: string;
  /** Null on an endpoint that has one model only. */
  readonly targetModel: string | null;
  /** CSV rows without the target. */
  readonly rows: readonly string[];
}

export interface VerificationRequest extends ModelQuestion {
  /** Training's predictions for them. */
  readonly predictions: readonly number[];
}

export type Verdict =
  | {
      readonly kind: "same";
      readonly offline: readonly number[];
      readonly served: readonly number[];
      readonly latencyMs: number;
    }
  | { readonly kind: "rejected"; readonly because: string };

/** Rejects a model that answers otherwise or not at all. Throws when it is the service that fails. */
export async function verifyModel(
  runtime: SageMakerRuntimeClient,
  request: VerificationRequest,
): Promise<Verdict> {
  const { rows, predictions: offline } = request;
  if (offline.length === 0 || rows.length !== offline.length)
    return rejected(
      `the ledger has ${rows.length} rows and ${offline.length} predictions to verify it with: run its cycle again`,
    );
  const answer = await invoke(runtime, request);
  if ("because" in answer) return answer;
  const served = readPredictions(answer.csv);
  const difference = differenceOf({ offline, served });
  if (difference !== null) return rejected(difference);
  return { kind: "same", offline, served, latencyMs: answer.latencyMs };
}

/** Its predictions, or why the model itself does not answer. Throws when it is the service that fails. */
export async function askModel(
  runtime: SageMakerRuntimeClient,
  question: ModelQuestion,
): Promise<{ readonly predictions: readonly number[] } | { readonly because: string }> {
  const answer = await invoke(runtime, question);
  return "because" in answer ? answer : { predictions: readPredictions(answer.csv) };
}

/** AWS: a model that takes more than 60 s to load answers "not ready", and loads on for up to 360 s. */
const LOADING_SECONDS = 360;
/** A container that was just restarted may fail once; a broken artifact fails again. */
const MODEL_ERRORS = 2;
const SERVICE_ERRORS = 5;

type Answer = { readonly csv: string; readonly latencyMs: number };

async function invoke(
  runtime: SageMakerRuntimeClient,
  request: ModelQuestion,
): Promise<Answer | (Verdict & { readonly kind: "rejected" })> {
  const started = performance.now();
  const failures = { model: 0, service: 0 };
  for (let seconds = 1; ; seconds = Math.min(2 * seconds, 15)) {
    try {
      return await invokeOnce(runtime, request);
    } catch (error) {
      const fault = faultOf(error);
      switch (fault) {
        case "loading":
          if (performance.now() - started > LOADING_SECONDS * 1000)
            return rejected(`it was not loaded within ${LOADING_SECONDS / 60} minutes`);
          break;
        case "model":
          failures.model += 1;
          if (failures.model >= MODEL_ERRORS) return rejected(reasonOf(error));
          break;
        case "artifact":
          return rejected(reasonOf(error));
        case "endpoint":
          throw endpointGone(request.endpointName, error);
        case "service":
          failures.service += 1;
          if (failures.service >= SERVICE_ERRORS) throw error;
          break;
        case "other":
          throw error;
      }
      await pause(jittered(seconds));
    }
  }
}

async function invokeOnce(
  runtime: SageMakerRuntimeClient,
  { endpointName, targetModel, rows }: ModelQuestion,
): Promise<Answer> {
  const started = performance.now();
  const { Body } = await runtime.send(
    new InvokeEndpointCommand({
      EndpointName: endpointName,
      TargetModel: targetModel ?? undefined,
      ContentType: "text/csv",
      Accept: "text/csv",
      Body: rows.join("\n"),
    }),
  );
  return { csv: Body.transformToString(), latencyMs: Math.round(performance.now() - started) };
}

/** Whose fault it is: only the model's own and its artifact's speak against the model. */
function faultOf(
  error: unknown,
): "loading" | "model" | "artifact" | "endpoint" | "service" | "other" {
  if (!(error instanceof Error)) return "other";
  switch (error.name) {
    case "ModelNotReadyException":
      return "loading";
    case "ModelError":
      return "model";
    case "ValidationError":
      return /^Endpoint \S+ of account/.test(error.message) ? "endpoint" : "artifact";
    case "ThrottlingException":
    case "InternalFailure":
    case "ServiceUnavailable":
    case "InternalDependencyException":
      return "service";
    default:
      return "other";
  }
}

/** Of a ModelError the container's own words: the rest of the message is about where the log is. */
function reasonOf(error: unknown): string {
  const own = error instanceof Error && "OriginalMessage" in error ? error.OriginalMessage : "";
  const words = typeof own === "string" && own.trim() !== "" ? own : messageOf(error);
  const shortened = words.replace(/\s+/g, " ").trim().slice(0, 400);
  const log = error instanceof Error && "LogStreamArn" in error ? error.LogStreamArn : undefined;
  return typeof log === "string"
    ? `it fails on the endpoint: ${shortened} (log: ${log})`
    : `it cannot be served: ${shortened}`;
}

const endpointGone = (endpointName: string, error: unknown) =>
  permanent(FAILURES.endpointFailed, {
    message: `endpoint ${endpointName} does not serve any more: ${messageOf(error)}`,
    hint: "somebody deleted it meanwhile; the next publication makes it anew",
    cause: error,
  });

const rejected = (because: string) => ({ kind: "rejected", because }) as const;
