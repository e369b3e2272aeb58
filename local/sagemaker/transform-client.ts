/** One request of a batch to a container's unix socket: larger and longer than an endpoint's may be. */
import { Agent, request } from "node:http";
import type { IncomingMessage } from "node:http";
import { ignoreLateErrors } from "./late-errors.js";

export interface BatchRequest {
  readonly socketPath: string;
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface BatchAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** As much as the largest payload; an answer is in memory until it is in the output. */
const answerBytes = 100 * 1024 * 1024;

/** Rejects with an Error that says why there is no answer: the container is gone, or too slow. */
export function sendBatch(outgoing: BatchRequest): Promise<BatchAnswer> {
  const { socketPath, method, path, headers, body, timeoutMs, signal } = outgoing;
  // We close when we have the answer. A container that did could do so before Node has flushed the end of the request.
  const agent = new Agent({ keepAlive: true });
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...{ agent, socketPath, method, path, signal },
        headers: { ...headers, "content-length": body.length },
      },
      (response) => {
        readAnswer(response).then(
          (answer) =>
            resolve({
              status: response.statusCode ?? 0,
              contentType: response.headers["content-type"] ?? "application/octet-stream",
              body: answer,
            }),
          reject,
        );
      },
    );
    const timer = setTimeout(() => {
      call.destroy(new Error(`no answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    call.once("close", () => {
      clearTimeout(timer);
      agent.destroy();
    });
    call.on("error", reject);
    ignoreLateErrors(call);
    call.end(body);
  });
}

async function readAnswer(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > answerBytes) {
      response.destroy();
      throw new Error(`the answer is larger than ${answerBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
