/** Waits until a release is decided: reminds, escalates and lets it expire, as the fleet declares. */
import { condition, isCancellation, workflowInfo } from "@temporalio/workflow";
import type { Deadline } from "../fleet/approval.js";
import type { FoundApproval } from "../activities/approval.js";
import { messenger, notifications } from "./activities.js";
import { failureOf } from "./failures.js";
import type { ReleaseModelInput } from "./messages.js";
import { type Desk, remark, take } from "./release-desk.js";

/** Returns when somebody has decided, a newer version has superseded this one, or its time was up. */
export async function untilDecided(input: ReleaseModelInput, desk: Desk): Promise<void> {
  const { fleet, cycle, customerKey, version } = input;
  const isOpen = (): boolean => desk.state.kind === "awaiting-approval";
  // A look at the ledger, since a newer version may have been registered before this workflow was there to be told.
  const found = await messenger.findApproval({ fleet, cycle, customerKey, version });
  if (found.supersededBy !== null)
    take(input, desk, { kind: "superseded", version: found.supersededBy });

  for (const deadline of found.deadlines) {
    await waitFor(() => !isOpen(), deadline);
    // A decision that came in the same moment goes first.
    if (!isOpen()) return;
    const told = tell(input, desk, found, deadline);
    if (deadline.kind !== "expire" || found.onExpiry !== "deny") {
      remark(input, desk, `Nobody has decided within ${deadline.after}.`);
      continue;
    }
    desk.farewell = told;
    take(input, desk, { kind: "expired", after: deadline.after });
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
  input: ReleaseModelInput,
  desk: Desk,
  { webhook, onExpiry }: FoundApproval,
  { kind, after }: Deadline,
): Promise<void> {
  if (webhook === null) return;
  const { fleet, cycle } = input;
  try {
    await notifications.notifyWaiting({ fleet, cycle, kind, after, onExpiry, webhook });
  } catch (error) {
    if (isCancellation(error)) return;
    remark(input, desk, `The message about it (${kind}) was not sent: ${failureOf(error).message}`);
  }
}
