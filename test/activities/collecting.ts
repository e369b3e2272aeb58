/** Tidies up after fleets as their workflow does, and tells what is left of them. */
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import {
  createCollectionActivities,
  type CollectionDependencies,
  type CollectionReport,
} from "../../activities/collection.js";
import { s3Keys } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { DEFAULT_PACE } from "../../workflows/messages.js";
import { run, type Parts } from "./parts.js";

const DAY = 86_400_000;

export const inDays = (days: number): string => new Date(Date.now() + days * DAY).toISOString();

/** All of it; those who have left are retired only where the fleet says when. */
export async function collect(
  dependencies: CollectionDependencies,
  { name: fleet }: FleetSpec,
  days = 31,
): Promise<CollectionReport> {
  const collection = createCollectionActivities(dependencies);
  const input = { fleet, at: inDays(days) };
  const found = await run(collection.findCollectible, input);
  await run(collection.retireCustomers, { ...input, by: "ann", pace: DEFAULT_PACE });
  await run(collection.markCollected, input);
  await run(collection.collectObjects, input);
  await run(collection.collectModelPackages, input);
  await run(collection.collectEndpointParts, input);
  await run(collection.recordCollection, { found, by: "ann" });
  return found;
}

export const endCycles = ({ ledger }: Parts, { name }: FleetSpec) =>
  ledger.query(
    "update cycles set state = 'completed', ended_at = now() where fleet = $1 and ended_at is null",
    [name],
  );

/** All objects of the fleet, below its own prefix. */
export async function keysOf({ s3, bucket }: Parts, { name }: FleetSpec): Promise<string[]> {
  const Prefix = s3Keys.fleet(name);
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix }));
  return Contents.map(({ Key = "" }) => Key.slice(Prefix.length)).sort();
}

/** Versions that are marked, as `<customer key> v<version>`. */
export async function collectedOf({ ledger }: Parts, { name }: FleetSpec): Promise<string[]> {
  const { rows } = await ledger.query<{ name: string }>(
    `select customer_key || ' v' || version as name from releases
      where fleet = $1 and collected_at is not null order by customer_key, version`,
    [name],
  );
  return rows.map((row) => row.name);
}
