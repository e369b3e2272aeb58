/** Loads a fleet's lineage into a ledger that does not know the fleet. */
import { createHash } from "node:crypto";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { Transform } from "node:stream";
import pg from "pg";
import { SpecError } from "../../fleet/errors.js";
import {
  lineageFile,
  type LineageManifest,
  type LineageTable,
} from "../../fleet/lineage.schema.js";
import type { LineageFiles } from "./files.js";
import { lineageTables, quoted, readLedgerFacts, type LedgerTable } from "./tables.js";

export interface LoadedLineage {
  readonly manifest: LineageManifest;
  readonly files: LineageFiles;
}

/**
 * Within the caller's transaction: all of it or nothing. Throws SpecError for a fleet that the ledger knows, for a
 * lineage of a newer ledger, and for whatever is not as its manifest says: a file that is missing or changed, a row of
 * another fleet. Memory does not grow with the fleet.
 */
export async function loadLineage(
  connection: pg.PoolClient,
  { manifest, files }: LoadedLineage,
): Promise<void> {
  const { fleet } = manifest;
  const tables = await lineageTables(connection);
  const { schema } = await readLedgerFacts(connection);
  assertNotNewer(manifest, schema);
  for (const table of tables) await assertUnknown(connection, table, fleet);
  const listed = new Map(manifest.tables.map((table) => [table.name, table]));
  if (listed.size < manifest.tables.length) throw foreign(manifest, "names a table twice");
  for (const { name } of manifest.tables)
    if (!tables.some((table) => table.name === name))
      throw foreign(manifest, `has rows of a table "${name}", which this ledger does not have`);
  // Parents first, whatever the order of the manifest.
  for (const table of tables) {
    const written = listed.get(table.name);
    if (written !== undefined) await loadTable(connection, { table, written, manifest, files });
  }
  // Postgres knows nothing yet of what was just written, and would take it for small: see `learnSizes`.
  await connection.query(`analyze ${quoted(tables.map(({ name }) => name))}`);
}

function assertNotNewer({ fleet, schema: theirs }: LineageManifest, own: string): void {
  if (theirs.slice(0, 4) <= own.slice(0, 4)) return;
  throw new SpecError(
    `the lineage of fleet "${fleet}" is of a newer ledger (${theirs}) than this modelfleet sets up (${own})`,
    "import it with the version of modelfleet that wrote it, or a newer one",
  );
}

/** What is left of a fleet that was destroyed is no knowledge of one that is there. */
const MAY_BE_THERE = ["destructions", "rebuilds"];

async function assertUnknown(
  connection: pg.PoolClient,
  table: LedgerTable,
  fleet: string,
): Promise<void> {
  if (MAY_BE_THERE.includes(table.name)) return;
  const { rowCount } = await connection.query(
    `select from ${pg.escapeIdentifier(table.name)} where ${table.scope} limit 1`,
    [fleet],
  );
  if (rowCount === 0) return;
  throw new SpecError(
    `the ledger knows fleet "${fleet}" (it has rows of it in ${table.name}): nothing was changed`,
    "a lineage is imported into a ledger that is empty of the fleet: point MODELFLEET_LEDGER_URL to an empty database",
  );
}

interface Loading extends LoadedLineage {
  readonly table: LedgerTable;
  readonly written: LineageTable;
}

const ROWS_AT_A_TIME = 500;
/** A request to Postgres stays far below its limit of 1 GB. */
const BYTES_AT_A_TIME = 4_000_000;
/** The longest row known, a cycle's with its columns or a job's request, is a thousandth of it. */
const LONGEST_ROW = 32_000_000;

async function loadTable(connection: pg.PoolClient, loading: Loading): Promise<void> {
  const { table, written, manifest, files } = loading;
  const unknown = written.columns.find((column) => !table.columns.includes(column));
  if (unknown !== undefined)
    throw foreign(
      manifest,
      `has a column ${table.name}.${unknown}, which this ledger does not have`,
    );
  const name = lineageFile(manifest.folder, table.name);
  const stream = await files.open(name);
  if (stream === undefined)
    throw foreign(manifest, `lacks the file ${files.place}${name}, which its manifest names`);
  const hash = createHash("sha256");
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  let rows = 0;
  await pipeline(stream, meter, createGunzip(), async (text: AsyncIterable<Buffer>) => {
    for await (const batch of batches(text, manifest)) {
      await insert(connection, loading, batch);
      rows += batch.length;
    }
  }).catch((error: unknown) => {
    if (isBroken(error)) throw foreign(manifest, `has a file that is no gzip: ${name}`);
    throw error;
  });
  if (hash.digest("hex") !== written.sha256)
    throw foreign(manifest, `has another ${name} than was written: its sha256 differs`);
  if (rows !== written.rows)
    throw foreign(manifest, `has ${rows} rows in ${name}, and its manifest says ${written.rows}`);
}

const isBroken = (error: unknown): boolean =>
  error instanceof Error && "code" in error && String(error.code).startsWith("Z_");

async function* batches(
  text: AsyncIterable<Buffer>,
  manifest: LineageManifest,
): AsyncGenerator<string[]> {
  let batch: string[] = [];
  let size = 0;
  for await (const line of linesOf(text, manifest)) {
    batch.push(line);
    size += line.length;
    if (batch.length < ROWS_AT_A_TIME && size < BYTES_AT_A_TIME) continue;
    yield batch;
    [batch, size] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}

async function* linesOf(
  text: AsyncIterable<Buffer>,
  manifest: LineageManifest,
): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let size = 0;
  for await (const chunk of text) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      rest.push(chunk.subarray(from, end));
      yield Buffer.concat(rest).toString("utf8");
      [rest, size, from] = [[], 0, end + 1];
    }
    rest.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > LONGEST_ROW) throw foreign(manifest, "has a row that is longer than any");
  }
  if (size > 0) yield Buffer.concat(rest).toString("utf8");
}

/** Postgres reads the values, each as its column's type; only the fleet's rows are taken, and all must be. */
async function insert(
  connection: pg.PoolClient,
  { table, written, manifest }: Loading,
  lines: readonly string[],
): Promise<void> {
  const name = pg.escapeIdentifier(table.name);
  const columns = quoted(written.columns);
  const { rowCount } = await connection
    .query(
      `insert into ${name} (${columns})
       select ${columns} from json_populate_recordset(null::${name}, $2::json) as r where ${table.scope}`,
      [manifest.fleet, `[${lines.join(",")}]`],
    )
    .catch((error: unknown) => {
      throw refused(error, table.name, manifest);
    });
  if (rowCount !== lines.length)
    throw foreign(manifest, `has rows in ${table.name} that are not of fleet "${manifest.fleet}"`);
}

/** What Postgres says of a value or a row is about the lineage; everything else is about Postgres. */
function refused(error: unknown, table: string, manifest: LineageManifest): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!(error instanceof Error) || !/^2[123]/.test(code)) return error;
  return foreign(
    manifest,
    `has a row in ${table} that this ledger does not take: ${error.message}`,
  );
}

const foreign = ({ fleet, writtenAt }: LineageManifest, what: string): SpecError =>
  new SpecError(
    `the lineage of fleet "${fleet}" of ${writtenAt} ${what}: nothing was changed`,
    "give a lineage that is as modelfleet export has written it; a versioned bucket has the states before",
  );
