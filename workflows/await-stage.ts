/** Waits for a stage's own approval: reminds and escalates, as the fleet declares. A stage waits as long as it takes. */
import { condition, isCancellation } from "@temporalio/workflow";
import type { Deadline, StageReminders } from "../fleet/approval.js";
import type { CycleRef } from "../activities/ledger/cycles.js";
import { notifications } from "./activities.js";
import { failureOf } from "./failures.js";
import { type Desk, remark } from "./release-desk.js";

export interface StageWait {
  readonly stage: string;
  /** Milliseconds: the ledger holds that it waits. */
  readonly since: number;
  readonly reminders: StageReminders | null;
  /** How many of the deadlines have passed. */
  passed: number;
}

/** Returns when something has changed, whatever it is. What has been told stands in `wait`, for the next time. */
export async function untilStageApproved(
  cycle: CycleRef,
  desk: Desk,
  wait: StageWait,
  isChanged: () => boolean,
): Promise<void> {
  const { stage, since, reminders } = wait;
  for (const deadline of reminders?.deadlines.slice(wait.passed) ?? []) {
    const { kind, after, seconds } = deadline;
    const left = since + seconds * 1000 - Date.now();
    const summary = `${kind} after ${after}, for stage ${stage}`;
    if (left > 0 && (await condition(isChanged, left, { summary }))) return;
    wait.passed++;
    void tell(cycle, desk, wait, deadline);
  }
  await condition(isChanged);
}

/** Whoever cannot be reached holds nothing up: it is told on the release's page. */
async function tell(
  { fleet, cycle }: CycleRef,
  desk: Desk,
  { stage, since, reminders }: StageWait,
  { kind, after }: Deadline,
): Promise<void> {
  if (reminders === null) return;
  const { webhook } = reminders;
  const waiting = { stage, since: new Date(since).toISOString() };
  try {
    await notifications.notifyStageWaiting({ fleet, cycle, ...waiting, kind, after, webhook });
  } catch (error) {
    if (isCancellation(error)) return;
    const because = failureOf(error).message;
    remark(desk, `The message about stage ${stage} (${kind}) was not sent: ${because}`);
  }
}
