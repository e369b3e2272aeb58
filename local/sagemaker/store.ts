/** Resources as rows of Postgres: one per name in an account and region, changed by single statements. */
import type { Pool, PoolClient } from "pg";
import { arnOf } from "./arns.js";
import type { Kind, ResourceKey, Scope } from "./arns.js";
import type { Documents, Hidden, Resource, Tag } from "./documents.js";

export interface NewResource<K extends Kind> {
  readonly document: Documents[K];
  readonly hidden?: Hidden[K];
  readonly tags?: readonly Tag[];
  readonly status?: string;
  readonly parent?: string;
  readonly createdAt: number;
}

export interface Change<K extends Kind> {
  /** Members to set; the others stay. */
  readonly document?: Partial<Documents[K]>;
  /** Members of the document that are no longer there. */
  readonly remove?: readonly (keyof Documents[K] & string)[];
  readonly hidden?: Partial<Hidden[K]>;
  readonly status?: string;
  /** The change is only made while the status is one of these. */
  readonly whileStatus?: readonly string[];
  readonly modifiedAt: number;
}

/** What a list can be in the order of; the objective is that of a tuning job's training jobs. */
export type SortColumn = "name" | "created_at" | "status" | "objective";

export interface ListQuery extends Scope {
  readonly kind: Kind;
  readonly sortBy: SortColumn;
  readonly descending: boolean;
  readonly limit: number;
  /** The last row of the page before. */
  readonly after?: Position;
  readonly nameContains?: string;
  readonly parent?: string;
  /** Only packages that belong to a group, or only those that do not. */
  readonly inGroup?: boolean;
  readonly status?: string;
  /** Members of the document that must have these values. */
  readonly documentContains?: Readonly<Record<string, unknown>>;
  readonly hiddenContains?: Readonly<Record<string, unknown>>;
  readonly createdAfter?: number;
  readonly createdBefore?: number;
  readonly modifiedAfter?: number;
  readonly modifiedBefore?: number;
}

interface InstanceUsage {
  readonly instanceType: string;
  readonly kinds: readonly Kind[];
  readonly statuses: readonly string[];
}

export interface Position {
  readonly value: string | number;
  readonly id: number;
}

export interface Row<K extends Kind> extends Resource<K> {
  readonly createdAt: number;
  readonly modifiedAt: number;
  readonly status: string | null;
}

export type Store = ReturnType<typeof createStore>;

/** On a pool, each call is a statement of its own; on a client, part of its transaction. */
export const createStore = (db: Pool | PoolClient) => ({ ...createReads(db), ...createWrites(db) });

const columns = `id::float8 as id, account, region, name, arn, document, hidden, tags, status,
                 created_at, modified_at`;

interface DatabaseRow<K extends Kind> {
  id: number;
  account: string;
  region: string;
  name: string;
  arn: string;
  document: Documents[K];
  hidden: Hidden[K];
  tags: Tag[];
  status: string | null;
  created_at: number;
  modified_at: number;
}

