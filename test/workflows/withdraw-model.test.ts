/** The withdrawal of one version: denied on record first, then replaced, and never half done. */
import { WorkflowFailedError, type WorkflowHandle } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import { type WithdrawModelInput, withdrawn, workflowIds } from "../../workflows/messages.js";
import type { withdrawModel } from "../../workflows/withdraw-model.js";
import { aFleetName, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes } from "./fakes.js";

const temporal = useTemporal();

interface Started {
  readonly fakes: Fakes;
  readonly handle: WorkflowHandle<typeof withdrawModel>;
}

async function startWithdrawal(
  choices: FakeChoices = {},
  changes: Partial<WithdrawModelInput> = {},
): Promise<Started> {
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, choices);
  const { taskQueue } = await temporal.worker(fakes.activities);
  const input: WithdrawModelInput = {
    fleet: aFleetName(),
    stage: "sandbox",
    customerKey: "xna",
    version: 2,
    decision: { verdict: "deny", by: "ann", note: "too slow" },
    pace: testPace,
    ...changes,
  };
  const handle = await temporal.client().workflow.start<typeof withdrawModel>("withdrawModel", {
    taskQueue,
    workflowId: workflowIds.withdrawModel(input.fleet, input.customerKey, input.version),
    args: [input],
  });
  return { fakes, handle };
}

const pageOf = ({ handle }: Started): Promise<string> =>
  handle.query<string>("__temporal_workflow_metadata").then((answer) => JSON.stringify(answer));

const servesNow = { version: 1, targetModel: "xna/v000001.tar.gz" };

test("a denied version is on record, replaced, and its artifact taken away last", async () => {
  const started = await startWithdrawal();
  temporal.keep("withdraw-model", started.handle.workflowId);

  expect(await started.handle.result()).toEqual({ version: 2, stage: "sandbox", servesNow });
  expect(started.fakes.calls.map((call) => call.name)).toEqual([
    "recordWithdrawal",
    "requestWithdrawal",
    "settleWithdrawals",
    "removeWithdrawnArtifact",
  ]);
  expect(started.fakes.named("recordWithdrawal")).toMatchObject([
    { customerKey: "xna", version: 2, decision: { by: "ann", note: "too slow" } },
  ]);
});

test("what is asked to serve instead is handed on", async () => {
  const started = await startWithdrawal({}, { to: 1 });
  await started.handle.result();

  expect(started.fakes.named("recordWithdrawal")).toMatchObject([{ to: 1 }]);
  expect(started.fakes.named("requestWithdrawal")).toMatchObject([{ withdrawal: { to: 1 } }]);
});

test("of a customer who has left, it is told so, and its page does not speak of a denial", async () => {
  const started = await startWithdrawal({}, { retire: true });
  await started.handle.result();

  expect(started.fakes.named("recordWithdrawal")).toMatchObject([{ retire: true }]);
  expect(await pageOf(started)).toContain("**retired** by ann: too slow");
});

test("a refused one fails with the reason, and nothing else is done", async () => {
  const started = await startWithdrawal({
    activities: {
      recordWithdrawal: async () => {
        throw ApplicationFailure.nonRetryable("there is no version 2", "WithdrawalRefused");
      },
    },
  });
  temporal.keep("withdraw-model-refused", started.handle.workflowId);

  const error: unknown = await started.handle.result().catch((caught: unknown) => caught);
  if (!(error instanceof WorkflowFailedError)) throw new Error("not failed");
  expect(error.cause?.cause).toMatchObject({ message: "there is no version 2" });
  expect(started.fakes.calls).toHaveLength(1);
});

describe("an endpoint's workflow that does not answer", () => {
  test("is asked again", async () => {
    const started = await startWithdrawal(
      { activities: { requestWithdrawal: async () => {} } },
      { pace: { ...testPace, guardSeconds: 0.05 } },
    );
    await started.fakes.called("requestWithdrawal", 3);
    await started.handle.signal(withdrawn, { version: 2, stage: "sandbox", servesNow: null });

    expect(await started.handle.result()).toEqual({
      version: 2,
      stage: "sandbox",
      servesNow: null,
    });
  });

  test("is not confused with one that answers about another version", async () => {
    const started = await startWithdrawal({ activities: { requestWithdrawal: async () => {} } });
    await started.handle.signal(withdrawn, { version: 1, stage: "sandbox", servesNow: null });
    await started.handle.signal(withdrawn, { version: 2, stage: "sandbox", servesNow });

    expect(await started.handle.result()).toEqual({ version: 2, stage: "sandbox", servesNow });
  });
});

test("shows on its page who denied the version, and why it still serves", async () => {
  const started = await startWithdrawal({ activities: { requestWithdrawal: async () => {} } });
  await started.fakes.called("requestWithdrawal");
  await started.handle.signal("withdrawalDelayed", { version: 2, because: "no capacity" });

  await expect.poll(() => pageOf(started), { timeout: 30_000 }).toContain("no capacity");
  expect(await pageOf(started)).toContain("by ann: too slow");
  await started.handle.signal(withdrawn, { version: 2, stage: "sandbox", servesNow });
  await started.handle.result();
});

test("cancelled, it is carried through: half of it would leave a denied model in service", async () => {
  const started = await startWithdrawal({ activities: { requestWithdrawal: async () => {} } });
  await started.fakes.called("requestWithdrawal");
  await started.handle.cancel();
  await started.handle.signal(withdrawn, { version: 2, stage: "sandbox", servesNow });

  expect(await started.handle.result()).toEqual({ version: 2, stage: "sandbox", servesNow });
  expect(started.fakes.named("removeWithdrawnArtifact")).toHaveLength(1);
});
