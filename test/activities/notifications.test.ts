/** Messages to people: each told once, in Slack's form, and never with the webhook's address in it. */
import { createServer, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { MockActivityEnvironment } from "@temporalio/testing";
import { DefaultLogger } from "@temporalio/worker";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createCohortPublicationActivities } from "../../activities/cohort-publication.js";
import { createCohortRegistrationActivities } from "../../activities/cohort-registration.js";
import { createCohortReleaseActivities } from "../../activities/cohort-release.js";
import { createCohortWithdrawalActivities } from "../../activities/cohort-withdrawal.js";
import { forgetStage } from "../../activities/ledger/destruction.js";
import { waitWhileClosed } from "../../activities/closed-stage.js";
import {
  createNotificationActivities,
  type NotifyDriftInput,
  type NotifyStageWaitingInput,
  type NotifyWaitingInput,
} from "../../activities/notifications.js";
import { createPromotionActivities } from "../../activities/promotion.js";
import { slackBody } from "../../activities/webhook.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { specHash } from "../../fleet/names.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import type { Publication } from "../../workflows/messages.js";
import { aFleet, CYCLE, openCycle } from "./a-fleet.js";
import { aShardedFleet, anEvaluatedCohort } from "./cohorts.js";
import { run, useParts } from "./parts.js";
import { aVersion, aWithdrawal, signalsOf } from "./publishing.js";

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
  const { notifyWaiting } = createNotificationActivities({
    ledger: parts().ledger,
    secret: async (name) => secrets[name],
  });
  const input: NotifyWaitingInput = {
    ...{ fleet, cycle: CYCLE, kind: "remind", after: "2d", onExpiry: "deny", webhook: "HOOK" },
    ...asked,
  };
  return asIn(release).run(notifyWaiting, input);
}

/** An activity of that workflow. */
const asIn = (workflowId: string, activityType = "test") =>
  new MockActivityEnvironment(
    { activityType, workflowExecution: { workflowId, runId: "run" } },
    { logger: new DefaultLogger("ERROR") },
  );

const telling = () => ({ ...parts(), secret: async () => url });

const approval = { remindAfter: "2d", escalateAfter: "5d", webhook: "HOOK" };
const prod = {
  ...{ name: "prod", account: "333333333333", approval: "stage", bucket: "models-333333333333" },
  role: "arn:aws:iam::333333333333:role/modelfleet",
  executionRole: "arn:aws:iam::333333333333:role/modelfleet-execution",
};
const staged = (spec: FleetSpec, changes: object = {}): FleetSpec =>
  fleetSpecSchema.parse({
    ...spec,
    approval,
    stages: [{ name: "sandbox", account: "111111111111" }, prod],
    ...changes,
  });

/** Of ten members, which the policy has approved. */
async function aCohort(spec: FleetSpec): Promise<{ readonly cycle: string }> {
  const at = { cycle: "2026-10-01" };
  await anEvaluatedCohort(parts(), { spec, ...at, members: 10 });
  const { registerCohort } = createCohortRegistrationActivities({ ...parts(), watchSeconds: 1 });
  await run(registerCohort, { fleet: spec.name, ...at });
  return at;
}

const ofCustomer = (spec: FleetSpec, customer: string, version = 1) =>
  aVersion(parts(), { spec, customer, version, artifact: null });

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

