/** Counts the models that a sharded job has put into S3 so far: in the ledger they all are in training until it ends. */
import { COHORT_KEY } from "../fleet/names.js";
import type { Connections } from "./connections.js";
import { askLedger } from "./ledger.js";

/** A look lists the whole folder: between two there is at least this, and many times what the last one took. Milliseconds. */
const PAUSE = 3000;
const PAUSE_FACTOR = 10;

/**
 * A function that may be called as often as wanted: it looks now and then, and answers what it saw last. 0 for a fleet
 * without sharded job, and for who may not list the bucket.
 */
export function checkpointGlances(
  connections: Connections,
  cycle: { readonly fleet: string; readonly cycle: string },
): () => Promise<number> {
  let due = 0;
  let models = 0;
  return async () => {
    if (Date.now() < due) return models;
    const begun = Date.now();
    try {
      models = Math.max(models, await countModels(connections, cycle));
    } catch {
      due = Infinity; // Only a nicety of the progress: the cycle is told of without it.
      return models;
    }
    due = Date.now() + Math.max(PAUSE, PAUSE_FACTOR * (Date.now() - begun));
    return models;
  };
}

async function countModels(
  connections: Connections,
  { fleet, cycle }: { readonly fleet: string; readonly cycle: string },
): Promise<number> {
  const [job] = await askLedger<{ folder: string | null }>(
    connections,
    `select request #>> '{CheckpointConfig,S3Uri}' as folder from jobs
      where fleet = $1 and cycle = $2 and customer_key = $3 order by round desc limit 1`,
    [fleet, cycle, COHORT_KEY],
  );
  const [, Bucket, Prefix] = /^s3:\/\/([^/]+)\/(.+)$/.exec(job?.folder ?? "") ?? [];
  if (Bucket === undefined) return 0;
  const { paginateListObjectsV2 } = await import("@aws-sdk/client-s3");
  const client = await connections.s3();
  let models = 0;
  for await (const { Contents } of paginateListObjectsV2({ client }, { Bucket, Prefix }))
    for (const { Key } of Contents ?? []) if (Key?.endsWith(".tar.gz") === true) models++;
  return models;
}
