/** Errors of a connection that has its answer already, and that nobody would hear. */
import type { ClientRequest } from "node:http";

/**
 * A container may answer before it has read the whole body, and close. The write that then fails counts as the request's end:
 * Node takes its listener off the socket to keep it for the next request, and the error, which comes after that, would end
 * the whole server (`responseKeepAlive` of Node's _http_client.js). Errors before the answer reach the request as always.
 */
export function ignoreLateErrors(call: ClientRequest): void {
  call.once("socket", (socket) => {
    if (!socket.listeners("error").includes(ignore)) socket.on("error", ignore);
  });
}

function ignore(): void {
  // The answer is whole; the connection is closed and not used again.
}
