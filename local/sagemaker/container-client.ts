/** HTTP to one container over its unix socket: connections kept alive, bodies bounded, nothing waits for ever. */
import { Agent, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { ignoreLateErrors } from "./late-errors.js";

export interface ContainerRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Uint8Array | string;
  readonly timeoutMs: number;
}

export interface ContainerResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface ContainerClient {
  /** Rejects with ContainerTimeout, ResponseTooLarge, or the socket's error when the container is gone. */
  send(request: ContainerRequest): Promise<ContainerResponse>;
  close(): void;
}

export class ContainerTimeout extends Error {
  override readonly name = "ContainerTimeout";
}

export class ResponseTooLarge extends Error {
  override readonly name = "ResponseTooLarge";
}

/** AWS API model, BodyBlob: the same for requests and responses. */
export const BODY_BYTES = 6 * 1024 * 1024;
/** Each is a thread in the container; more requests than these wait in the agent. */
const CONNECTIONS = 64;

export function createContainerClient(socketPath: string): ContainerClient {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  return {
    send: (outgoing) => send(agent, socketPath, outgoing),
    close: () => agent.destroy(),
  };
}

function send(agent: Agent, socketPath: string, outgoing: ContainerRequest) {
  const { method, path, headers, body, timeoutMs } = outgoing;
  return new Promise<ContainerResponse>((resolve, reject) => {
    const length = body === undefined ? 0 : Buffer.byteLength(body);
    const call = request(
      { agent, socketPath, method, path, headers: { ...headers, "content-length": length } },
      (response) => {
        readBody(response).then(
          (content) =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: content,
            }),
          reject,
        );
      },
    );
    const timer = setTimeout(() => {
      reject(new ContainerTimeout(`no answer within ${timeoutMs} ms`));
      call.destroy();
    }, timeoutMs);
    call.once("close", () => clearTimeout(timer));
    call.on("error", reject);
    ignoreLateErrors(call);
    call.end(body);
  });
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError("a response without encoding gives buffers");
    length += chunk.length;
    if (length > BODY_BYTES) {
      response.destroy();
      throw new ResponseTooLarge(`the response is larger than ${BODY_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
