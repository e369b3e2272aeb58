/** One request of a batch to a container's unix socket: larger and longer than an endpoint's may be. */
import { request } from "node:http";
import type { IncomingMessage } from "node:http";

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
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...{ socketPath, method, path, signal },
        headers: { ...headers, "content-length": body.length, connection: "close" },
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
    call.once("close", () => clearTimeout(timer));
    call.on("error", reject);
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
