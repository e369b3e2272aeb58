/** What the server tells about itself, to this machine only: health, calls, faults, policies, logs. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { pipeline } from "node:stream/promises";
import type { CallCounts } from "./call-counts.js";
import { faultsSchema } from "./config.schema.js";
import { AwsError, validationError } from "./errors.js";
import type { FaultInjector } from "./faults.js";
import type { Policies } from "./policies.js";
import { parseJson } from "./wire.js";
import type { Exchange } from "./wire.js";

export const adminPrefix = "/_local/";

/** What has a log: a folder of that name holds them. */
const loggedKinds = ["training-jobs", "processing-jobs", "transform-jobs", "endpoints"] as const;
type LoggedKind = (typeof loggedKinds)[number];

export interface AdminParts {
  readonly faults: FaultInjector;
  readonly counts: CallCounts;
  readonly policies: Policies;
  /** Files that hold the log of a job or an endpoint, newest first; of any account. */
  readonly findLogs: (kind: LoggedKind, name: string) => Promise<string[]>;
}

export async function answerAdmin(parts: AdminParts, exchange: Exchange): Promise<void> {
  checkLoopback(exchange.request);
  const { request, path } = exchange;
  const url = new URL(request.url ?? "/", "http://localhost");
  const route = `${request.method ?? "GET"} ${path.slice(adminPrefix.length)}`;
  const log = /^GET ([a-z-]+)\/([A-Za-z0-9-]+)\/log$/.exec(route);
  if (route === "GET health") return answer(exchange, { status: "ok" });
  if (route === "GET calls") {
    const operation = url.searchParams.get("operation");
    const { counts } = parts;
    return answer(
      exchange,
      await (operation === null ? counts.byOperation() : counts.byResource(operation)),
    );
  }
  if (route === "GET faults") return answer(exchange, parts.faults.current());
  if (route === "PUT faults") {
    const parsed = faultsSchema.safeParse(parseJson(exchange.body));
    if (!parsed.success) throw validationError(`faults: ${parsed.error.message}`);
    parts.faults.replace(parsed.data);
    return answer(exchange, parsed.data);
  }
  if (route === "GET policies") return answer(exchange, { policies: parts.policies.current() });
  if (route === "PUT policies") {
    await parts.policies.change(parseJson(exchange.body));
    return answer(exchange, { policies: parts.policies.current() });
  }
  const logged = loggedKinds.find((kind) => kind === log?.[1]);
  if (logged !== undefined)
    return answerLog(exchange, await parts.findLogs(logged, log?.[2] ?? ""));
  throw new AwsError(
    "NotFound",
    "There are GET health, calls[?operation=…], faults, policies, " +
      `${loggedKinds.map((kind) => `${kind}/NAME/log`).join(", ")} and PUT faults, policies.`,
    404,
  );
}

/** Neither another machine nor a web page that a browser here shows may ask. */
function checkLoopback(request: IncomingMessage): void {
  const from = request.socket.remoteAddress ?? "";
  const host = (request.headers.host ?? "").replace(/:\d+$/, "");
  const isLocalHost = ["127.0.0.1", "localhost", "[::1]"].includes(host);
  if (isLocalHost && (from === "::1" || from.endsWith("127.0.0.1"))) return;
  throw new AwsError("AccessDenied", "The admin routes answer to 127.0.0.1 only.", 403);
}

function answer({ response }: Exchange, body: unknown): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
}

async function answerLog({ response }: Exchange, files: readonly string[]): Promise<void> {
  const file = files[0];
  if (file === undefined) throw new AwsError("NotFound", "There is no such log.", 404);
  const { size } = await stat(file);
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8", "content-length": size });
  // A log may grow while it is sent: what was promised is sent, and no more.
  if (size === 0) response.end();
  else await pipeline(createReadStream(file, { end: size - 1 }), response);
}
