/** Tells people one thing once: claimed in the ledger, so that neither a retry nor another worker tells it again. */
import { activityInfo, log } from "@temporalio/activity";
import type pg from "pg";
import type { Message } from "../fleet/notifications.js";
import { messageOf } from "./application-failure.js";
import { claimNotification, recordSent, type NotificationRef } from "./ledger/notifications.js";
import { slackWebhook } from "./webhook.js";

export interface TellDependencies {
  readonly ledger: pg.Pool;
  readonly secret: (name: string) => Promise<string | undefined>;
}

export interface Told {
  /** Name of the secret with the webhook's URL. */
  readonly webhook: string;
  /** ISO time; what was told before is told again: it was about something earlier. */
  readonly since?: string;
  /** Asked once it is the caller's to tell; null: there is nothing to tell any more. */
  readonly message: () => Promise<Message | null>;
}

/**
 * Whoever comes first tells; the others find it told, or claimed by a workflow that tries. Throws NotificationFailed;
 * `nonRetryable` when sending again would not help.
 */
export async function tellOnce(
  { ledger, secret }: TellDependencies,
  notification: NotificationRef,
  { webhook, since, message }: Told,
): Promise<void> {
  const channel = slackWebhook(webhook, await secret(webhook));
  const claimedBy = activityInfo().workflowExecution?.workflowId ?? "";
  if (!(await claimNotification(ledger, notification, { claimedBy, since }))) return;
  const told = await message();
  if (told !== null)
    try {
      await channel(told);
    } catch (error) {
      await recordSent(ledger, notification, messageOf(error));
      throw error;
    }
  await recordSent(ledger, notification, null);
  log.info("notified", { ...notification, told: told !== null });
}
