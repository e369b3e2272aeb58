/** Counts accepted requests by operation and resource, and keeps the counts over a restart. */
import type { Pool } from "pg";
import { persistently } from "./persistently.js";

export type CallCounts = ReturnType<typeof createCallCounts>;

export function createCallCounts(db: Pool) {
  let pending = new Map<string, Count>();
  let writing: Promise<void> = Promise.resolve();
  let nextWrite: Promise<void> | undefined;

  const write = async (): Promise<void> => {
    const counts = [...pending.values()];
    pending = new Map();
    nextWrite = undefined;
    await persistently(() => add(db, counts));
  };

  const count = (operation: string, resource: string): Promise<void> => {
    const key = `${operation} ${resource}`;
    pending.set(key, { operation, resource, count: (pending.get(key)?.count ?? 0) + 1 });
    nextWrite ??= writing = writing.catch(() => undefined).then(write);
    return nextWrite;
  };
  /** What has been told is stored. */
  const settled = () => (nextWrite ?? writing).catch(() => undefined);

  return {
    /**
     * Resolves when the count is stored. Calls that end while a write is under way share the next
     * one, so a busy server does not pay one commit per request for its statistics.
     */
    record: count,

    /** For calls that change nothing: a prediction need not wait for its statistics. A crash may lose the last. */
    recordSoon(operation: string, resource: string): void {
      count(operation, resource).catch(() => undefined);
    },

    settled,

    async byOperation(): Promise<Record<string, number>> {
      await settled();
      const sql = `select operation as name, sum(count)::float8 as count from sagemaker.calls
                   group by operation order by operation`;
      return toRecord((await db.query<NamedCount>(sql)).rows);
    },

    async byResource(operation: string): Promise<Record<string, number>> {
      await settled();
      const sql = `select resource as name, count::float8 from sagemaker.calls
                   where operation = $1 order by resource`;
      return toRecord((await db.query<NamedCount>(sql, [operation])).rows);
    },
  };
}

interface Count {
  readonly operation: string;
  readonly resource: string;
  readonly count: number;
}

interface NamedCount {
  readonly name: string;
  readonly count: number;
}

async function add(db: Pool, counts: readonly Count[]): Promise<void> {
  const sql = `insert into sagemaker.calls (operation, resource, count)
               select * from unnest($1::text[], $2::text[], $3::bigint[])
               on conflict (operation, resource) do update set count = calls.count + excluded.count`;
  await db.query(sql, [
    counts.map(({ operation }) => operation),
    counts.map(({ resource }) => resource),
    counts.map(({ count }) => count),
  ]);
}

const toRecord = (rows: readonly NamedCount[]) =>
  Object.fromEntries(rows.map(({ name, count }) => [name, count]));
