/** Opens the one read-only transaction that a cycle's export reads from. */
import pg from "pg";
import { to as copyTo } from "pg-copy-streams";
import { warehouseFailure } from "./warehouse-failure.js";

export interface WarehouseOptions {
  /** Name of the secret that holds the URL, for messages. */
  readonly connection: string;
  readonly url: string;
  readonly applicationName: string;
  readonly signal: AbortSignal;
}

/** What the transaction can be asked. Everything sees one state of the data; failures are translated. */
export interface Warehouse {
  /** Values come as Postgres' own text, or null. */
  query(sql: string, values?: readonly unknown[]): Promise<WarehouseAnswer>;
  /** Rows as CSV, in chunks that end anywhere. */
  copy(select: string): AsyncIterable<Buffer>;
}

export interface WarehouseAnswer {
  readonly fields: readonly pg.FieldDef[];
  readonly rows: readonly (readonly (string | null)[])[];
}

export async function inWarehouse<T>(
  options: WarehouseOptions,
  read: (warehouse: Warehouse) => Promise<T>,
): Promise<T> {
  options.signal.throwIfAborted();
  const client = newClient(options);
  const warehouse = warehouseOf(client, options.connection);
  let backend: string | null | undefined;
  const cancel = () => void cancelBackend(options, client, backend);
  try {
    await client.connect().catch((error: unknown) => {
      throw warehouseFailure(error, options.connection);
    });
    await warehouse.query("begin transaction isolation level repeatable read read only");
    // UTC: a query that casts a time to text or to a date must not depend on the server's setting.
    const { rows } = await warehouse.query(
      "select pg_backend_pid(), set_config('TimeZone', 'UTC', true)",
    );
    backend = rows[0]?.[0];
    options.signal.addEventListener("abort", cancel, { once: true });
    options.signal.throwIfAborted();
    return await read(warehouse);
  } catch (error) {
    // The statement that was cancelled says so in its own way; what counts is that we were told to stop.
    options.signal.throwIfAborted();
    throw error;
  } finally {
    options.signal.removeEventListener("abort", cancel);
    // Nothing was written, so there is nothing to commit; a COPY that was given up has to be broken off.
    client.connection.stream.destroy();
  }
}

function warehouseOf(client: pg.Client, connection: string): Warehouse {
  return {
    async query(sql, values) {
      try {
        const { fields, rows } = await client.query<(string | null)[]>({
          text: sql,
          ...(values === undefined ? {} : { values: [...values] }),
          rowMode: "array",
          types: { getTypeParser: () => (text: string) => text },
        });
        return { fields, rows };
      } catch (error) {
        throw warehouseFailure(error, connection, sql);
      }
    },
    async *copy(select) {
      const stream = client.query(copyTo(`copy (${select}) to stdout (format csv)`));
      try {
        for await (const chunk of stream) yield asBuffer(chunk);
      } catch (error) {
        throw warehouseFailure(error, connection);
      }
    },
  };
}

function asBuffer(chunk: unknown): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk;
  throw new Error("pg-copy-streams gave something else than bytes");
}

/** Ends the statement in the server, which else would go on sorting for nobody until it has a row to send. */
async function cancelBackend(
  options: WarehouseOptions,
  client: pg.Client,
  backend: string | null | undefined,
): Promise<void> {
  const second = newClient(options);
  try {
    await second.connect();
    await second.query("select pg_cancel_backend($1)", [backend]);
  } catch {
    // The warehouse is gone or full: breaking the connection is all that is left.
  } finally {
    await second.end().catch(() => undefined);
    client.connection.stream.destroy();
  }
}

function newClient({ url, applicationName }: WarehouseOptions): pg.Client {
  const client = new pg.Client({
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: 15_000,
    keepAlive: true,
  });
  // A connection that breaks fails the query under way as well; here it must only not end the process.
  client.on("error", () => undefined);
  return client;
}
