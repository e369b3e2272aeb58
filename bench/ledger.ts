/** The ledger of a benchmark's stack, migrated. */
import type pg from "pg";
import { migrateLedger } from "../activities/ledger/migrate.js";
import { openLedger } from "../activities/ledger/pool.js";
import { required, type BenchStack } from "./stack.js";

export async function withLedger<T>(
  stack: BenchStack,
  use: (ledger: pg.Pool) => Promise<T>,
): Promise<T> {
  const url = required(stack.environment, "MODELFLEET_LEDGER_URL");
  const ledger = openLedger({ url, maxConnections: 4 });
  try {
    await migrateLedger(ledger);
    return await use(ledger);
  } finally {
    await ledger.end();
  }
}
