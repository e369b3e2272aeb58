/** What `modelfleet export` and `modelfleet import` do: with a worker's settings and rights, and without Temporal or a worker. */
import { S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { Client, Connection } from "@temporalio/client";
import type pg from "pg";
import { wakeWatcher } from "../activities/announce-version.js";
import { migrateLedger } from "../activities/ledger/migrate.js";
import { openLedger } from "../activities/ledger/pool.js";
import { lineageFiles } from "../activities/lineage/files.js";
import { rebuildFleet } from "../activities/lineage/rebuild.js";
import { writeLineage } from "../activities/lineage/write.js";
import { SpecError } from "../fleet/errors.js";
import { s3Keys } from "../fleet/names.js";
import type { ExportedFleet, RebuiltFleet } from "../fleet/rebuild.js";
import type { Environment } from "../settings/environment.js";
import { temporalSettings } from "../settings/temporal.js";
import type { WatchRegistryInput } from "../workflows/messages.js";
import { callerAccount } from "./clients.js";
import { readSettings, type WorkerSettings } from "./settings.js";
import { openRuntime, openStages } from "./stage-clients.js";

const attempts = { maxAttempts: 3 };

/** Writes the fleet's lineage now. Throws SpecError for a fleet that the ledger does not know. */
export async function exportFleet(environment: Environment, fleet: string): Promise<ExportedFleet> {
  const { region, ledgerUrl, bucket } = await readSettings(environment);
  const ledger = openLedger({ url: ledgerUrl, maxConnections: 2 });
  const s3 = new S3Client({ region, ...attempts });
  try {
    await migrateLedger(ledger);
    const written = await writeLineage({ ledger, s3, bucket }, { fleet, at: new Date() });
    if (written === undefined)
      throw new SpecError(
        `the ledger knows no fleet "${fleet}"`,
        "modelfleet status lists those that it knows",
      );
    const { writtenAt, tables } = written;
    const place = `s3://${bucket}/${s3Keys.lineage(fleet)}`;
    const filled = tables.filter(({ rows }) => rows > 0);
    return {
      ...{ fleet, place, writtenAt },
      rows: Object.fromEntries(filled.map(({ name, rows }) => [name, rows])),
      bytes: tables.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  } finally {
    s3.destroy();
    await ledger.end();
  }
}

export interface ImportOrder {
  readonly fleet: string;
  /** A folder, or one in S3; by default where the fleet's cycles write it. */
  readonly from: string | undefined;
  readonly by: string;
  readonly dryRun: boolean;
}

/** Sets the ledger up if it is new, as a worker does. Throws what `rebuildFleet` throws. */
export async function importFleet(
  environment: Environment,
  { fleet, from, by, dryRun }: ImportOrder,
): Promise<RebuiltFleet> {
  const settings = await readSettings(environment);
  const { region, ledgerUrl, bucket, roleArn } = settings;
  const account = await callerAccount(region);
  const ledger = openLedger({ url: ledgerUrl, maxConnections: 4 });
  const s3 = new S3Client({ region, ...attempts });
  // No workflow stands behind it to try again: throttled calls are repeated here.
  const sagemaker = new SageMakerClient({ region, retryMode: "adaptive", maxAttempts: 10 });
  const runtime = openRuntime({ region });
  const home = { account, region, bucket, roleArn, s3, sagemaker, runtime };
  const stages = openStages({ home, ledger, observe: () => undefined });
  try {
    await migrateLedger(ledger);
    const files = lineageFiles(s3, from ?? `s3://${bucket}/${s3Keys.lineage(fleet)}`);
    const { stageAccess } = stages;
    const rebuilt = await rebuildFleet(
      { ledger, sagemaker, s3, bucket, stageAccess },
      { fleet, files, by, dryRun },
    );
    if (dryRun) return rebuilt;
    const asleep = await wakeRegistryWatcher(environment, settings, { account, region, ledger });
    return asleep === null ? rebuilt : { ...rebuilt, lost: [...rebuilt.lost, asleep] };
  } finally {
    stages.close();
    for (const client of [s3, sagemaker, runtime]) client.destroy();
    await ledger.end();
  }
}

/**
 * It has found nothing to watch in the empty ledger, and would not be woken before the next registration. Returns why
 * it is not, as a sentence: the ledger is whole without it.
 */
async function wakeRegistryWatcher(
  environment: Environment,
  { secret, watchSeconds }: WorkerSettings,
  { account, region, ledger }: WatchRegistryInput & { readonly ledger: pg.Pool },
): Promise<string | null> {
  try {
    const { connectionOptions, namespace, dataConverter } = await temporalSettings(
      environment,
      secret,
    );
    const connection = await Connection.connect(connectionOptions);
    try {
      const encoded = dataConverter === undefined ? {} : { dataConverter };
      const temporal = new Client({ connection, namespace, ...encoded });
      await wakeWatcher({ ledger, temporal, watchSeconds }, { account, region });
      return null;
    } finally {
      await connection.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `that somebody watches the model registry: Temporal does not answer (${why}), so what is decided there is seen when the next model is registered`;
  }
}