describe("a stage that waits for its own approval", () => {
  const standings = (state: "stage-approval" | "serving") => {
    const nothing = { due: null, approved: null, note: null };
    return [
      { stage: "sandbox", state: "serving", ...nothing },
      { stage: "prod", state, ...nothing },
    ] as const;
  };
  const record = (
    fleet: string,
    { customerKey, version }: Publication,
    state: "stage-approval" | "serving" = "stage-approval",
  ) =>
    run(createPromotionActivities(parts()).recordPromotion, {
      ...{ fleet, customerKey, version, isServing: false, standings: standings(state) },
    });
  const now = () => new Date().toISOString();

  function tell(release: string, asked: Partial<NotifyStageWaitingInput> & { fleet: string }) {
    const { notifyStageWaiting } = createNotificationActivities(telling());
    const input: NotifyStageWaitingInput = {
      ...{ cycle: CYCLE, stage: "prod", kind: "remind", after: "2d", webhook: "HOOK" },
      ...{ since: now() },
      ...asked,
    };
    return asIn(release).run(notifyStageWaiting, input);
  }

  test("tells once for all of the cycle, and again for those who have begun to wait since", async () => {
    const fleet = "stage-waits";
    const spec = staged(aFleet({ name: fleet }));
    const atl = await ofCustomer(spec, "ATL");
    const ord = await ofCustomer(spec, "ORD");
    expect(await record(fleet, atl)).toMatchObject({
      reminders: { webhook: "HOOK", deadlines: [{ kind: "remind" }, { kind: "escalate" }] },
    });
    await record(fleet, ord);
    const since = now();
    await Promise.all([tell("release/1", { fleet, since }), tell("release/2", { fleet, since })]);
    await tell("release/2", { fleet, since });
    expect(received.map((message) => message.text)).toEqual([
      `${fleet}: 2 models wait for the approval of stage prod. ` +
        "Cycle 2013-07-01: ATL, ORD. What serves in the stages before serves on meanwhile.",
    ]);
    expect(JSON.stringify(received[0]?.blocks)).toContain(
      `modelfleet approve ${fleet} ATL ORD --stage prod`,
    );

    await record(fleet, await ofCustomer(spec, "XNA"));
    await tell("release/3", { fleet });
    await tell("release/1", { fleet, since });
    expect(received).toHaveLength(2);
    expect(received[1]?.text).toContain("3 models wait for the approval of stage prod.");

    await parts().ledger.query("update promotions set state = 'serving' where fleet = $1", [fleet]);
    await tell("release/1", { fleet, since, kind: "escalate", after: "5d" });
    expect(received).toHaveLength(2);
  });

  test("tells of a cohort as one, with the command for all of it", async () => {
    const fleet = "cohort-stage-waits";
    const at = await aCohort(staged(aShardedFleet(fleet)));
    const recorded = await run(createPromotionActivities(parts()).recordCohortPromotion, {
      ...{ fleet, version: 1, isServing: false, standings: standings("stage-approval") },
    });
    expect(recorded).toMatchObject({ reminders: { webhook: "HOOK" } });

    await tell("release-cohort/1", { fleet, ...at, kind: "escalate", after: "5d" });
    expect(received.map((message) => message.text)).toEqual([
      expect.stringContaining("10 models wait for the approval of stage prod for more than 5d."),
    ]);
    expect(JSON.stringify(received[0]?.blocks)).toContain(
      `modelfleet approve ${fleet} --cohort 2026-10-01 --stage prod`,
    );
  });

  test("of a fleet without a webhook, or elsewhere on its way, has nobody to tell", async () => {
    const silent = staged(aFleet({ name: "stage-silent" }), { approval: { expireAfter: "14d" } });
    expect(await record(silent.name, await ofCustomer(silent, "ATL"))).toMatchObject({
      reminders: null,
    });
    const spec = staged(aFleet({ name: "stage-served" }));
    const served = await record(spec.name, await ofCustomer(spec, "ATL"), "serving");
    expect(served).toMatchObject({ reminders: null });
  });
});

