/** Messages about waiting models: one a cycle, in Slack's form, and never with the webhook's address in it. */
import { createServer, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { MockActivityEnvironment } from "@temporalio/testing";
import { DefaultLogger } from "@temporalio/worker";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createCohortRegistrationActivities } from "../../activities/cohort-registration.js";
import { createCohortReleaseActivities } from "../../activities/cohort-release.js";
import {
  createNotificationActivities,
  slackBody,
  type NotifyWaitingInput,
} from "../../activities/notifications.js";
import { aFleet, CYCLE } from "./a-fleet.js";
import { aShardedFleet, anEvaluatedCohort } from "./cohorts.js";
import { run, useParts } from "./parts.js";
import { aVersion } from "./publishing.js";

const parts = useParts(17800);

interface Received {
  readonly text: string;
  readonly blocks: unknown[];
}

const received: Received[] = [];
/** How the service answers, in turn; 200 when there is none left. */
const answers: { readonly status: number; readonly headers?: Record<string, string> }[] = [];
let server: Server;
let url = "";

beforeAll(async () => {
  server = createServer((request, response) => {
    void text(request).then((body) => {
      received.push(JSON.parse(body) as Received);
      const { status, headers = {} } = answers.shift() ?? { status: 200 };
      response.writeHead(status, headers).end("ok");
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/services/T0/B0/hush`;
});
afterAll(() => void server.close());
beforeEach(() => {
  received.length = 0;
  answers.length = 0;
});

/** As the release of that name would have it told. */
function notify(
  fleet: string,
  release: string,
  secrets: Record<string, string> = { HOOK: url },
  asked: Partial<NotifyWaitingInput> = {},
) {
  const environment = new MockActivityEnvironment(
    { workflowExecution: { workflowId: release, runId: "run" } },
    { logger: new DefaultLogger("ERROR") },
  );
  const { notifyWaiting } = createNotificationActivities({
    ledger: parts().ledger,
    secret: async (name) => secrets[name],
  });
  const input: NotifyWaitingInput = {
    ...{ fleet, cycle: CYCLE, kind: "remind", after: "2d", onExpiry: "deny", webhook: "HOOK" },
    ...asked,
  };
  return environment.run(notifyWaiting, input);
}

async function waiting(name: string): Promise<string> {
  await aVersion(parts(), {
    ...{
      spec: aFleet({ name }),
      customer: "<!channel>",
      version: 1,
      state: "pending",
      artifact: null,
    },
  });
  return name;
}

describe("the first release to reach the deadline", () => {
  test("tells for all that wait in its cycle; the others find it told", async () => {
    const fleet = await waiting("told-once");
    await Promise.all([notify(fleet, "release/1"), notify(fleet, "release/2")]);
    await notify(fleet, "release/3");
    expect(received).toHaveLength(1);
    expect(received[0]?.text).toContain("told-once: 1 model waits for a decision");
    expect(received[0]?.text).toContain("&lt;!channel&gt;");
    expect(received[0]?.blocks).toHaveLength(2);
  });

  test("has nothing to tell when all are decided", async () => {
    const fleet = await waiting("all-decided");
    await parts().ledger.query("update releases set state = 'approved' where fleet = $1", [fleet]);
    await notify(fleet, "release/1");
    expect(received).toEqual([]);
  });
});

test("a cohort is told at each deadline for the one decision that it takes, and not once it is decided", async () => {
  const fleet = "cohort-waits";
  const at = { cycle: "2026-10-01" };
  const tell = (asked: Partial<NotifyWaitingInput> = {}) =>
    notify(fleet, "release-cohort/1", undefined, { ...at, ...asked });
  await anEvaluatedCohort(parts(), { spec: aShardedFleet(fleet), ...at, members: 10, asking: [4] });
  const { registerCohort } = createCohortRegistrationActivities({ ...parts(), watchSeconds: 1 });
  await run(registerCohort, { fleet, ...at });

  await tell();
  await tell();
  await tell({ kind: "escalate", after: "7d" });
  expect(received.map((message) => message.text)).toEqual([
    `${fleet}: 10 models wait for one decision. ` +
      "Cycle 2026-10-01: C00000, C00001, C00002, C00003, C00004, C00005, C00006, C00007, and 2 more.",
    expect.stringMatching(/^cohort-waits: 10 models wait for one decision for more than 7d\. /),
  ]);
  expect(JSON.stringify(received[0]?.blocks)).toContain(
    `modelfleet approve ${fleet} --cohort 2026-10-01`,
  );

  const { recordCohortDecision } = createCohortReleaseActivities(parts());
  await run(recordCohortDecision, {
    ...{ fleet, version: 1, state: "approved" },
    at: new Date().toISOString(),
    decision: { verdict: "approve", by: "ann", except: ["C00003"] },
  });
  await tell({ kind: "expire", after: "14d" });
  expect(received).toHaveLength(2);
});

describe("a webhook that fails", () => {
  test.each([
    [503, {}, false],
    [429, { "retry-after": "7" }, false],
    [404, {}, true],
    [302, { location: "http://127.0.0.1:9/" }, false],
  ])("with %d is told without its address", async (status, headers, nonRetryable) => {
    const fleet = await waiting(`fails-${status}`);
    answers.push({ status, headers });
    const error: unknown = await notify(fleet, "release/1").catch((caught: unknown) => caught);
    expect(error).toMatchObject({ type: "NotificationFailed", nonRetryable });
    expect(JSON.stringify(error) + String(error)).not.toContain("hush");
    // The same release tries again; another leaves it to it.
    await notify(fleet, "release/2");
    expect(received).toHaveLength(1);
    await notify(fleet, "release/1");
    expect(received).toHaveLength(2);
  });

  test("by not being there is told without its address", async () => {
    const fleet = await waiting("not-there");
    const gone = "http://127.0.0.1:9/services/hush";
    const error: unknown = await notify(fleet, "release/1", { HOOK: gone }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ nonRetryable: false });
    expect(JSON.stringify(error) + String(error)).not.toMatch(/hush|127\.0\.0\.1/);
  });

  test.each([
    [{}, "is not set"],
    [{ HOOK: "hush" }, "is no http or https URL"],
  ])("since the secret is wrong (%j) says what to set", async (secrets, said) => {
    const fleet = await waiting(`secret-${said.length}`);
    const error: unknown = await notify(fleet, "release/1", secrets).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ nonRetryable: true });
    expect(String(error)).toContain(`the worker's secret HOOK ${said}`);
    expect(String(error)).not.toContain("hush");
  });
});

test("the body is what Slack takes: a text, and blocks within its limits", () => {
  const body = slackBody({
    title: "t".repeat(200),
    body: "b & c",
    commands: ["modelfleet models f"],
  });
  expect(body.text).toContain("b &amp; c");
  expect(JSON.stringify(body.blocks)).toContain("`modelfleet models f`");
  expect(JSON.stringify(body.blocks)).not.toContain("t".repeat(151));
});
