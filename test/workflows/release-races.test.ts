/** Two things happen to a release at once: in both orders it ends as the first one says, and all is on record. */
import { WorkflowUpdateFailedError } from "@temporalio/client";
import { describe, expect, test } from "vitest";
import {
  approve,
  decide,
  type Decision,
  deny,
  published,
  superseded,
  workflowIds,
} from "../../workflows/messages.js";
import { attributeKeys } from "../../workflows/search-attributes.js";
import { useTemporal } from "./environment.js";
import { held, startRelease, type StartedRelease } from "./releases.js";

const temporal = useTemporal();

const ann: Decision = { verdict: "approve", by: "ann" };
const bob: Decision = { verdict: "deny", by: "bob", note: "drift in May" };
const denied = { kind: "denied", by: "bob", note: "drift in May" };
const BY_POLICY = { approvedBy: "policy:flights" };
const serving = {
  kind: "serving",
  stage: "sandbox",
  version: 7,
  targetModel: "xna/v000007.tar.gz",
} as const;
const rejected = {
  kind: "rejected",
  stage: "sandbox",
  version: 7,
  because: "its artifact is gone",
} as const;
/** The endpoint says nothing until the test does. */
const silentEndpoint = { activities: { verifyAndPoint: async () => ({ refused: [] }) } };

const attributeOf = async ({ handle }: StartedRelease) =>
  (await handle.describe()).typedSearchAttributes.get(attributeKeys.approvalState);

/** Started by the release: nobody works on it here. */
async function withdrawalOf({ input }: StartedRelease) {
  const { fleet, customerKey, version } = input;
  const workflowId = workflowIds.withdrawModel(fleet, customerKey, version);
  const { events } = await temporal.client().workflow.getHandle(workflowId).fetchHistory();
  return events?.[0]?.workflowExecutionStartedEventAttributes;
}

describe("approve and deny", () => {
  test("approved first: it is published, and the denial has it withdrawn", async () => {
    const started = await startRelease(temporal, {}, silentEndpoint);
    await started.handle.executeUpdate(decide, { args: [ann] });
    await started.fakes.called("verifyAndPoint");
    await started.handle.executeUpdate(decide, { args: [bob] });
    await started.handle.signal(published, serving);
    temporal.keep("release-model-denied-while-publishing", started.handle.workflowId);

    expect(await started.handle.result()).toEqual(denied);
    expect(started.recorded()).toMatchObject([
      { decision: ann, state: "approved" },
      { decision: bob, state: "denied" },
    ]);
    expect(await attributeOf(started)).toBe("DENIED");
    expect((await withdrawalOf(started))?.workflowType?.name).toBe("withdrawModel");
  });

  test("denied first: the approval is refused, and nothing is published", async () => {
    const step = held();
    const started = await startRelease(temporal, {}, { activities: { recordDecision: step.step } });
    await started.handle.executeUpdate(decide, { args: [bob] });
    await expect(started.handle.executeUpdate(decide, { args: [ann] })).rejects.toThrow(
      WorkflowUpdateFailedError,
    );
    step.letGo();

    expect(await started.handle.result()).toEqual(denied);
    expect(started.fakes.named("requestPublication")).toEqual([]);
  });

  test("in one moment, before the approval is on record: it is never published", async () => {
    const step = held();
    const started = await startRelease(temporal, {}, { activities: { recordDecision: step.step } });
    await started.handle.executeUpdate(decide, { args: [ann] });
    await started.handle.signal(deny, { by: "bob", note: "drift in May" });
    step.letGo();

    expect(await started.handle.result()).toEqual(denied);
    expect(started.recorded()).toMatchObject([{ state: "approved" }, { state: "denied" }]);
    expect(started.fakes.named("requestPublication")).toEqual([]);
  });
});

