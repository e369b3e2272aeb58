/** Gives a version that only the registry knows the cycle that it is of: by what the cycle's export left in S3. */
import { GetObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import type pg from "pg";
import { z } from "zod";
import { canonicalJson, sha256Hex } from "../../fleet/canonical-json.js";
import { s3Keys } from "../../fleet/names.js";
import { workflowIds } from "../../workflows/messages.js";
import { isMissingObject } from "../s3-uri.js";
import type { PackageMetadata } from "./package-metadata.js";

export interface CycleDependencies {
  readonly s3: S3Client;
  readonly bucket: string;
}

/** The head of a cycle's manifest: see export/manifest.ts. */
const headSchema = z.object({
  workflowId: z.string(),
  specHash: z.string(),
  spec: z.record(z.string(), z.unknown()).optional(),
  sql: z.string(),
  target: z.string(),
  columns: z.array(z.unknown()),
  rowsWithoutCustomer: z.number(),
});
type Head = z.infer<typeof headSchema>;

const UNKNOWN_END =
  "the ledger was lost before this cycle was in its lineage: what is known of it is of the model registry";

/** Null when the cycle and its spec are there now; else why not, as a sentence. */
export async function rebuildCycle(
  connection: pg.PoolClient,
  dependencies: CycleDependencies,
  {
    fleet,
    metadata,
    createdAt,
  }: {
    readonly fleet: string;
    readonly metadata: PackageMetadata;
    readonly createdAt: Date;
  },
): Promise<string | null> {
  const { cycle, "spec-hash": specHash } = metadata;
  const { rows } = await connection.query<{ spec: boolean; cycle: boolean }>(
    `select exists (select from fleet_specs where fleet = $1 and spec_hash = $2) as spec,
            exists (select from cycles where fleet = $1 and cycle = $3) as cycle`,
    [fleet, specHash, cycle],
  );
  const [known] = rows;
  if (known?.spec && known.cycle) return null;
  const head = await readHead(dependencies, fleet, cycle);
  if (known?.spec !== true) {
    const spec = head?.spec;
    if (spec === undefined || sha256Hex(canonicalJson(spec)) !== specHash)
      return `the spec that it was made with is nowhere any more; run its cycle ${cycle} again with the same fleet file`;
    await connection.query(
      "insert into fleet_specs (fleet, spec_hash, spec) values ($1, $2, $3) on conflict do nothing",
      [fleet, specHash, JSON.stringify(spec)],
    );
  }
  if (known?.cycle !== true) await insertCycle(connection, { fleet, metadata, createdAt, head });
  return null;
}

async function insertCycle(
  connection: pg.PoolClient,
  o: {
    readonly fleet: string;
    readonly metadata: PackageMetadata;
    readonly createdAt: Date;
    readonly head: Head | undefined;
  },
): Promise<void> {
  const { fleet, metadata, createdAt, head } = o;
  const columns = head && [{ name: head.target, type: "number" }, ...head.columns];
  await connection.query(
    `insert into cycles (fleet, cycle, spec_hash, window_floor, window_ceiling, workflow_id, state, reason, sql, columns,
                         rows_without_customer, testing, cause, started_at, ended_at)
     values ($1, $2, $3, $4, $5, $6, 'cancelled', $7, $8, $9, $10, $11, $12, $13, $13)`,
    [
      ...[fleet, metadata.cycle, metadata["spec-hash"]],
      ...[metadata["window-floor"], metadata["window-ceiling"]],
      ...[head?.workflowId ?? workflowIds.retrainFleet(fleet, metadata.cycle), UNKNOWN_END],
      ...[head?.sql ?? null, columns === undefined ? null : JSON.stringify(columns)],
      ...[head?.rowsWithoutCustomer ?? null, metadata.testing === "true"],
      ...[metadata.cycle.endsWith("-drift") ? "drift" : null, createdAt],
    ],
  );
}

/** Before the customers, of whom there may be a hundred thousand. */
const HEAD_BYTES = 4_000_000;
const HEAD_END = ',\n "customers": [';

async function readHead(
  { s3, bucket }: CycleDependencies,
  fleet: string,
  cycle: string,
): Promise<Head | undefined> {
  try {
    const { Body } = await s3.send(
      new GetObjectCommand({
        Bucket: bucket,
        Key: s3Keys.manifest(fleet, cycle),
        Range: `bytes=0-${HEAD_BYTES - 1}`,
      }),
    );
    const text = (await Body?.transformToString("utf8")) ?? "";
    const end = text.indexOf(HEAD_END);
    return end < 0 ? undefined : headSchema.parse(JSON.parse(`${text.slice(0, end)}\n}`));
  } catch (error) {
    if (isMissingObject(error) || error instanceof z.ZodError || error instanceof SyntaxError)
      return undefined;
    throw error;
  }
}
