/** Takes a fleet, or one of its stages, out of the ledger. */
import type pg from "pg";
import { inTransaction } from "./transaction.js";

/** Endpoints that the ledger knows of, by what they are named after. */
export interface KnownEndpoints {
  readonly stages: readonly string[];
  readonly generations: readonly number[];
  /** Of single customers. */
  readonly own: readonly { readonly stage: string; readonly endpointName: string }[];
}

export async function readKnownEndpoints(ledger: pg.Pool, fleet: string): Promise<KnownEndpoints> {
  const { rows } = await ledger.query<KnownEndpoints>(
    `select array(select distinct s ->> 'name' from fleet_specs, jsonb_array_elements(spec -> 'stages') s
                   where fleet = $1) as stages,
            array(select generation from preprocessors where fleet = $1) as generations,
            coalesce((select json_agg(json_build_object('stage', stage, 'endpointName', endpoint_name))
                        from customer_endpoints where fleet = $1), '[]') as own`,
    [fleet],
  );
  return rows[0] ?? { stages: [], generations: [], own: [] };
}

/** Tables that have a fleet's rows, by name. */
export async function countRows(
  ledger: pg.Pool,
  fleet: string,
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const table of await fleetTables(ledger)) {
    const { rows } = await ledger.query<{ count: number }>(
      `select count(*)::int as count from ${table} where fleet = $1`,
      [fleet],
    );
    const count = rows[0]?.count ?? 0;
    if (count > 0) counts[table] = count;
  }
  return counts;
}

/** Those that refer to others first. Names come from the catalogue, and are those of our migrations. */
async function fleetTables(ledger: pg.Pool | pg.PoolClient): Promise<string[]> {
  const { rows } = await ledger.query<{ name: string; parents: string[] }>(
    `select c.relname as name,
            array(select f.relname::text from pg_constraint k join pg_class f on f.oid = k.confrelid
                   where k.conrelid = c.oid and k.contype = 'f' and f.oid <> c.oid) as parents
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'modelfleet' and c.relkind = 'r'
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'fleet')
      order by c.relname`,
  );
  const ordered: string[] = [];
  let left = rows;
  while (left.length > 0) {
    const free = left.filter(({ name }) => !left.some(({ parents }) => parents.includes(name)));
    if (free.length === 0) throw new Error("the ledger's tables refer to each other in a circle");
    ordered.push(...free.map(({ name }) => name));
    left = left.filter((table) => !free.includes(table));
  }
  return ordered;
}

export interface Destroyed {
  readonly fleet: string;
  readonly stage: string | null;
  readonly by: string;
  readonly found: unknown;
}

/** All of its rows; who took them, and what there was, stays on record. */
export async function forgetFleet(ledger: pg.Pool, destroyed: Destroyed): Promise<void> {
  await inTransaction(ledger, async (connection) => {
    for (const table of await fleetTables(connection))
      await connection.query(`delete from ${table} where fleet = $1`, [destroyed.fleet]);
    await recordDestruction(connection, destroyed);
  });
}

/** What the stage served, which serves no more; the models themselves, and what was decided about them, stay. */
export async function forgetStage(
  ledger: pg.Pool,
  destroyed: Destroyed & { readonly stage: string },
): Promise<void> {
  const key = [destroyed.fleet, destroyed.stage];
  await inTransaction(ledger, async (connection) => {
    await connection.query(
      `with served as (
         select customer_key, version from publications
          where fleet = $1 and stage = $2 and state = 'serving'),
       release as (
         update releases r set state = 'retired' from served s
          where r.fleet = $1 and r.customer_key = s.customer_key and r.version = s.version
            and r.state = 'serving' and not exists
              (select from publications p
                where p.fleet = $1 and p.stage <> $2 and p.customer_key = r.customer_key
                  and p.version = r.version and p.state = 'serving')
         returning r.customer_key, r.cycle)
       update customers c set state = 'approved', updated_at = now() from release x
        where c.fleet = $1 and c.cycle = x.cycle and c.customer_key = x.customer_key and c.state = 'serving'`,
      key,
    );
    for (const table of STAGE_TABLES)
      await connection.query(`delete from ${table} where fleet = $1 and stage = $2`, key);
    await recordDestruction(connection, destroyed);
  });
}

/** What is known of a stage, and of what it serves. */
const STAGE_TABLES = [
  ...["withdrawals", "publications", "promotions", "customer_endpoints"],
  ...["closed_stages", "notifications"],
];

async function recordDestruction(
  connection: pg.PoolClient,
  { fleet, stage, by, found }: Destroyed,
): Promise<void> {
  await connection.query(
    `insert into destructions (destroyed_fleet, stage, destroyed_by, found) values ($1, $2, $3, $4)`,
    [fleet, stage, by, JSON.stringify(found)],
  );
}
