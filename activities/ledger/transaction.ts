/** Runs statements of the ledger as one: all of them happen, or none does. */
import type pg from "pg";

export async function inTransaction<T>(
  ledger: pg.Pool,
  work: (connection: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const connection = await ledger.connect();
  // A connection that is lent out and breaks says so twice: the statement fails, which is what counts, and an event
  // is emitted, which would end the process if nobody listened.
  const unheard = (): void => undefined;
  connection.on("error", unheard);
  try {
    await connection.query("begin");
    const result = await work(connection);
    await connection.query("commit");
    connection.off("error", unheard);
    connection.release();
    return result;
  } catch (error) {
    // Closed, not given back: Postgres rolls back, also when the connection itself is what failed.
    connection.release(true);
    throw error;
  }
}
