/** What stands before Temporal in the cloud: TLS, and an API key or a client's certificate that has to be right. */
import {
  createSecureServer,
  connect,
  type ServerHttp2Stream,
  type IncomingHttpHeaders,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { TLSSocket } from "node:tls";
import type { Certified } from "./certificates.js";

export interface GatewayOptions {
  /** `host:port` of the Temporal behind it. */
  readonly upstream: string;
  readonly server: Certified;
  /** Calls without this key are refused as Temporal Cloud does: UNAUTHENTICATED. */
  readonly apiKey?: string;
  /** Whom clients' certificates must be signed by; without it none is asked for. */
  readonly clientAuthority?: Certified;
}

export interface Gateway {
  readonly address: string;
  /** Of every call so far: its path, and what it came with. */
  readonly calls: { readonly path: string; readonly apiKey: boolean; readonly client: string }[];
  close(): Promise<void>;
}

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const calls: { path: string; apiKey: boolean; client: string }[] = [];
  const { server, clientAuthority, apiKey } = options;
  const upstream = connect(`http://${options.upstream}`);
  upstream.on("error", () => undefined);
  const gateway = createSecureServer({
    cert: server.certificate,
    key: server.key,
    ...(clientAuthority === undefined
      ? {}
      : { requestCert: true, rejectUnauthorized: true, ca: clientAuthority.certificate }),
  });
  gateway.on("stream", (stream, headers) => {
    const right = apiKey === undefined || headers.authorization === `Bearer ${apiKey}`;
    const client = clientName(stream);
    calls.push({ path: String(headers[":path"]), apiKey: apiKey !== undefined && right, client });
    stream.on("error", () => undefined);
    if (right) return forward(stream, headers);
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", ...UNAUTHENTICATED },
      { endStream: true },
    );
  });
  const forward = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const { authorization: _, ...rest } = headers;
    const call = upstream.request(rest);
    let trailers: IncomingHttpHeaders = {};
    call.on("response", (answer) => {
      const { ":status": status = 200, ...fields } = answer;
      stream.respond({ ":status": status, ...fields }, { waitForTrailers: true });
      call.pipe(stream);
    });
    call.on("trailers", (sent: IncomingHttpHeaders) => {
      trailers = sent;
    });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    call.on("error", () => stream.close());
    stream.on("close", () => call.close());
    stream.pipe(call);
  };
  await new Promise<void>((listening) => gateway.listen(0, "127.0.0.1", listening));
  const sessions = new Set<{ destroy(): void }>();
  gateway.on("session", (session) => void sessions.add(session));
  return {
    address: `localhost:${(gateway.address() as AddressInfo).port}`,
    calls,
    close: async () => {
      for (const session of sessions) session.destroy();
      upstream.destroy();
      await new Promise((closed) => gateway.close(closed));
    },
  };
}

const UNAUTHENTICATED = { "grpc-status": "16", "grpc-message": "Request unauthorized." };

function clientName(stream: ServerHttp2Stream): string {
  const socket: unknown = stream.session?.socket;
  if (!(socket instanceof TLSSocket)) return "";
  // Empty when the client showed none.
  const subject: unknown = socket.getPeerCertificate().subject;
  return typeof subject === "object" && subject !== null && "CN" in subject
    ? String(subject.CN)
    : "";
}
