/** Takes requests from the network to the protocol that each of them speaks. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Logger } from "pino";
import { adminPrefix, answerAdmin } from "./admin.js";
import type { AdminParts } from "./admin.js";
import { answerCloudWatch, answerCloudWatchError, isCloudWatch } from "./cloudwatch.js";
import type { CloudWatch } from "./cloudwatch.js";
import { answerControlPlane } from "./control-plane.js";
import type { ControlPlane } from "./control-plane.js";
import { AwsError } from "./errors.js";
import { answerIam, isIam } from "./iam-api.js";
import { answerInvocation, answerRuntimeError, isInvocation } from "./runtime.js";
import type { Runtime } from "./runtime.js";
import { answerSts, answerStsError } from "./sts.js";
import type { Sts } from "./sts.js";
import { answerError, maxRequestBytes, newRequestId, readBody } from "./wire.js";
import type { Exchange } from "./wire.js";

export interface Protocols {
  readonly controlPlane: ControlPlane;
  readonly runtime: Runtime;
  readonly sts: Sts;
  readonly cloudWatch: CloudWatch;
  readonly admin: AdminParts;
  readonly log: Logger;
}

/** Longer than the SDKs keep an idle connection: the side that closes first races with a request. */
const keepAliveMs = 75_000;

export function createHttpServer(protocols: Protocols): Server {
  const server = createServer((request, response) => {
    void answer(protocols, request, response);
  });
  server.keepAliveTimeout = keepAliveMs;
  server.headersTimeout = keepAliveMs + 5_000;
  return server;
}

interface Protocol {
  readonly answer: (exchange: Exchange) => Promise<void>;
  readonly answerError: (exchange: Exchange, error: AwsError) => void;
}

async function answer(
  protocols: Protocols,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const requestId = newRequestId();
  const path = (request.url ?? "/").replace(/\?.*$/s, "");
  const protocol = protocolOf(protocols, request, path);
  const head = { request, response, path, requestId };
  try {
    await protocol.answer({ ...head, body: await readBody(request, maxRequestBytes) });
  } catch (error) {
    if (response.destroyed) return; // Nobody is left to be told.
    const known = error instanceof AwsError ? error : internalFailure(protocols.log, head, error);
    protocol.answerError({ ...head, body: Buffer.alloc(0) }, known);
  }
}

function protocolOf(protocols: Protocols, request: IncomingMessage, path: string): Protocol {
  const { controlPlane, runtime, sts, cloudWatch, admin } = protocols;
  if (path.startsWith(adminPrefix))
    return { answer: (exchange) => answerAdmin(admin, exchange), answerError };
  if (isInvocation(path))
    return {
      answer: (exchange) => answerInvocation(runtime, exchange),
      answerError: answerRuntimeError,
    };
  if (isIam({ request }))
    return { answer: (exchange) => answerIam(sts, exchange), answerError: answerStsError };
  if (request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded") === true)
    return { answer: (exchange) => answerSts(sts, exchange), answerError: answerStsError };
  if (isCloudWatch(request))
    return {
      answer: (exchange) => answerCloudWatch(cloudWatch, exchange),
      answerError: answerCloudWatchError,
    };
  return { answer: (exchange) => answerControlPlane(controlPlane, exchange), answerError };
}

function internalFailure(
  log: Logger,
  { request, path, requestId }: Pick<Exchange, "request" | "path" | "requestId">,
  error: unknown,
): AwsError {
  log.error(
    { err: error, path, requestId, target: request.headers["x-amz-target"] },
    "request failed",
  );
  return new AwsError("InternalFailure", "The request failed: see the server's log.", 500);
}
