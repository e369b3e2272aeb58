/** A fleet, or one of its stages, is taken down: everything that it has made, in an order in which nothing grows back. */
import { setCurrentDetails } from "@temporalio/workflow";
import type { FleetInventory } from "../activities/destruction.js";
import { destruction } from "./activities.js";
import type { DestroyFleetInput } from "./messages.js";

/**
 * Returns what there was. Fails with FleetBusy, with nothing changed, while a cycle runs that is not to be cancelled.
 * Run again it finds what is left: each step looks for itself what there is.
 */
export async function destroyFleet(input: DestroyFleetInput): Promise<FleetInventory> {
  const { fleet, stage, cancel, by, dryRun } = input;
  const part = { fleet, ...(stage === undefined ? {} : { stage }) };
  setCurrentDetails("Looking for what the fleet has made");
  const found = await destruction.takeInventory(part);
  if (dryRun) return found;
  setCurrentDetails("Ending its workflows");
  await destruction.endFleetWorkflows({ ...part, cancel });
  setCurrentDetails("Deleting its endpoints");
  await destruction.destroyEndpoints(part);
  if (stage === undefined) {
    setCurrentDetails("Deleting its model packages");
    await destruction.destroyModelPackages(part);
  }
  setCurrentDetails("Deleting its objects");
  await destruction.destroyObjects(part);
  setCurrentDetails("Taking it out of the ledger");
  await destruction.forgetInLedger({ found, by });
  if (stage === undefined) {
    setCurrentDetails("Forgetting the workflows that have ended");
    await destruction.forgetWorkflows(part);
  }
  setCurrentDetails("Nothing is left");
  return found;
}
