/** A release: who may decide what, and what follows. */
import { WorkflowUpdateFailedError } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import {
  approve,
  decide,
  type Decision,
  deny,
  published,
  type ReleaseModelInput,
  workflowIds,
} from "../../workflows/messages.js";
import { attributeKeys } from "../../workflows/search-attributes.js";
import type { releaseModel } from "../../workflows/release-model.js";
import { aReleaseInput } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes } from "./fakes.js";
import { startRelease as startReleaseOn, type StartedRelease } from "./releases.js";

const temporal = useTemporal();

const startRelease = (changes: Partial<ReleaseModelInput> = {}, choices: FakeChoices = {}) =>
  startReleaseOn(temporal, changes, choices);

/** The message that the person who decides gets to read. */
async function refusal(started: StartedRelease, decision: object): Promise<string> {
  const update = temporal
    .client()
    .workflow.getHandle(started.handle.workflowId)
    .executeUpdate<unknown, [object]>(decide.name, { args: [decision] });
  const error: unknown = await update.catch((caught: unknown) => caught);
  if (!(error instanceof WorkflowUpdateFailedError)) throw new Error("not refused");
  if (!(error.cause instanceof ApplicationFailure)) throw new Error("refused without a reason");
  expect(error.cause.type).toBe("DecisionRefused");
  return error.cause.message;
}

/** Not how long it may wait: a decision can come before that is asked. */
const effects = ({ fakes }: StartedRelease): string[] =>
  fakes.calls.map((call) => call.name).filter((name) => name !== "findApproval");

const ann: Decision = { verdict: "approve", by: "ann" };
/** The endpoint is not done with it yet. */
const neverTells = async () => ({ refused: [] });

describe("a version that a person decides", () => {
  test("serves once it is approved, with the approval on record before", async () => {
    const started = await startRelease();
    temporal.keep("release-model-approved", started.handle.workflowId);

    expect(await started.handle.executeUpdate(decide, { args: [ann] })).toEqual(ann);
    expect(await started.handle.result()).toEqual({
      kind: "serving",
      targetModel: "xna/v000007.tar.gz",
    });
    expect(effects(started)).toEqual([
      "recordDecision",
      "requestPublication",
      "copyArtifacts",
      "ensureEndpoint",
      "verifyAndPoint",
    ]);
    expect(started.fakes.named("recordDecision")).toMatchObject([
      {
        version: 7,
        decision: ann,
        state: "approved",
        at: expect.stringMatching(/^20.*Z$/) as string,
      },
    ]);
    const { typedSearchAttributes } = await started.handle.describe();
    expect(typedSearchAttributes.get(attributeKeys.approvalState)).toBe("APPROVED");
  });

  test("never serves once it is denied", async () => {
    const started = await startRelease();
    temporal.keep("release-model-denied", started.handle.workflowId);
    const denial: Decision = { verdict: "deny", by: "bob", note: "drift in May" };
    await started.handle.executeUpdate(decide, { args: [denial] });

    expect(await started.handle.result()).toEqual({
      kind: "denied",
      by: "bob",
      note: "drift in May",
    });
    expect(effects(started)).toEqual(["recordDecision"]);
    const { typedSearchAttributes } = await started.handle.describe();
    expect(typedSearchAttributes.get(attributeKeys.approvalState)).toBe("DENIED");
  });

  test("is decided by signals too, as the web UI sends them", async () => {
    const approved = await startRelease();
    await approved.handle.signal(approve, { by: "ann", note: "fine" });
    expect(await approved.handle.result()).toMatchObject({ kind: "serving" });
    expect(approved.fakes.named("recordDecision")).toMatchObject([
      { decision: { verdict: "approve", by: "ann", note: "fine" } },
    ]);

    const denied = await startRelease();
    await denied.handle.signal(deny, { by: "ann", note: "no" });
    expect(await denied.handle.result()).toEqual({ kind: "denied", by: "ann", note: "no" });
  });

  test("shows on its page how it was judged and how to decide", async () => {
    const started = await startRelease();

    const page = await started.page();
    expect(page).toContain("10 % below the champion");
    expect(page).toContain(`modelfleet approve ${started.input.fleet} xna`);
  });
});