describe("deny and publish", () => {
  test("denied while the endpoint works on it, which then rejects it: it ends denied", async () => {
    const started = await startRelease(temporal, BY_POLICY, silentEndpoint);
    await started.fakes.called("verifyAndPoint");
    await started.handle.signal(deny, { by: "bob", note: "drift in May" });
    await started.fakes.called("recordDecision");
    await started.handle.signal(published, rejected);

    expect(await started.handle.result()).toEqual(denied);
    expect(started.recorded()).toMatchObject([{ decision: bob, state: "denied" }]);
    expect(await attributeOf(started)).toBe("DENIED");
    await expect(withdrawalOf(started)).rejects.toThrow();
  });

  test("served and denied in one moment: it is withdrawn", async () => {
    const step = held();
    const choices = { activities: { requestPublication: step.step } };
    const started = await startRelease(temporal, BY_POLICY, choices);
    await started.fakes.called("requestPublication");
    await started.handle.signal(published, serving);
    await started.handle.signal(deny, { by: "bob", note: "drift in May" });
    step.letGo();

    expect(await started.handle.result()).toEqual(denied);
    expect(started.recorded()).toMatchObject([{ state: "denied" }]);
    const withdrawal = await withdrawalOf(started);
    expect(withdrawal?.parentWorkflowExecution?.workflowId).toBe(started.handle.workflowId);
  });

  test("a withdrawal that somebody else has started does the same", async () => {
    const started = await startRelease(temporal, BY_POLICY, silentEndpoint);
    await started.fakes.called("verifyAndPoint");
    const { fleet, customerKey, version } = started.input;
    await temporal.client().workflow.start("withdrawModel", {
      workflowId: workflowIds.withdrawModel(fleet, customerKey, version),
      taskQueue: "nobody",
      args: [{}],
    });
    await started.handle.signal(deny, { by: "bob", note: "drift in May" });
    await started.handle.signal(published, serving);

    expect(await started.handle.result()).toEqual(denied);
  });
});

describe("supersede and approve", () => {
  test("superseded first: the approval is refused, and the registry hears of it", async () => {
    const step = held();
    const started = await startRelease(temporal, {}, { activities: { recordDecision: step.step } });
    await started.page(); // What comes before its first task may be taken in either order.
    await started.handle.signal(superseded, { version: 8 });
    const error = await started.handle
      .executeUpdate(decide, { args: [ann] })
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      cause: { message: "already decided: superseded by version 8 before anybody decided" },
    });
    step.letGo();
    temporal.keep("release-model-superseded", started.handle.workflowId);

    expect(await started.handle.result()).toEqual({ kind: "superseded", version: 8 });
    expect(started.recorded()).toMatchObject([
      { state: "superseded", decision: { verdict: "deny", by: "modelfleet" } },
    ]);
    expect(await attributeOf(started)).toBe("SUPERSEDED");
  });

  test("approved first: it goes on to serve", async () => {
    const step = held();
    const started = await startRelease(temporal, {}, { activities: { recordDecision: step.step } });
    await started.handle.executeUpdate(decide, { args: [ann] });
    await started.handle.signal(superseded, { version: 8 });
    step.letGo();

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    expect(started.recorded()).toMatchObject([{ state: "approved" }]);
  });

  test("by a version that was registered before this release was there to be told", async () => {
    const found = { supersededBy: 9, deadlines: [], onExpiry: "deny", webhook: null } as const;
    const started = await startRelease(
      temporal,
      {},
      { activities: { findApproval: async () => found } },
    );

    expect(await started.handle.result()).toEqual({ kind: "superseded", version: 9 });
  });

  test("an older version supersedes nothing", async () => {
    const started = await startRelease(temporal);
    await started.handle.signal(superseded, { version: 6 });
    await started.handle.executeUpdate(decide, { args: [ann] });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
  });
});

describe("the registry", () => {
  test("that repeats what was decided here is no second decision, and no complaint", async () => {
    const started = await startRelease(temporal, {}, silentEndpoint);
    await started.handle.executeUpdate(decide, { args: [ann] });
    await started.handle.signal(approve, { by: "registry" });
    await started.handle.signal(published, serving);

    await started.handle.result();
    expect(started.recorded()).toHaveLength(1);
    expect(await started.page()).not.toContain("refused");
  });

  test("decides by its signals, with who and why", async () => {
    const started = await startRelease(temporal, {}, silentEndpoint);
    await started.handle.signal(approve, { by: "registry:carol", note: "looks right" });
    await started.fakes.called("verifyAndPoint");
    await started.handle.signal(deny, { by: "registry:carol", note: "it does not" });
    await started.handle.signal(published, rejected);

    expect(await started.handle.result()).toMatchObject({ by: "registry:carol" });
    expect(started.recorded()).toMatchObject([{ state: "approved" }, { state: "denied" }]);
  });

  test("that contradicts what is final is told so on the page", async () => {
    const step = held();
    const started = await startRelease(temporal, {}, { activities: { recordDecision: step.step } });
    await started.handle.executeUpdate(decide, { args: [bob] });
    await started.handle.signal(approve, { by: "registry:carol" });
    await expect
      .poll(() => started.page(), { timeout: 30_000 })
      .toContain("The last signal was refused: already decided: denied by bob");
    step.letGo();
    await started.handle.result();
  });
});
