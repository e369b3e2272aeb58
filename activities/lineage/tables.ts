/** Which of the ledger's tables make up a fleet's lineage: parents first, so that each row finds what it refers to. */
import pg from "pg";

export interface LedgerTable {
  readonly name: string;
  /** But for those that Postgres computes. */
  readonly columns: readonly string[];
  /** Which of its rows are the fleet's, $1. */
  readonly scope: string;
  /** Its primary key: rows come in this order. */
  readonly key: readonly string[];
}

/** Tables that no lineage has, and why. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  migrations: "how a ledger was set up: each has its own",
  api_budget: "what AWS bore lately is learnt anew",
  watchers: "who watches jobs at this moment",
  registry_watchers: "who watches the registry at this moment",
};

/** Of tables that say in another way whose their rows are than by a column `fleet`. */
const SCOPES: Readonly<Record<string, string>> = {
  destructions: "destroyed_fleet = $1",
  tuning_trials:
    "tuning_job_name in (select j.tuning_job_name from tuning_jobs j where j.fleet = $1)",
};

interface CatalogueRow {
  readonly name: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
  readonly parents: readonly string[];
}

/** Read from the catalogue, so that a migration's new table is in it. Throws for one of which nobody said whose its rows are. */
export async function lineageTables(connection: pg.PoolClient | pg.Pool): Promise<LedgerTable[]> {
  const { rows } = await connection.query<CatalogueRow>(CATALOGUE);
  const known = rows.filter(({ name }) => !Object.hasOwn(LEFT_OUT, name));
  return parentsFirst(known).map(({ name, columns, key }) => {
    const scope = SCOPES[name] ?? (columns.includes("fleet") ? "fleet = $1" : undefined);
    if (scope === undefined)
      throw new Error(`lineage: nobody has said which rows of the table ${name} are a fleet's`);
    return { name, columns, scope, key };
  });
}

const CATALOGUE = `
  select c.relname as name,
         array(select a.attname::text from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                order by a.attnum) as columns,
         array(select a.attname::text from pg_index i, unnest(i.indkey::int2[]) with ordinality as k (attnum, place)
                 join pg_attribute a on a.attnum = k.attnum
                where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid order by k.place) as key,
         array(select f.relname::text from pg_constraint k join pg_class f on f.oid = k.confrelid
                where k.conrelid = c.oid and k.contype = 'f' and f.oid <> c.oid) as parents
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'modelfleet' and c.relkind = 'r'
   order by c.relname`;

function parentsFirst(tables: readonly CatalogueRow[]): CatalogueRow[] {
  const ordered: CatalogueRow[] = [];
  let left = tables;
  while (left.length > 0) {
    const waits = ({ parents }: CatalogueRow) => left.some(({ name }) => parents.includes(name));
    const free = left.filter((table) => !waits(table));
    if (free.length === 0) throw new Error("the ledger's tables refer to each other in a circle");
    ordered.push(...free);
    left = left.filter((table) => !free.includes(table));
  }
  return ordered;
}

/** For COPY, which takes no parameters. */
export const scopeOf = ({ scope }: LedgerTable, fleet: string): string =>
  scope.replaceAll("$1", () => pg.escapeLiteral(fleet));

export const quoted = (names: readonly string[]): string =>
  names.map((name) => pg.escapeIdentifier(name)).join(", ");

/** What tells one ledger from another: when it was set up; and its newest migration. */
export async function readLedgerFacts(
  connection: pg.PoolClient,
): Promise<{ ledger: string; schema: string }> {
  const { rows } = await connection.query<{ ledger: Date; schema: string }>(
    "select min(applied_at) as ledger, max(name) as schema from migrations",
  );
  const [row] = rows;
  if (row === undefined) throw new Error("the ledger has no migrations");
  return { ledger: row.ledger.toISOString(), schema: row.schema };
}