describe("refused, with the reason", () => {
  test("a decision that names nobody, denies without a note, or is neither", async () => {
    const started = await startRelease();

    expect(await refusal(started, { verdict: "approve", by: " " })).toContain("nobody is named");
    expect(await refusal(started, { verdict: "deny", by: "ann" })).toContain("needs a reason");
    expect(await refusal(started, { verdict: "perhaps", by: "ann" })).toContain(
      '"approve" or "deny"',
    );
  });

  test("a second decision, which changes nothing", async () => {
    const started = await startRelease({}, { activities: { verifyAndPoint: neverTells } });
    await started.handle.executeUpdate(decide, { args: [ann] });

    const second = { verdict: "approve", by: "bob", note: "me too" };
    expect(await refusal(started, second)).toBe(
      "already decided: approved by ann, being published",
    );
    expect(started.fakes.named("recordDecision")).toHaveLength(1);
  });

  test("a decision on what the policy approved", async () => {
    const started = await startRelease(
      { approvedBy: "policy:flights" },
      { activities: { verifyAndPoint: neverTells } },
    );

    expect(await refusal(started, ann)).toContain("already decided: approved by policy:flights");
  });

  test("no history event for a refused update", async () => {
    const started = await startRelease();
    await refusal(started, { verdict: "approve", by: "" });

    const { events } = await started.handle.fetchHistory();
    expect(events?.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes)).toEqual(
      [],
    );
  });

  test("a signal without a name, told on the page because a signal has no answer", async () => {
    const started = await startRelease();
    await temporal.client().workflow.getHandle(started.handle.workflowId).signal("approve");
    await temporal.client().workflow.getHandle(started.handle.workflowId).signal("deny", {});

    // A query may be answered by the workflow task before the signals'.
    await expect
      .poll(() => started.page(), { timeout: 30_000 })
      .toContain("The last signal was refused: nobody is named");
    expect(started.fakes.named("recordDecision")).toEqual([]);
  });
});

describe("publishing", () => {
  test("needs no decision on record for what the policy approved at registration", async () => {
    const started = await startRelease({ approvedBy: "policy:flights" });

    expect(await started.handle.result()).toMatchObject({ kind: "serving" });
    expect(started.fakes.named("recordDecision")).toEqual([]);
  });

  test("that the endpoint rejects ends the release with the reason", async () => {
    const started = await startRelease(
      { approvedBy: "policy:flights" },
      { activities: { verifyAndPoint: neverTells } },
    );
    temporal.keep("release-model-rejected", started.handle.workflowId);
    const because = "row 2 was served as 4.1, offline it was 4.2";
    await started.handle.signal(published, {
      kind: "rejected",
      stage: "sandbox",
      version: 7,
      because,
    });

    expect(await started.handle.result()).toEqual({ kind: "rejected", because });
  });

  test("takes the first answer for its own version", async () => {
    const started = await startRelease(
      { approvedBy: "policy:flights" },
      { activities: { copyArtifacts: async () => new Promise(() => {}) } },
    );
    await started.handle.signal(published, {
      kind: "rejected",
      stage: "sandbox",
      version: 6,
      because: "old",
    });
    await started.handle.signal(published, {
      kind: "serving",
      stage: "sandbox",
      version: 7,
      targetModel: "t",
    });
    await started.handle.signal(published, {
      kind: "rejected",
      stage: "sandbox",
      version: 7,
      because: "twice",
    });

    expect(await started.handle.result()).toEqual({ kind: "serving", targetModel: "t" });
  });

  test("starts the endpoint's workflow once, and from then on signals it directly", async () => {
    const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {});
    const { taskQueue } = await temporal.worker(fakes.activities);
    const first = aReleaseInput({ approvedBy: "policy:flights" });
    for (const version of [7, 8]) {
      const outcome = await temporal
        .client()
        .workflow.execute<typeof releaseModel>("releaseModel", {
          taskQueue,
          workflowId: workflowIds.releaseModel(first.fleet, first.customerKey, version),
          args: [{ ...first, version }],
        });
      expect(outcome).toMatchObject({ kind: "serving" });
    }
    expect(fakes.named("requestPublication")).toHaveLength(1);
    expect(fakes.named("verifyAndPoint")).toHaveLength(2);
  });
});