describe("a stage that does not let the worker in", () => {
  const denied = () =>
    Promise.reject(Object.assign(new Error("not authorized"), { name: "AccessDenied" }));
  const work = (fleet: string, doing: () => Promise<unknown>, activity = "copyArtifacts") =>
    asIn(`endpoint/${fleet}/prod`, activity).run(() =>
      waitWhileClosed(telling(), { fleet, stage: "prod" }, doing),
    );
  const refusal = async (fleet: string, activity?: string): Promise<string> => {
    const error: unknown = await work(fleet, denied, activity).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ type: "AccessDenied", nonRetryable: false });
    return String(error);
  };
  const done = async () => "done";
  const opened = async (name: string) => {
    await openCycle(parts(), staged(aFleet({ name })));
    return name;
  };
  /** As if it had begun so long ago. */
  const backdate = (fleet: string, column: "since" | "seen_at", minutes: number) =>
    parts().ledger.query(
      `update closed_stages set ${column} = ${column} - $2 * interval '1 minute' where fleet = $1`,
      [fleet, minutes],
    );

  test("is told once after an hour, and once when it is back", async () => {
    const fleet = await opened("closed");
    await refusal(fleet);
    await backdate(fleet, "since", 59);
    await refusal(fleet);
    expect(received).toEqual([]);
    await backdate(fleet, "since", 2);
    await refusal(fleet);
    await refusal(fleet);
    expect(received).toHaveLength(1);
    expect(received[0]?.text).toContain("closed: stage prod cannot be reached since 2");
    expect(received[0]?.text).toContain("Account 333333333333:");

    // What never was refused says nothing about what was.
    await work(fleet, done, "ensureEndpoint");
    expect(received).toHaveLength(1);
    expect(await work(fleet, done)).toBe("done");
    await work(fleet, done);
    expect(received).toHaveLength(2);
    expect(received[1]?.text).toContain("closed: stage prod can be reached again");

    // The next time that it is closed is another story.
    await parts().ledger.query(
      "update notifications set claimed_at = claimed_at - interval '1 day' where fleet = $1",
      [fleet],
    );
    await refusal(fleet);
    await backdate(fleet, "since", 61);
    await refusal(fleet);
    expect(received).toHaveLength(3);
    await work(fleet, done);
    expect(received).toHaveLength(4);
  });

  test("and is back soon, is nobody's business", async () => {
    const fleet = await opened("closed-shortly");
    await refusal(fleet);
    await work(fleet, done);
    await refusal(fleet);
    await backdate(fleet, "since", 59);
    await refusal(fleet);
    expect(received).toEqual([]);
  });

  test("was asked so long ago that nobody knows what has been since: the time begins anew", async () => {
    const fleet = await opened("closed-again");
    await refusal(fleet);
    await backdate(fleet, "since", 300);
    await backdate(fleet, "seen_at", 200);
    await refusal(fleet);
    expect(received).toEqual([]);
  });

  test("holds nothing up when the webhook fails: the activity's page tells, and the next attempt tries", async () => {
    const fleet = await opened("closed-untold");
    await refusal(fleet);
    await backdate(fleet, "since", 61);
    answers.push({ status: 404 });
    const told = await refusal(fleet);
    expect(told).toContain("(the message about it was not sent: the webhook HOOK answered 404)");
    expect(told).not.toContain("hush");
    expect(await refusal(fleet)).not.toContain("not sent");
    expect(received).toHaveLength(2);
    answers.push({ status: 404 });
    expect(await work(fleet, done)).toBe("done");
  });

  test("has nothing on record once it is taken down", async () => {
    const fleet = await opened("closed-destroyed");
    await refusal(fleet);
    await backdate(fleet, "since", 61);
    await refusal(fleet);
    const { ledger } = parts();
    await forgetStage(ledger, { fleet, stage: "prod", by: "ann", found: {} });
    for (const table of ["closed_stages", "notifications"]) {
      const { rows } = await ledger.query(`select from ${table} where fleet = $1`, [fleet]);
      expect(rows).toEqual([]);
    }
  });

  test("does not keep a cohort waiting that was denied meanwhile, nor is taken for open by that", async () => {
    const fleet = "closed-denied";
    const spec = staged(aShardedFleet(fleet));
    await aCohort(spec);
    await refusal(fleet, "copyCohortPage");
    const { copyCohortPage } = createCohortPublicationActivities({
      ...telling(),
      stageAccess: denied,
    });
    const copy = () =>
      asIn(`endpoint/${fleet}/prod`, "copyCohortPage").run(copyCohortPage, {
        ...{ fleet, stage: "prod", version: 1, after: "" },
      });
    await expect(copy()).rejects.toMatchObject({ type: "AccessDenied", nonRetryable: false });
    const { ledger } = parts();
    await ledger.query("update cohorts set state = 'denied' where fleet = $1", [fleet]);
    expect(await copy()).toEqual({ after: null, stopped: true });
    const { rows } = await ledger.query("select activity from closed_stages where fleet = $1", [
      fleet,
    ]);
    expect(rows).toEqual([{ activity: "copyCohortPage" }]);
  });

  test("of a fleet without a webhook waits in silence", async () => {
    const fleet = "closed-silent";
    await openCycle(parts(), staged(aFleet({ name: fleet }), { approval: undefined }));
    await refusal(fleet);
    await backdate(fleet, "since", 61);
    expect(await refusal(fleet)).not.toContain("not sent");
    expect(received).toEqual([]);
  });
});

