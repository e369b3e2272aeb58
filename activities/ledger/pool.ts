/** Opens the pool of connections to the ledger; its tables live in the schema `modelfleet`. */
import pg from "pg";

export interface LedgerPoolOptions {
  readonly url: string;
  readonly maxConnections: number;
  /**
   * Wait for the disk at every commit, as the ledger's promises need. The API budget does without: a crash may
   * cost it its last second.
   */
  readonly durable?: boolean;
}

export function openLedger({ url, maxConnections, durable = true }: LedgerPoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: 15_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    application_name: "modelfleet",
    options: `-c search_path=modelfleet${durable ? "" : " -c synchronous_commit=off"}`,
  });
  // An idle connection that breaks is replaced at the next query; without a listener it would end the process.
  pool.on("error", () => undefined);
  return pool;
}
