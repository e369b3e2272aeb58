/** Says in our words why Postgres did not answer, or refused. */
import { ClientError, codeOf, messageOf } from "./errors.js";
import { placeOf } from "./connections.js";

const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "57P03", // cannot_connect_now: it is starting or stopping
]);

/** No worker has ever started on this ledger. */
export class LedgerEmpty extends ClientError {}

export function ledgerError(error: unknown, url: string): unknown {
  const code = codeOf(error);
  if (isUnreachable(error)) {
    return new ClientError(
      `the ledger's Postgres does not answer at ${placeOf(url)}`,
      "modelfleet local up, or correct MODELFLEET_LEDGER_URL",
      { cause: error },
    );
  }
  if (code === "28P01" || code === "28000") {
    return new ClientError(
      `the ledger at ${placeOf(url)} refuses the user or password`,
      "correct MODELFLEET_LEDGER_URL",
      { cause: error },
    );
  }
  if (code === "42P01" || code === "3F000") {
    return new LedgerEmpty(
      `the ledger at ${placeOf(url)} has no tables yet`,
      "start a worker once, it creates them: modelfleet worker",
      { cause: error },
    );
  }
  return error;
}

export function warehouseError(error: unknown, secretName: string, url: string): unknown {
  const code = codeOf(error);
  if (isUnreachable(error)) {
    return new ClientError(
      `the warehouse (${secretName}) does not answer at ${placeOf(url)}`,
      `modelfleet local up, or correct ${secretName}`,
      { cause: error },
    );
  }
  if (code === "28P01" || code === "28000") {
    return new ClientError(
      `the warehouse at ${placeOf(url)} refuses the user or password`,
      `correct ${secretName}`,
      { cause: error },
    );
  }
  if (code === "3D000") return new ClientError(messageOf(error), `correct ${secretName}`);
  return error;
}

function isUnreachable(error: unknown): boolean {
  const code = codeOf(error);
  // pg's own time-outs carry no code.
  return code === undefined ? /timeout|terminated/i.test(messageOf(error)) : UNREACHABLE.has(code);
}