test("a look for drift that has customers retrained is told once", async () => {
  const fleet = "drifts";
  const spec = aFleet({ name: fleet });
  await openCycle(parts(), spec);
  const { ledger } = parts();
  await ledger.query(
    `insert into drift_runs (fleet, run, spec_hash, at, workflow_id, dry_run, state)
     values ($1, 'look', $2, now(), 'w', false, 'retraining')`,
    [fleet, specHash(spec)],
  );
  await ledger.query(
    `insert into drift_customers (fleet, run, customer_key, customer, champion_version, champion_cycle, excess,
                                  drifted, action, because, left_because)
     values ($1, 'look', 'a', 'A', 1, $2, 1.5, true, 'retrain', '-', null),
            ($1, 'look', 'b', 'B', 1, $2, 3, true, 'retrain', '-', null),
            ($1, 'look', 'c', 'C', 1, $2, 1.2, true, 'left', '-', 'drift.maxRetrainings is 2, and others are worse'),
            ($1, 'look', 'd', 'D', 1, $2, 0.2, false, 'none', '-', null)`,
    [fleet, CYCLE],
  );
  await ledger.query(
    `insert into drift_figures (fleet, run, customer_key, measure, column_name, value, threshold, by_chance, exceeds)
     values ($1, 'look', 'a', 'psi', 'tool', 0.375, 0.25, 0, true), ($1, 'look', 'b', 'psi', 'load', 0.75, 0.25, 0, true),
            ($1, 'look', 'b', 'error', 'rmse', 2, 0, 1, false)`,
    [fleet],
  );
  const tell = () => {
    const { notifyDrift } = createNotificationActivities(telling());
    const input: NotifyDriftInput = { fleet, run: "look", webhook: "HOOK" };
    return asIn("watch-drift/1").run(notifyDrift, input);
  };
  await tell();
  await tell();
  expect(received.map((message) => message.text)).toEqual([
    "drifts: 2 customers have drifted and are retrained. Of 4 compared, 3 have drifted. Retrained: B, A. " +
      "The worst, B: PSI of load 0.75, at most 0.25 is tolerated. " +
      "Left for now: 1 (1 as drift.maxRetrainings is 2, and others are worse).",
  ]);
});

test("versions that were denied and serve on are told once, until further ones are denied", async () => {
  const fleet = "delayed";
  const spec = staged(aFleet({ name: fleet }));
  const denied = async (customer: string) => {
    const publication = await ofCustomer(spec, customer);
    const key = [fleet, publication.customerKey];
    await parts().ledger.query(
      `insert into publications (fleet, stage, customer_key, version, target_model, state)
       values ($1, 'prod', $2, 1, 't', 'serving')`,
      key,
    );
    await parts().ledger.query(
      `insert into withdrawals (fleet, stage, customer_key, version, asked_by, state, workflow_id)
       values ($1, 'prod', $2, 1, 'ann', 'asked', 'w')`,
      key,
    );
    return aWithdrawal(parts(), spec, publication);
  };
  const tell = (withdrawal: Awaited<ReturnType<typeof denied>>) =>
    asIn(`endpoint/${fleet}/prod`).run(createWithdrawalActivities(telling()).tellDelay, {
      ...{ fleet, stage: "prod", withdrawals: [withdrawal], because: "the endpoint is Failed" },
    });
  const atl = await denied("ATL");
  answers.push({ status: 404 });
  await tell(atl);
  await tell(atl);
  await tell(atl);
  expect(received).toHaveLength(2);
  expect(received[1]?.text).toBe(
    "delayed: 1 version that was denied serves on in stage prod. " +
      "ATL: the endpoint is Failed. It is tried again until it is done.",
  );
  expect(await signalsOf(parts(), atl.withdrawWorkflowId)).toMatchObject([
    { because: expect.stringContaining("was not sent: the webhook HOOK answered 404") as string },
    { because: "the endpoint is Failed" },
    { because: "the endpoint is Failed" },
  ]);

  await tell(await denied("ORD"));
  expect(received).toHaveLength(3);
  expect(received[2]?.text).toContain("2 versions that were denied serve on");
});

test("members of a denied cohort that serve on are told, as one", async () => {
  const fleet = "cohort-delayed";
  await aCohort(staged(aShardedFleet(fleet)));
  const { ledger } = parts();
  await ledger.query(
    `insert into publications (fleet, stage, customer_key, version, target_model, state)
     select fleet, 'prod', customer_key, version, 't', 'serving' from releases where fleet = $1`,
    [fleet],
  );
  await ledger.query(
    `insert into withdrawals (fleet, stage, customer_key, version, asked_by, state, workflow_id)
     select fleet, 'prod', customer_key, version, 'ann', 'asked', 'w' from releases where fleet = $1`,
    [fleet],
  );
  const { answerCohortWithdrawal } = createCohortWithdrawalActivities(telling());
  const answer = () =>
    asIn(`endpoint/${fleet}/prod`).run(answerCohortWithdrawal, {
      ...{ fleet, stage: "prod", version: 1, withdrawWorkflowId: "gone", because: "no capacity" },
    });
  await answer();
  await answer();
  expect(received.map((message) => message.text)).toEqual([
    expect.stringMatching(
      /^cohort-delayed: 10 versions that were denied serve on in stage prod\. C00000, .*, and 2 more: no capacity\. /,
    ),
  ]);
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
