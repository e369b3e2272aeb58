/** A fleet is tidied up: who has left is retired; what nobody needs is marked in the ledger, and only then deleted. */
import { setCurrentDetails } from "@temporalio/workflow";
import type { CollectionReport } from "../activities/collection.js";
import { collection } from "./activities.js";
import { DEFAULT_PACE, type CollectFleetInput } from "./messages.js";

/**
 * Returns what there was to take. Run again it finds what is left: each step looks for itself. Safe beside cycles,
 * releases and withdrawals: what these have asked for is not marked, and what is marked they refuse with a sentence.
 */
export async function collectFleet(input: CollectFleetInput): Promise<CollectionReport> {
  const { fleet, by, dryRun, pace = DEFAULT_PACE } = input;
  const part = { fleet, at: new Date().toISOString() };
  setCurrentDetails("Looking for what nobody needs any more");
  const found = await collection.findCollectible(part);
  if (dryRun) return found;
  setCurrentDetails("Retiring customers that have left");
  await collection.retireCustomers({ ...part, by, pace });
  setCurrentDetails("Marking versions that are not gone back to any more");
  await collection.markCollected(part);
  setCurrentDetails("Deleting objects");
  await collection.collectObjects(part);
  setCurrentDetails("Deleting model packages that nobody has approved");
  await collection.collectModelPackages(part);
  setCurrentDetails("Deleting endpoint configs and models");
  await collection.collectEndpointParts(part);
  await collection.recordCollection({ found, by });
  setCurrentDetails("Tidied up");
  return found;
}