function createReads(db: Pool | PoolClient) {
  return {
    async find<K extends Kind>(key: ResourceKey<K>): Promise<Row<K> | undefined> {
      const sql = `select ${columns} from sagemaker.resources
                   where account = $1 and region = $2 and kind = $3 and name = $4`;
      return (await rowsOf(db, key.kind, sql, at(key)))[0];
    },

    async findByArn(arn: string): Promise<Row<Kind> | undefined> {
      const sql = `select ${columns}, kind from sagemaker.resources where arn = $1`;
      const { rows } = await db.query<DatabaseRow<Kind> & { kind: Kind }>(sql, [arn]);
      return rows.map((row) => toRow(row.kind, row))[0];
    },

    /** As find, and nobody else changes the row before the transaction ends. */
    async lock<K extends Kind>(key: ResourceKey<K>): Promise<Row<K> | undefined> {
      const sql = `select ${columns} from sagemaker.resources
                   where account = $1 and region = $2 and kind = $3 and name = $4 for update`;
      return (await rowsOf(db, key.kind, sql, at(key)))[0];
    },

    async list<K extends Kind>(kind: K, request: ListQuery): Promise<Row<K>[]> {
      const { sql, values } = listStatement(request);
      return rowsOf(db, kind, sql, values);
    },

    /** Every resource of a kind in some statuses, in any account, oldest first. */
    async inStatus<K extends Kind>(kind: K, statuses: readonly string[]): Promise<Row<K>[]> {
      const sql = `select ${columns} from sagemaker.resources
                   where kind = $1 and status = any($2) order by created_at, id`;
      return rowsOf(db, kind, sql, [kind, statuses]);
    },

    /** Training jobs that say they have or use a warm pool, in any account. */
    async withWarmPool(): Promise<Row<"training-job">[]> {
      const sql = `select ${columns} from sagemaker.resources
                   where kind = 'training-job'
                     and document->'WarmPoolStatus'->>'Status' in ('Available', 'InUse')`;
      return rowsOf(db, "training-job", sql, []);
    },

    /** Instances of one type that resources of these kinds in these statuses hold. */
    async instancesInUse(
      { account, region }: Scope,
      { instanceType, kinds, statuses }: InstanceUsage,
    ): Promise<number> {
      const sql = `select coalesce(sum((hidden->'instances'->>$4)::int), 0)::int as total
                   from sagemaker.resources
                   where account = $1 and region = $2 and kind = any($3) and status = any($5)`;
      const values = [account, region, kinds, instanceType, statuses];
      return (await db.query<{ total: number }>(sql, values)).rows[0]?.total ?? 0;
    },

    /** How many resources of a kind there are in some statuses. */
    async countInStatus(
      { account, region, kind }: ResourceKey,
      statuses: readonly string[],
    ): Promise<number> {
      const sql = `select count(*)::int as total from sagemaker.resources
                   where account = $1 and region = $2 and kind = $3 and status = any($4)`;
      const values = [account, region, kind, statuses];
      return (await db.query<{ total: number }>(sql, values)).rows[0]?.total ?? 0;
    },

    /** Waits for everyone else who counts under this name; held until the transaction ends. */
    async countAlone(name: string): Promise<void> {
      await db.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [name]);
    },
  };
}

function createWrites(db: Pool | PoolClient) {
  return {
    /** False when the name is taken. */
    async insert<K extends Kind>(key: ResourceKey<K>, resource: NewResource<K>): Promise<boolean> {
      const sql = `insert into sagemaker.resources (account, region, kind, name, arn, parent, status,
                     document, hidden, tags, created_at, modified_at)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) on conflict do nothing`;
      const { document, hidden = {}, tags = [], status, parent, createdAt } = resource;
      const values = [arnOf(key), parent ?? null, status ?? null];
      const json = [document, hidden, tags].map((value) => JSON.stringify(value));
      const result = await db.query(sql, [...at(key), ...values, ...json, createdAt]);
      return result.rowCount === 1;
    },

    /** The resource as it is after the change; undefined when there is none, or not in that status. */
    async update<K extends Kind>(
      key: ResourceKey<K>,
      change: Change<K>,
    ): Promise<Row<K> | undefined> {
      const sql = `update sagemaker.resources
                   set document = (document || $5) - $6::text[], hidden = hidden || $7,
                       status = coalesce($8, status), modified_at = $9
                   where account = $1 and region = $2 and kind = $3 and name = $4
                     and ($10::text[] is null or status = any($10))
                   returning ${columns}`;
      const { document = {}, remove = [], hidden = {}, status, whileStatus, modifiedAt } = change;
      const values = [JSON.stringify(document), remove, JSON.stringify(hidden), status ?? null];
      const rows = await rowsOf(db, key.kind, sql, [
        ...at(key),
        ...values,
        modifiedAt,
        whileStatus ?? null,
      ]);
      return rows[0];
    },

    async replaceTags(key: ResourceKey, tags: readonly Tag[]): Promise<void> {
      const sql = `update sagemaker.resources set tags = $5
                   where account = $1 and region = $2 and kind = $3 and name = $4`;
      await db.query(sql, [...at(key), JSON.stringify(tags)]);
    },

    /** True when it was there. */
    async remove(key: ResourceKey): Promise<boolean> {
      const sql = `delete from sagemaker.resources
                   where account = $1 and region = $2 and kind = $3 and name = $4`;
      return (await db.query(sql, at(key))).rowCount === 1;
    },
  };
}

