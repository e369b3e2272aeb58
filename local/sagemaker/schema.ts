/** The server's own tables, brought up to date at start. */
import type { Pool } from "pg";

/** Each runs once, in order, and is never edited after a release: a change is a new one. */
const migrations = [
  `create table sagemaker.resources (
     id          bigint generated always as identity,
     account     text not null,
     region      text not null,
     kind        text not null,
     name        text collate "C" not null,
     arn         text not null unique,
     parent      text,                        -- the group of a model package
     status      text,
     document    jsonb not null,
     hidden      jsonb not null default '{}',
     tags        jsonb not null default '[]',
     created_at  double precision not null,   -- epoch seconds, as the API speaks of time
     modified_at double precision not null,
     primary key (account, region, kind, name)
   );
   create index on sagemaker.resources (account, region, kind, created_at, id);
   create index on sagemaker.resources (account, region, kind, modified_at);
   create index on sagemaker.resources (account, region, kind, status, id);
   create index on sagemaker.resources (account, region, kind, parent, created_at, id);`,

  `create table sagemaker.sessions (          -- what AssumeRole handed out
     access_key_id     text primary key,
     secret_access_key text not null,
     session_token     text not null,
     account           text not null,
     role              text not null,
     session_name      text not null,
     expires_at        double precision not null
   );
   create table sagemaker.calls (             -- accepted requests, by operation and resource
     operation text not null,
     resource  text not null,
     count     bigint not null,
     primary key (operation, resource)
   );`,

  `create index resources_with_warm_pool on sagemaker.resources (id)   -- read once, at a start
     where kind = 'training-job'
       and document->'WarmPoolStatus'->>'Status' in ('Available', 'InUse');`,
  `create table sagemaker.metrics (            -- of endpoints, by the minute
     account    text not null,
     region     text not null,
     namespace  text not null,
     name       text not null,
     dimensions text not null,                -- JSON, in the order of their names
     minute     bigint not null,              -- epoch seconds
     run        text not null,                -- the server process that counted
     unit       text not null,
     count      double precision not null,
     sum        double precision not null,
     minimum    double precision not null,
     maximum    double precision not null,
     histogram  jsonb not null,
     primary key (account, region, namespace, name, dimensions, minute, run)
   );
   create index on sagemaker.metrics (minute);`,

  `create table sagemaker.policies (           -- of users and roles, set at run time
     arn      text primary key,
     document jsonb not null
   );
   alter table sagemaker.sessions add column policy jsonb;  -- the session policy of AssumeRole`,
] as const;

/** Any constant will do that no other program of this database takes a lock on. */
const migrationLock = 7_230_001;

export async function migrate(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock($1)", [migrationLock]);
    await client.query("create schema if not exists sagemaker");
    await client.query("create table if not exists sagemaker.migrations (version int primary key)");
    const { rows } = await client.query<{ version: number }>(
      "select coalesce(max(version), 0) as version from sagemaker.migrations",
    );
    for (let version = (rows[0]?.version ?? 0) + 1; version <= migrations.length; version++) {
      await client.query(migrations[version - 1] ?? "");
      await client.query("insert into sagemaker.migrations values ($1)", [version]);
    }
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}
