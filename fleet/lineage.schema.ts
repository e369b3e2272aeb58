/** The manifest of a fleet's lineage: what the ledger knew of it, and how to tell that it is whole. */
import { z } from "zod";
import { SpecError } from "./errors.js";

/** Another number is another layout of the files. */
const FORMAT = 1;

/** As the ledger's tables and columns are called. */
const sqlName = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, "the name of a table or a column");

const tableSchema = z.strictObject({
  name: sqlName,
  columns: z.array(sqlName).min(1).max(200),
  rows: z.int().min(0),
  /** Of the compressed file. */
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "a sha256 in hex"),
});

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  fleet: z.string().min(1),
  /** The ledger that it was written from: when it was set up. */
  ledger: z.string().min(1).max(100),
  /** The ledger's newest migration. */
  schema: z.string().regex(/^\d{4}[a-z0-9-]*\.sql$/, "the name of a migration"),
  writtenAt: z.iso.datetime(),
  /** The folder beside the manifest that has the tables' files: no path leads out of it. */
  folder: z.string().regex(/^\d{8}T\d{9}Z$/, "a time as 20261122T030000000Z"),
  tables: z.array(tableSchema).min(1).max(200),
});

export type LineageTable = z.infer<typeof tableSchema>;
export type LineageManifest = z.infer<typeof manifestSchema>;

export const LINEAGE_MANIFEST = "manifest.json";

/** Of a table's rows, relative to the manifest: a row a line, as JSON, compressed. */
export const lineageFile = (folder: string, table: string): string => `${folder}/${table}.jsonl.gz`;

/** `2026-11-22T03:00:00.000Z` as 20261122T030000000Z: later ones sort behind. */
export const lineageFolder = (at: string): string => at.replace(/[-:.]/g, "");

export const writeManifestText = (manifest: Omit<LineageManifest, "format">): string =>
  `${JSON.stringify({ format: FORMAT, ...manifest }, null, 1)}\n`;

/** `where` says where it was read. Throws SpecError: nothing that is not exactly as we write it is read on. */
export function parseLineageManifest(text: string, where: string): LineageManifest {
  const hint = "give a lineage that modelfleet export has written, untouched";
  const read = readJson(text);
  const parsed = manifestSchema.safeParse(read);
  if (parsed.success) return parsed.data;
  const format = formatOf(read);
  if (typeof format === "number" && format > FORMAT)
    throw new SpecError(
      `${where} is written in format ${format}, and this modelfleet reads format ${FORMAT}`,
      "use the version of modelfleet that wrote it, or a newer one",
    );
  const [issue] = parsed.error.issues;
  const field = issue?.path.join(".") ?? "";
  throw new SpecError(
    `${where} is no lineage's manifest: ${field === "" ? "" : `${field}: `}${issue?.message ?? "it cannot be read"}`,
    hint,
  );
}

const formatOf = (read: unknown): unknown =>
  typeof read === "object" && read !== null && "format" in read ? read.format : undefined;

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