async function rowsOf<K extends Kind>(
  db: Pool | PoolClient,
  kind: K,
  sql: string,
  values: unknown[],
): Promise<Row<K>[]> {
  const { rows } = await db.query<DatabaseRow<K>>(sql, values);
  return rows.map((row) => toRow(kind, row));
}

const at = (key: ResourceKey) => [key.account, key.region, key.kind, key.name];

const sortExpressions: Record<SortColumn, string> = {
  name: "name",
  created_at: "created_at",
  status: "status",
  objective: "(hidden->'trial'->>'objective')::float8",
};

function listStatement(request: ListQuery): { sql: string; values: unknown[] } {
  const values: unknown[] = [request.account, request.region, request.kind];
  const conditions = ["account = $1", "region = $2", "kind = $3"];
  const where = (condition: string, ...parameters: unknown[]) => {
    const places = parameters.map((parameter) => `$${values.push(parameter)}`);
    conditions.push(condition.replaceAll("?", () => places.shift() ?? ""));
  };
  const { descending, after } = request;
  const sortBy = sortExpressions[request.sortBy];
  // What has no objective is not listed by it.
  if (request.sortBy === "objective") where(`${sortBy} is not null`);
  if (after !== undefined)
    where(`(${sortBy}, id) ${descending ? "<" : ">"} (?, ?)`, after.value, after.id);
  if (request.parent !== undefined) where("parent = ?", request.parent);
  if (request.inGroup !== undefined) where("(parent is not null) = ?", request.inGroup);
  if (request.nameContains !== undefined) where("strpos(name, ?) > 0", request.nameContains);
  if (request.status !== undefined) where("status = ?", request.status);
  if (request.documentContains !== undefined)
    where("document @> ?::jsonb", JSON.stringify(request.documentContains));
  if (request.hiddenContains !== undefined)
    where("hidden @> ?::jsonb", JSON.stringify(request.hiddenContains));
  if (request.createdAfter !== undefined) where("created_at >= ?", request.createdAfter);
  if (request.createdBefore !== undefined) where("created_at <= ?", request.createdBefore);
  if (request.modifiedAfter !== undefined) where("modified_at >= ?", request.modifiedAfter);
  if (request.modifiedBefore !== undefined) where("modified_at <= ?", request.modifiedBefore);
  const direction = descending ? "desc" : "asc";
  const limit = `$${values.push(request.limit)}`;
  const sql = `select ${columns} from sagemaker.resources where ${conditions.join(" and ")}
               order by ${sortBy} ${direction}, id ${direction} limit ${limit}`;
  return { sql, values };
}

function toRow<K extends Kind>(kind: K, row: DatabaseRow<K>): Row<K> {
  const { account, region, name, id, arn, document, hidden, tags, status } = row;
  const key = { account, region, kind, name };
  const [createdAt, modifiedAt] = [row.created_at, row.modified_at];
  return { key, id, arn, document, hidden, tags, status, createdAt, modifiedAt };
}

/** Runs the steps in one transaction: all of them happen, or none. */
export async function inTransaction<T>(
  pool: Pool,
  steps: (store: Store) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const result = await steps(createStore(client));
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch(() => undefined); // The first error tells more.
    throw error;
  } finally {
    client.release();
  }
}
