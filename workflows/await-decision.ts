/** Waits until a release is decided: reminds, escalates and lets it expire, as the fleet declares. */
import { condition, isCancellation, workflowInfo } from "@temporalio/workflow";
import type { Deadline } from "../fleet/approval.js";
import type { FoundApproval } from "../activities/approval.js";
import type { CycleRef } from "../activities/ledger/cycles.js";
import { notifications } from "./activities.js";
import { failureOf } from "./failures.js";
import { type Desk, remark, take } from "./release-desk.js";

/**
 * Returns when somebody has decided, a newer version has superseded this one, or its time was up. `found` is what the
 * ledger says of it by now: a newer version may have been registered before this workflow was there to be told.
 */
export async function untilDecided(
  cycle: CycleRef,
  desk: Desk,
  found: FoundApproval,
): Promise<void> {
  const isOpen = (): boolean => desk.state.kind === "awaiting-approval";
  if (found.supersededBy !== null) take(desk, { kind: "superseded", version: found.supersededBy });

  for (const deadline of found.deadlines) {
    await waitFor(() => !isOpen(), deadline);
    // A decision that came in the same moment goes first.
    if (!isOpen()) return;
    const told = tell(cycle, desk, found, deadline);
    if (deadline.kind !== "expire" || found.onExpiry !== "deny") {
      remark(desk, `Nobody has decided within ${deadline.after}.`);
      continue;
    }
    desk.farewell = told;
    take(desk, { kind: "expired", after: deadline.after });
  }
  await condition(() => !isOpen());
}

/** Time counts from the workflow's start, whatever has been waited for since. */
async function waitFor(isOver: () => boolean, { kind, after, seconds }: Deadline): Promise<void> {
  const left = workflowInfo().startTime.getTime() + seconds * 1000 - Date.now();
  if (left > 0) await condition(isOver, left, { summary: `${kind} after ${after}` });
}

/** Whoever cannot be reached holds nothing up: it is told on the release's page. */
async function tell(
  { fleet, cycle }: CycleRef,
  desk: Desk,
  { webhook, onExpiry }: FoundApproval,
  { kind, after }: Deadline,
): Promise<void> {
  if (webhook === null) return;
  try {
    await notifications.notifyWaiting({ fleet, cycle, kind, after, onExpiry, webhook });
  } catch (error) {
    if (isCancellation(error)) return;
    remark(desk, `The message about it (${kind}) was not sent: ${failureOf(error).message}`);
  }
}
