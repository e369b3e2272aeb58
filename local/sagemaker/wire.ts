/** HTTP as AWS's JSON protocols speak it: bodies in, answers and errors out. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { AwsError } from "./errors.js";

/** One request with its body and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly body: Buffer;
  readonly requestId: string;
}

export const newRequestId = (): string => randomUUID();

/** Larger control-plane requests do not exist: the model's own limits stay far below. */
export const maxRequestBytes = 8 * 1024 * 1024;

export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk); // The rest is read and dropped, so the answer arrives.
  }
  if (size > maxBytes)
    throw new AwsError(
      "RequestEntityTooLargeException",
      `The request is over ${maxBytes} bytes.`,
      413,
    );
  return Buffer.concat(chunks);
}

/** The operation of `X-Amz-Target: SageMaker.CreateTrainingJob`. */
export function targetOperation(request: IncomingMessage): string | undefined {
  const target = request.headers["x-amz-target"];
  const match = /^SageMaker\.([A-Za-z0-9]+)$/.exec(typeof target === "string" ? target : "");
  return match?.[1];
}

export function parseJson(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new AwsError("SerializationException", "The request body is not valid JSON.");
  }
}

/** Operations without an output shape answer an empty body. */
export function answerJson({ response, requestId }: Exchange, answer: unknown): void {
  const text = answer === undefined ? "" : JSON.stringify(answer);
  send(response, 200, requestId, { "content-type": "application/x-amz-json-1.1" }, text);
}

export function answerError({ response, requestId }: Exchange, error: AwsError): void {
  const body = JSON.stringify({ __type: error.code, message: error.message });
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amzn-errortype": error.code };
  send(response, error.status, requestId, headers, body);
}

export function send(
  response: ServerResponse,
  status: number,
  requestId: string,
  headers: Record<string, string>,
  body: string | Buffer,
): void {
  if (response.headersSent || response.destroyed) return;
  const length = Buffer.byteLength(body);
  response.writeHead(status, {
    ...headers,
    "x-amzn-requestid": requestId,
    "content-length": length,
  });
  response.end(body);
}
