/**
 * Temporal's remote codec: shows the web UI and the `temporal` command what is encrypted, on this machine's word.
 * Protocol: https://docs.temporal.io/production-deployment/data-encryption#codec-server-setup
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Payload, PayloadCodec } from "@temporalio/common";
import { z } from "zod";
import type { Access } from "./codec-access.js";

export interface CodecServerOptions {
  readonly host: string;
  readonly port: number;
  readonly codec: PayloadCodec;
  /** Without it whoever reaches the port may ask: on the loopback address only. */
  readonly access: Access | undefined;
  /** Origin of the web UI; without it no page in a browser may ask. */
  readonly origin: string | undefined;
  /** A request for another namespace is refused: its payloads have other keys. */
  readonly namespace: string;
  /** One line for every request that was answered: who read or wrote how many. */
  readonly onServed: (served: Served) => void;
}

export interface Served {
  readonly by: string;
  readonly what: "decoded" | "encoded";
  readonly payloads: number;
  /** Those that stayed as they were, and why the first of them did. */
  readonly unreadable: number;
  readonly because: string | undefined;
}

/** The web UI asks page by page; Temporal bounds a message to 4 MB, which base64 makes longer by a third. */
const MOST_BYTES = 8 * 1024 * 1024;

const base64 = z.base64();
const bodySchema = z.object({
  payloads: z
    .array(
      z.object({
        metadata: z.record(z.string(), base64).optional(),
        data: base64.optional(),
      }),
    )
    .max(10_000),
});
type WirePayload = z.infer<typeof bodySchema>["payloads"][number];

/** Listens until it is closed. Rejects when the port is taken, or when `access` is missing on a public address. */
export async function startCodecServer(
  options: CodecServerOptions,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  if (options.access === undefined && !isLoopback(options.host))
    throw new Error(`without authorization the codec server must not listen on ${options.host}`);
  const server = createServer((request, response) => {
    answer(request, options).then(
      ({ status, body }) => send(response, options, status, body),
      () => send(response, options, 500, { error: "internal error" }),
    );
  });
  server.requestTimeout = 30_000;
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen({ host: options.host, port: options.port, exclusive: true }, listening);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

const refusal = (status: number, error: string): Reply => ({ status, body: { error } });

async function answer(request: IncomingMessage, options: CodecServerOptions): Promise<Reply> {
  const path = (request.url ?? "").replace(/\?.*/, "");
  if (path === "/health/live") return { status: 200, body: { status: "ok" } };
  if (path !== "/decode" && path !== "/encode") return refusal(404, "there is no such page");
  // The browser asks first whether it may: the headers are the answer.
  if (request.method === "OPTIONS") return { status: 204, body: undefined };
  if (request.method !== "POST") return refusal(405, "only POST");
  const { origin, authorization, host, "x-namespace": namespace } = request.headers;
  if (origin !== undefined && origin !== options.origin)
    return refusal(403, "MODELFLEET_CODEC_ORIGIN names another web UI");
  // A name that somebody else made to point here, to have a browser on this machine ask for him.
  if (options.access === undefined && !isLoopback((host ?? "").replace(/:\d+$/, "")))
    return refusal(403, "ask by the loopback address");
  const by = options.access === undefined ? "this machine" : await options.access(authorization);
  if (by === undefined) return refusal(401, "who asks is not known here");
  if (namespace !== undefined && namespace !== options.namespace)
    return refusal(403, `this codec server is for the namespace ${options.namespace}`);
  const parsed = bodySchema.safeParse(await readJson(request));
  if (!parsed.success)
    return refusal(400, "the body is not {payloads: [{metadata, data}]} in base64");
  const payloads = parsed.data.payloads.map(fromWire);
  if (path === "/encode") {
    const encoded = await options.codec.encode(payloads);
    options.onServed({ by, what: "encoded", payloads: encoded.length, ...NONE_UNREADABLE });
    return { status: 200, body: { payloads: encoded.map(toWire) } };
  }
  const { opened, ...unreadable } = await open(options.codec, payloads);
  options.onServed({ by, what: "decoded", payloads: opened.length, ...unreadable });
  return { status: 200, body: { payloads: opened.map(toWire) } };
}

const NONE_UNREADABLE = { unreadable: 0, because: undefined };

/** One by one: a payload whose key is gone must not hide the others on its page. It stays as it is. */
async function open(codec: PayloadCodec, payloads: readonly Payload[]) {
  let because: string | undefined;
  let unreadable = 0;
  const opened = await Promise.all(
    payloads.map(async (payload) => {
      try {
        return (await codec.decode([payload]))[0] ?? payload;
      } catch (error) {
        unreadable++;
        because ??= error instanceof Error ? error.message : "it cannot be decoded";
        return payload;
      }
    }),
  );
  return { opened, unreadable, because };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BYTES) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}

function fromWire({ metadata = {}, data }: WirePayload): Payload {
  const entries = Object.entries(metadata).map(([key, value]) => [key, bytes(value)] as const);
  return { metadata: Object.fromEntries(entries), data: bytes(data ?? "") };
}

const bytes = (text: string): Buffer => Buffer.from(text, "base64");
const wire = (binary: Uint8Array): string => Buffer.from(binary).toString("base64");

function toWire({ metadata, data }: Payload): WirePayload {
  const entries = Object.entries(metadata ?? {}).map(([key, value]) => [key, wire(value)] as const);
  return { metadata: Object.fromEntries(entries), data: wire(data ?? Buffer.alloc(0)) };
}

function send(
  response: ServerResponse,
  { origin }: CodecServerOptions,
  status: number,
  body: unknown,
): void {
  const cors = {
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "POST, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, x-namespace",
    "access-control-allow-credentials": "true",
    vary: "origin",
  };
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    ...(origin === undefined ? {} : cors),
  });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || host === "::1" || /^127(\.\d+){3}$/.test(host);
}
