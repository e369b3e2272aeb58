/** Tells people outside that models wait for their decision. The channel's address is a secret of the worker. */
import { activityInfo, log } from "@temporalio/activity";
import type pg from "pg";
import {
  overBudgetMessage,
  waitingMessage,
  type Deadline,
  type Message,
} from "../fleet/approval.js";
import type { ApprovalPolicy } from "../fleet/approval.schema.js";
import { FAILURES } from "../fleet/errors.js";
import { backPressure, messageOf, permanent, retryable } from "./application-failure.js";
import type { CycleRef } from "./ledger/cycles.js";
import { claimNotification, readWaiting, recordSent } from "./ledger/notifications.js";

export interface NotificationDependencies {
  readonly ledger: pg.Pool;
  readonly secret: (name: string) => Promise<string | undefined>;
}

export interface NotifyOverBudgetInput extends CycleRef {
  /** What was allowed, spent and refused, in one sentence. */
  readonly because: string;
  /** Name of the secret with the webhook's URL. */
  readonly webhook: string;
}

export interface NotifyWaitingInput extends CycleRef, Pick<Deadline, "kind" | "after"> {
  readonly onExpiry: ApprovalPolicy["onExpiry"];
  /** Name of the secret with the webhook's URL. */
  readonly webhook: string;
}

/** Carries a message to people; another way than a webhook is another function of this type. */
export type Channel = (message: Message) => Promise<void>;

export const createNotificationActivities = ({ ledger, secret }: NotificationDependencies) => ({
  /**
   * One message for all that wait in the cycle: the first release to reach the deadline sends it, the others find it
   * sent. Throws NotificationFailed; `nonRetryable` when sending again would not help.
   */
  async notifyWaiting(input: NotifyWaitingInput): Promise<void> {
    const { fleet, cycle, kind, onExpiry } = input;
    const channel = slackWebhook(input.webhook, await secret(input.webhook));
    const owner = activityInfo().workflowExecution?.workflowId ?? "";
    if (!(await claimNotification(ledger, input, owner))) return;
    const waiting = await readWaiting(ledger, input);
    // All decided in this moment: there is nothing to tell any more.
    if (waiting.waiting > 0)
      try {
        await channel(waitingMessage(waiting, input, onExpiry));
      } catch (error) {
        await recordSent(ledger, input, messageOf(error));
        throw error;
      }
    await recordSent(ledger, input, null);
    log.info("notified", { fleet, cycle, kind, waiting: waiting.waiting });
  },

  /** One message a cycle, until it is opened again. Throws as notifyWaiting does. */
  async notifyOverBudget({ fleet, cycle, because, webhook }: NotifyOverBudgetInput): Promise<void> {
    const channel = slackWebhook(webhook, await secret(webhook));
    const notification = { fleet, cycle, kind: "budget" } as const;
    const owner = activityInfo().workflowExecution?.workflowId ?? "";
    if (!(await claimNotification(ledger, notification, owner))) return;
    try {
      await channel(overBudgetMessage({ fleet, cycle, because }));
    } catch (error) {
      await recordSent(ledger, notification, messageOf(error));
      throw error;
    }
    await recordSent(ledger, notification, null);
    log.info("notified", notification);
  },
});
export type NotificationActivities = ReturnType<typeof createNotificationActivities>;

const TIMEOUT_MILLISECONDS = 10_000;

/**
 * Slack's incoming webhooks, and whatever takes the same JSON (Mattermost, Rocket.Chat, Discord at `…/slack`).
 * Neither the URL nor what `fetch` says about it leaves this function: both hold the secret.
 * Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
 */
export function slackWebhook(name: string, url: string | undefined): Channel {
  if (url === undefined || !URL.canParse(url) || !/^https?:/.test(url))
    throw permanent(FAILURES.notificationFailed, {
      message: `the worker's secret ${name} ${url === undefined ? "is not set" : "is no http or https URL"}`,
      hint: `set ${name} in the worker's environment to the webhook's URL, and restart the worker`,
    });
  return async (message) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(slackBody(message)),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    }).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok !== true) throw failureOf(name, response);
  };
}

function failureOf(name: string, response: Response | undefined): Error {
  if (response === undefined)
    return retryable(FAILURES.notificationFailed, {
      message: `the webhook ${name} did not answer within ${TIMEOUT_MILLISECONDS / 1000} s, or could not be reached`,
      hint: "nothing to do: it is tried again for a quarter of an hour",
    });
  const message = `the webhook ${name} answered ${response.status}`;
  const retryInSeconds = Number(response.headers.get("retry-after") ?? NaN);
  if (response.status === 429 && retryInSeconds > 0)
    return backPressure(FAILURES.notificationFailed, {
      message,
      hint: "nothing to do: it is tried again when the service asks for it",
      retryInSeconds: Math.min(retryInSeconds, 300),
    });
  if (response.status === 429 || response.status >= 500)
    return retryable(FAILURES.notificationFailed, {
      message,
      hint: "nothing to do: it is tried again for a quarter of an hour",
    });
  return permanent(FAILURES.notificationFailed, {
    message,
    hint: `check the URL in the worker's secret ${name}: the service does not take messages at it`,
  });
}

/** `text` is what notifications and simple receivers show, `blocks` is what Slack lays out. */
export function slackBody({ title, body, commands }: Message) {
  const code = commands.map((command) => `\`${plain(command)}\``).join("\n");
  return {
    text: plain(`${title}. ${body}`),
    blocks: [
      { type: "header", text: { type: "plain_text", text: title.slice(0, 150) } },
      { type: "section", text: { type: "mrkdwn", text: `${plain(body)}\n${code}`.slice(0, 3000) } },
    ],
  };
}

/** Slack's three control characters; a customer's id may hold anything, also `<!channel>`. */
const plain = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
