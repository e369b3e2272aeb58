/** The way of a message to people: Slack's incoming webhooks. The address is a secret, and leaves this file never. */
import { FAILURES } from "../fleet/errors.js";
import type { Message } from "../fleet/notifications.js";
import { backPressure, permanent, retryable } from "./application-failure.js";

/** Carries a message to people; another way than a webhook is another function of this type. */
export type Channel = (message: Message) => Promise<void>;

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
