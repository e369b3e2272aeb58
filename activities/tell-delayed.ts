/** Tells people of versions that were denied and serve on, as they cannot be taken out of their stage yet. */
import { log } from "@temporalio/activity";
import { delayMessage } from "../fleet/notifications.js";
import { messageOf } from "./application-failure.js";
import { readDelayed } from "./ledger/notifications.js";
import type { StageRef } from "./ledger/publications.js";
import { readStage } from "./ledger/stages.js";
import { tellOnce, type TellDependencies } from "./tell-once.js";

/**
 * One message for all in the stage, and another when further ones are denied. Never fails, as the withdrawal must not:
 * returns why nobody could be told, to be read on its page; empty when there is no such reason.
 */
export async function tellDelayed(
  dependencies: TellDependencies,
  place: StageRef,
  because: string,
): Promise<string> {
  try {
    const { since, ...delayed } = await readDelayed(dependencies.ledger, place);
    if (since === null) return "";
    const { spec } = await readStage(dependencies.ledger, place);
    const webhook = spec.approval?.webhook;
    if (webhook === undefined) return "";
    await tellOnce(
      dependencies,
      { fleet: place.fleet, cycle: "", kind: "withdrawal", stage: place.stage },
      { webhook, since, message: async () => delayMessage(delayed, because) },
    );
    return "";
  } catch (error) {
    log.warn("nobody told of a delayed withdrawal", { ...place, because: messageOf(error) });
    return ` (the message about it was not sent: ${messageOf(error)})`;
  }
}
