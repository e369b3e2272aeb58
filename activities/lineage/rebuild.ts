/** Rebuilds a fleet's part of a ledger that was lost: from its lineage, and what registry and stages know beyond it. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { SpecError } from "../../fleet/errors.js";
import type { LineageManifest } from "../../fleet/lineage.schema.js";
import type { RebuiltFleet } from "../../fleet/rebuild.js";
import type { StageAccess } from "../stage-access.js";
import { readManifest, type LineageFiles } from "./files.js";
import { decideSince } from "./decided-since.js";
import { loadLineage } from "./load.js";
import { registerSince } from "./registered-since.js";
import { serveSince, settleReleases } from "./served-since.js";
import type { SinceFindings } from "./since.js";

export interface RebuildDependencies {
  readonly ledger: pg.Pool;
  /** Of the home account: where the model registry is, and what the cycles have left. */
  readonly sagemaker: SageMakerClient;
  readonly s3: S3Client;
  readonly bucket: string;
  readonly stageAccess: StageAccess;
}

export interface RebuildOrder {
  readonly fleet: string;
  readonly files: LineageFiles;
  /** Who asked. */
  readonly by: string;
  /** Find out everything, and leave the ledger as it is. */
  readonly dryRun: boolean;
}

/**
 * One transaction: whoever dies in it has changed nothing, and asks again. Throws SpecError when there is no lineage,
 * when it is another fleet's or not as it was written, and when the ledger knows the fleet.
 */
export async function rebuildFleet(
  dependencies: RebuildDependencies,
  { fleet, files, by, dryRun }: RebuildOrder,
): Promise<RebuiltFleet> {
  const manifest = await findManifest(fleet, files);
  const connection = await dependencies.ledger.connect();
  const unheard = (): void => undefined;
  connection.on("error", unheard);
  try {
    await connection.query("begin");
    await connection.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [
      `modelfleet rebuild ${fleet}`,
    ]);
    await loadLineage(connection, { manifest, files });
    const { lost, ...since } = await catchUp(connection, dependencies, manifest);
    await recordRebuild(connection, { manifest, files, by, found: { since, lost } });
    await connection.query(dryRun ? "rollback" : "commit");
    connection.off("error", unheard);
    connection.release();
    const { writtenAt, tables } = manifest;
    const rows = Object.fromEntries(
      tables.filter((table) => table.rows > 0).map((table) => [table.name, table.rows]),
    );
    return { fleet, source: files.place, writtenAt, dryRun, rows, since, lost };
  } catch (error) {
    // Closed, not given back: Postgres rolls back, also when the connection itself is what failed.
    connection.release(true);
    throw error;
  }
}

/** What is known beyond the lineage: versions first, then what was decided about them, then whom they serve. */
async function catchUp(
  connection: pg.PoolClient,
  dependencies: RebuildDependencies,
  { fleet, writtenAt }: LineageManifest,
): Promise<SinceFindings> {
  const findings: SinceFindings = { decided: 0, registered: 0, served: 0, lost: [] };
  const { sagemaker, stageAccess } = dependencies;
  await registerSince(connection, dependencies, { fleet, writtenAt, findings });
  const leaving = await decideSince(connection, sagemaker, fleet, findings);
  await serveSince(connection, stageAccess, { fleet, writtenAt, findings });
  await settleReleases(connection, fleet, leaving);
  return findings;
}

async function findManifest(fleet: string, files: LineageFiles): Promise<LineageManifest> {
  const manifest = await readManifest(files);
  if (manifest === undefined)
    throw new SpecError(
      `there is no lineage at ${files.place}`,
      "give another place with --from; without one, the lineage is read where the fleet's cycles have written it",
    );
  if (manifest.fleet === fleet) return manifest;
  throw new SpecError(
    `the lineage at ${files.place} is of fleet "${manifest.fleet}", not of "${fleet}"`,
    `modelfleet import ${manifest.fleet}, or give the place of the other lineage with --from`,
  );
}

async function recordRebuild(
  connection: pg.PoolClient,
  o: {
    readonly manifest: LineageManifest;
    readonly files: LineageFiles;
    readonly by: string;
    readonly found: object;
  },
): Promise<void> {
  const { fleet, ledger, writtenAt } = o.manifest;
  await connection.query(
    `insert into rebuilds (fleet, ledger, written_at, source, rebuilt_by, found) values ($1, $2, $3, $4, $5, $6)`,
    [fleet, ledger, writtenAt, o.files.place, o.by, JSON.stringify(o.found)],
  );
}
