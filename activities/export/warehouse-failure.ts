/** Tells what the warehouse refused, where in the query, and what to do about it. */
import pg from "pg";
import { FAILURES } from "../../fleet/errors.js";
import { codeOf, messageOf, permanent, retryable } from "../application-failure.js";

/** SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function warehouseFailure(error: unknown, connection: string, sql = ""): unknown {
  const code = codeOf(error);
  if (code === undefined ? isBroken(error) : /^(08|53|57|58|E[A-Z])/.test(code))
    return retryable(FAILURES.warehouseUnreachable, {
      message: `the warehouse (${connection}) does not answer: ${messageOf(error)}`,
      hint: `check that it is up and that the worker's ${connection} is right; the export is retried`,
      cause: error,
    });
  if (code === undefined) return error;
  if (/^(28|3D)/.test(code))
    return permanent(FAILURES.accessDenied, {
      message: `the warehouse does not let the worker in: ${messageOf(error)}`,
      hint: `correct the user, password or database in the worker's ${connection}`,
      cause: error,
    });
  return permanent(FAILURES.queryInvalid, {
    message: `the warehouse refuses source.query: ${messageOf(error)}${where(error, sql)}`,
    hint: hintOf(error),
    cause: error,
  });
}

/** node-postgres has no code for these. */
const isBroken = (error: unknown): boolean =>
  /connection terminated|connection timeout|timeout expired|premature close/i.test(
    messageOf(error),
  );

/** ` (line 3: select dest, arr_dely …)`. The wrapping adds no line before the user's first. */
function where(error: unknown, sql: string): string {
  const position = error instanceof pg.DatabaseError ? Number(error.position) : NaN;
  if (!(position > 0) || sql === "") return "";
  const number = sql.slice(0, position - 1).split("\n").length;
  const line = sql.split("\n")[number - 1]?.trim() ?? "";
  return ` (line ${number}: ${line.slice(0, 200)})`;
}

function hintOf(error: unknown): string {
  const code = codeOf(error);
  if (code === "42501") return "grant the worker's database user SELECT on what the query reads";
  if (code === "25006") return "the export reads only: use a plain SELECT";
  const postgres = error instanceof pg.DatabaseError ? error.hint : undefined;
  return postgres ?? "mend source.query: with the window's times it must run as it is in psql";
}
