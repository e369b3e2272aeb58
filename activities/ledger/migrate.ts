/** Brings the ledger's schema up to date: applies this folder's *.sql files, each once and in order. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";

/** Any number will do, as long as every worker takes the same. */
const ADVISORY_LOCK = 7_230_117_001;

/**
 * Safe to call from many workers at once: one migrates, the others wait and find nothing to do. The folder can
 * be given because a build that leaves the *.sql files behind has to name where they are.
 */
export async function migrateLedger(
  pool: pg.Pool,
  folder: string = import.meta.dirname,
): Promise<void> {
  const migrations = await readMigrations(folder);
  const connection = await pool.connect();
  try {
    await connection.query("select pg_advisory_lock($1)", [ADVISORY_LOCK]);
    await connection.query("create schema if not exists modelfleet");
    await connection.query(
      `create table if not exists modelfleet.migrations
         (name text primary key, sha256 text not null, applied_at timestamptz not null default now())`,
    );
    for (const migration of migrations) await apply(connection, migration);
  } finally {
    await connection.query("select pg_advisory_unlock_all()").catch(() => undefined);
    connection.release();
  }
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort();
  if (names.length === 0) throw new Error(`no ledger migrations (*.sql) in ${folder}`);
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(folder, name), "utf8");
      return { name, sql, sha256: createHash("sha256").update(sql).digest("hex") };
    }),
  );
}

async function apply(connection: pg.PoolClient, migration: Migration): Promise<void> {
  const { name, sql, sha256 } = migration;
  const { rows } = await connection.query<{ sha256: string }>(
    "select sha256 from modelfleet.migrations where name = $1",
    [name],
  );
  const applied = rows[0];
  if (applied?.sha256 === sha256) return;
  if (applied !== undefined)
    throw new Error(
      `the ledger was set up by another version of modelfleet (migration ${name} differs): ` +
        "use that version, or point MODELFLEET_LEDGER_URL to another database",
    );
  await connection.query("begin");
  try {
    await connection.query("set local search_path = modelfleet");
    await connection.query(sql);
    await connection.query("insert into modelfleet.migrations (name, sha256) values ($1, $2)", [
      name,
      sha256,
    ]);
    await connection.query("commit");
  } catch (error) {
    await connection.query("rollback");
    throw error;
  }
}
