/** Writes all that the ledger knows of a fleet into its bucket: from there a ledger that is lost is rebuilt. */
import { createHash } from "node:crypto";
import { PassThrough, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import pg from "pg";
import { to as copyTo } from "pg-copy-streams";
import { SpecError } from "../../fleet/errors.js";
import {
  LINEAGE_MANIFEST,
  lineageFile,
  lineageFolder,
  writeManifestText,
  type LineageManifest,
  type LineageTable,
} from "../../fleet/lineage.schema.js";
import { s3Keys } from "../../fleet/names.js";
import { deleteObjects, objectPages } from "../object-pages.js";
import { readManifest, s3Files } from "./files.js";
import { lineageTables, quoted, readLedgerFacts, scopeOf, type LedgerTable } from "./tables.js";

export interface LineageDestination {
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly bucket: string;
}

export type WrittenLineage = Omit<LineageManifest, "format">;

/**
 * Undefined, with nothing written, of a fleet that the ledger does not know. One snapshot of the ledger; a file for each
 * table that has rows of it, and the manifest at the end: whoever dies before leaves the lineage of before as it is. Memory does not grow
 * with the fleet. Two at once write one after the other, so the later is the newer. Throws SpecError when the lineage
 * that is there was written from another ledger: on an empty ledger, the day after the loss, a cycle must not overwrite
 * what the lost one knew.
 */
export async function writeLineage(
  destination: LineageDestination,
  { fleet, at }: { readonly fleet: string; readonly at: Date },
): Promise<WrittenLineage | undefined> {
  const connection = await destination.ledger.connect();
  const unheard = (): void => undefined;
  connection.on("error", unheard);
  try {
    // Before the transaction, whose snapshot is taken by its first statement: not while it waits.
    await connection.query("select pg_advisory_lock(hashtextextended($1, 0))", [lockOf(fleet)]);
    const written = await write(connection, destination, { fleet, at });
    await connection.query("select pg_advisory_unlock(hashtextextended($1, 0))", [lockOf(fleet)]);
    connection.off("error", unheard);
    connection.release();
    return written;
  } catch (error) {
    // Closed, not given back: with it go the snapshot and the lock.
    connection.release(true);
    throw error;
  }
}

const lockOf = (fleet: string): string => `modelfleet lineage ${fleet}`;

async function write(
  connection: pg.PoolClient,
  { s3, bucket }: LineageDestination,
  { fleet, at }: { readonly fleet: string; readonly at: Date },
): Promise<WrittenLineage | undefined> {
  await connection.query("begin isolation level repeatable read, read only");
  await connection.query("set local time zone 'UTC'");
  const known = await connection.query("select from fleet_specs where fleet = $1 limit 1", [fleet]);
  if (known.rowCount === 0) {
    await connection.query("rollback");
    return undefined;
  }
  const facts = await readLedgerFacts(connection);
  const before = await readManifest(s3Files(s3, bucket, s3Keys.lineage(fleet)));
  if (before !== undefined) await assertOurs(connection, before, facts.ledger);
  const folder = lineageFolder(at.toISOString());
  const tables: LineageTable[] = [];
  for (const table of await lineageTables(connection)) {
    if (await isEmpty(connection, table, fleet)) continue;
    const Key = s3Keys.lineage(fleet) + lineageFile(folder, table.name);
    const written = await writeTable(connection, { table, fleet }, { s3, bucket, Key });
    tables.push({ name: table.name, columns: [...table.columns], ...written });
  }
  // A connection that broke has lost its lock, and somebody else may have written since.
  await connection.query("commit");
  const manifest = { fleet, ...facts, writtenAt: at.toISOString(), folder, tables };
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: s3Keys.lineage(fleet) + LINEAGE_MANIFEST,
      Body: writeManifestText(manifest),
      ContentType: "application/json",
    }),
  );
  await removeOlder({ s3, bucket }, fleet, [folder, before?.folder]);
  return manifest;
}

async function isEmpty(
  connection: pg.PoolClient,
  { name, scope }: LedgerTable,
  fleet: string,
): Promise<boolean> {
  const { rowCount } = await connection.query(
    `select from ${pg.escapeIdentifier(name)} where ${scope} limit 1`,
    [fleet],
  );
  return rowCount === 0;
}

async function assertOurs(
  connection: pg.PoolClient,
  { fleet, ledger, writtenAt }: LineageManifest,
  own: string,
): Promise<void> {
  if (ledger === own) return;
  const { rowCount } = await connection.query(
    "select from rebuilds where fleet = $1 and ledger = $2",
    [fleet, ledger],
  );
  if (rowCount !== null && rowCount > 0) return;
  throw new SpecError(
    `the lineage of fleet "${fleet}" of ${writtenAt} was written from another ledger than this one, and is not overwritten`,
    `point MODELFLEET_LEDGER_URL to an empty database and run modelfleet import ${fleet}; if this ledger is the right one, move ${s3Keys.lineage(fleet)} away`,
  );
}

/** JSON has neither of these signs unescaped: so Postgres never puts a line in quotes. */
const AS_IT_IS = "format csv, delimiter e'\\x02', quote e'\\x01'";

async function writeTable(
  connection: pg.PoolClient,
  { table, fleet }: { readonly table: LedgerTable; readonly fleet: string },
  { s3, bucket, Key }: { readonly s3: S3Client; readonly bucket: string; readonly Key: string },
): Promise<Pick<LineageTable, "rows" | "bytes" | "sha256">> {
  const order = table.key.length === 0 ? "" : ` order by ${quoted(table.key)}`;
  const select = `select ${quoted(table.columns)} from ${pg.escapeIdentifier(table.name)} where ${scopeOf(table, fleet)}${order}`;
  const lines = connection.query(
    copyTo(`copy (select row_to_json(r) from (${select}) r) to stdout (${AS_IT_IS})`),
  );
  const seen = { rows: 0, bytes: 0 };
  const hash = createHash("sha256");
  const counted = passing((chunk) => {
    for (const byte of chunk) if (byte === 10) seen.rows += 1;
  });
  const hashed = passing((chunk) => {
    seen.bytes += chunk.length;
    hash.update(chunk);
  });
  const body = new PassThrough();
  const upload = new Upload({
    client: s3,
    params: { Bucket: bucket, Key, Body: body, ContentType: "application/gzip" },
    queueSize: 1,
  });
  const piped = pipeline(lines, counted, createGzip(), hashed, body);
  // Whichever fails first ends the other, which would wait for it for ever.
  await Promise.all([
    piped,
    upload.done().catch((error: unknown) => {
      body.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }),
  ]);
  return { ...seen, sha256: hash.digest("hex") };
}

function passing(look: (chunk: Buffer) => void): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      look(chunk);
      done(null, chunk);
    },
  });
}

/** The one of before stays: it is whole, should somebody be reading it. What was left half written goes. */
async function removeOlder(
  { s3, bucket }: Pick<LineageDestination, "s3" | "bucket">,
  fleet: string,
  kept: readonly (string | undefined)[],
): Promise<void> {
  const prefix = s3Keys.lineage(fleet);
  for await (const page of objectPages(s3, bucket, prefix)) {
    const old = page.filter(({ key }) => {
      const [folder, file] = key.slice(prefix.length).split("/");
      return file !== undefined && !kept.includes(folder);
    });
    await deleteObjects(s3, bucket, old);
  }
}
