/** The registry watcher's workflow: at work as long as there is anything to watch, and awake when a version comes. */
import { expect, test } from "vitest";
import { wake, type WatchRegistryInput, workflowIds } from "../../workflows/messages.js";
import type { watchRegistry } from "../../workflows/watch-registry.js";
import { useTemporal } from "./environment.js";
import { createFakes, type Fakes } from "./fakes.js";

const temporal = useTemporal([
  "--dynamic-config-value",
  "limit.historyCount.suggestContinueAsNew=30",
]);

let accounts = 0;

async function startWatching(
  idle: (fakes: Fakes, wakeUp: () => Promise<void>) => Promise<boolean>,
) {
  const input: WatchRegistryInput = { account: String(++accounts), region: "us-east-1" };
  const workflowId = workflowIds.watchRegistry(input.account, input.region);
  const start = async (): Promise<void> => {
    await temporal.client().workflow.signalWithStart<typeof watchRegistry, []>("watchRegistry", {
      taskQueue,
      workflowId,
      args: [input],
      signal: wake,
      signalArgs: [],
    });
  };
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {
    activities: { watchRegistry: async () => ({ idle: await idle(fakes, start) }) },
  });
  const { taskQueue } = await temporal.worker(fakes.activities);
  await start();
  return { fakes, handle: temporal.client().workflow.getHandle<typeof watchRegistry>(workflowId) };
}

test("it watches round after round, and ends when there is nothing to watch", async () => {
  const { fakes, handle } = await startWatching(
    async (watched) => watched.named("watchRegistry").length >= 3,
  );
  temporal.keep("watch-registry-idle", handle.workflowId);

  await handle.result();
  expect(fakes.named("watchRegistry")).toHaveLength(3);
});

test("a version that comes as it is about to end is watched too", async () => {
  const { fakes, handle } = await startWatching(async (watched, wakeUp) => {
    if (watched.named("watchRegistry").length === 1) await wakeUp();
    return true;
  });
  temporal.keep("watch-registry-woken", handle.workflowId);

  await handle.result();
  expect(fakes.named("watchRegistry")).toHaveLength(2);
});

test("it continues as new before its history grows long", async () => {
  const { fakes, handle } = await startWatching(
    async (watched) => watched.named("watchRegistry").length >= 12,
  );
  await fakes.called("watchRegistry");
  const first = await handle.describe();

  await handle.result();
  expect((await handle.describe()).runId).not.toBe(first.runId);
});
