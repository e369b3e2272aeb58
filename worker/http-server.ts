/** The worker's HTTP server: one port for all that looks at the process from outside. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Paths, such as `/health/live`, and what each answers to a GET. */
export type Pages = Readonly<Record<string, () => Promise<Answer>>>;

export interface HttpServer {
  /** The port that it listens on: that which was asked for, or the one that the system chose for 0. */
  readonly port: number;
  readonly close: () => Promise<void>;
}

/** Listens until it is closed. Rejects when the port is taken, or the address is not this machine's. */
export async function serveHttp(
  place: { readonly host: string; readonly port: number },
  pages: Pages,
): Promise<HttpServer> {
  const known = new Map(Object.entries(pages));
  const server = createServer((request, response) => {
    const page = known.get((request.url ?? "").replace(/\?.*/, ""));
    if (page === undefined) return send(response, plain(404, "there is no such page\n"));
    if (request.method !== "GET" && request.method !== "HEAD")
      return send(response, plain(405, "only GET and HEAD\n"));
    page().then(
      (answer) => send(response, answer),
      // What went wrong is not for whoever can reach the port.
      () => send(response, plain(500, "this page cannot be made\n")),
    );
  });
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen({ ...place, exclusive: true }, listening);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      // Who keeps a connection open must not hold up the end of the process.
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

export function plain(status: number, body: string): Answer {
  return { status, contentType: "text/plain; charset=utf-8", body };
}

function send(response: ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, { "content-type": contentType, "cache-control": "no-store" });
  response.end(body);
}
