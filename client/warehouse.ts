/** Asks the warehouse about a fleet's query without taking the data: its columns, and rows by customer. */
import type { Pool, PoolClient } from "pg";
import { type QueryColumn, quoted } from "../fleet/query-columns.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { bindWindow } from "../fleet/sql.js";
import { openPool } from "./connections.js";
import { ClientError, codeOf, hintOf, messageOf } from "./errors.js";
import { warehouseError } from "./postgres-errors.js";
import { secret, type Environment } from "./settings.js";

export interface TimeWindow {
  readonly floor: string;
  readonly ceiling: string;
}

export interface CustomerRows {
  readonly customer: string;
  readonly rows: number;
  /** Rows whose target is NULL, NaN or infinite. */
  readonly invalidRows: number;
}

/** Whoever plans waits for this query; a warehouse that needs longer is better asked by the run itself. */
const STATEMENT_TIMEOUT_MS = 120_000;

/** The query was refused; what Postgres said, without the rest of its words. */
export class QueryRefused extends ClientError {}

export async function queryColumns(
  environment: Environment,
  source: FleetSpec["source"],
  window: TimeWindow,
): Promise<QueryColumn[]> {
  return withWarehouse(environment, source, async (connection) => {
    const bound = bindWindow(source.query, window);
    const { fields } = await connection.query(`select * from (${bound}\n) as source limit 0`);
    // A domain is what it is made of.
    const { rows } = await connection.query<{ type: string; category: string }>(
      `select format_type(coalesce(nullif(t.typbasetype, 0), t.oid), modifier) as type,
              t.typcategory as category
         from unnest($1::oid[], $2::int[]) with ordinality as given (oid, modifier, place)
         join pg_type t on t.oid = given.oid
        order by place`,
      [fields.map((field) => field.dataTypeID), fields.map((field) => field.dataTypeModifier)],
    );
    return fields.map((field, place) => ({
      name: field.name,
      type: rows[place]?.type ?? "unknown",
      category: rows[place]?.category ?? "X",
    }));
  });
}

export async function countRows(
  environment: Environment,
  source: FleetSpec["source"],
  window: TimeWindow,
): Promise<CustomerRows[]> {
  return withWarehouse(environment, source, async (connection) => {
    const bound = bindWindow(source.query, window);
    const target = `${quoted(source.target)}::double precision`;
    const { rows } = await connection.query<{ customer: string; rows: string; invalid: string }>(
      `select ${quoted(source.customer)}::text as customer, count(*) as rows,
              count(*) filter (where ${target} is null or ${target} in ('NaN', 'Infinity', '-Infinity')) as invalid
         from (${bound}\n) as source
        where ${quoted(source.customer)} is not null
        group by 1 order by 1`,
    );
    const counted = rows.map((row) => ({
      customer: row.customer,
      rows: Number(row.rows),
      invalidRows: Number(row.invalid),
    }));
    return [...counted, ...(await customersWithoutRows(connection, source, counted, window))];
  });
}

async function customersWithoutRows(
  connection: PoolClient,
  source: FleetSpec["source"],
  counted: readonly CustomerRows[],
  window: TimeWindow,
): Promise<CustomerRows[]> {
  if (source.customers === undefined) return [];
  const { rows, fields } = await connection.query<Record<string, unknown>>(
    customersQuery(source.customers, window),
  );
  const first = fields[0]?.name;
  if (first === undefined) throw new QueryRefused("source.customers returns no column");
  const seen = new Set(counted.map(({ customer }) => customer));
  const missing = new Set<string>();
  for (const row of rows) {
    const customer = row[first];
    if (customer === null || customer === undefined) continue;
    const name = typeof customer === "string" ? customer : JSON.stringify(customer);
    if (!seen.has(name)) missing.add(name);
  }
  return [...missing].map((customer) => ({ customer, rows: 0, invalidRows: 0 }));
}

/** Throws QueryRefused when the list of customers, where there is one, is not a query that returns a column. */
export async function checkCustomersQuery(
  environment: Environment,
  source: FleetSpec["source"],
  window: TimeWindow,
): Promise<void> {
  const { customers } = source;
  if (customers === undefined) return;
  await withWarehouse(environment, source, async (connection) => {
    const bound = customersQuery(customers, window);
    const { fields } = await connection.query(`select * from (${bound}\n) as customers limit 0`);
    if (fields.length === 0) throw new QueryRefused("source.customers returns no column");
  });
}

/** The list of customers may use the window, and need not. */
function customersQuery(sql: string, window: TimeWindow): string {
  return /:(floor|ceiling)\b/.test(sql) ? bindWindow(sql, window) : sql;
}

async function withWarehouse<T>(
  environment: Environment,
  source: FleetSpec["source"],
  ask: (connection: PoolClient) => Promise<T>,
): Promise<T> {
  const url = await secret(environment, source.connection);
  const pool = await openPool(url);
  try {
    return await inReadOnlyTransaction(pool, ask);
  } catch (error) {
    const told = warehouseError(error, source.connection, url);
    if (told !== error || !isRefusal(error)) throw told;
    throw new QueryRefused(`the warehouse refuses the query: ${messageOf(error)}`, hintOf(error), {
      cause: error,
    });
  } finally {
    await pool.end();
  }
}

async function inReadOnlyTransaction<T>(
  pool: Pool,
  ask: (connection: PoolClient) => Promise<T>,
): Promise<T> {
  const connection = await pool.connect();
  try {
    await connection.query("begin transaction isolation level repeatable read read only");
    await connection.query(`set local statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
    const answer = await ask(connection);
    await connection.query("commit");
    return answer;
  } finally {
    connection.release(true); // The pool is for this one transaction: an aborted one must not live on.
  }
}

/** SQLSTATE classes of a statement that is wrong, of missing rights, or cancelled. */
function isRefusal(error: unknown): boolean {
  return /^(42|22|25|57014|0A)/.test(codeOf(error) ?? "");
}
