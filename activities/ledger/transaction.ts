/** Runs statements of the ledger as one: all of them happen, or none does. */
import type pg from "pg";

export async function inTransaction<T>(
  ledger: pg.Pool,
  work: (connection: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const connection = await ledger.connect();
  try {
    await connection.query("begin");
    const result = await work(connection);
    await connection.query("commit");
    connection.release();
    return result;
  } catch (error) {
    // Closed, not given back: Postgres rolls back, also when the connection itself is what failed.
    connection.release(true);
    throw error;
  }
}
