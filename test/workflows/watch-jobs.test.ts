/** The job watcher's workflow: at work as long as anybody waits, and awake when somebody comes. */
import { expect, test } from "vitest";
import { wake, type WatchJobsInput, workflowIds } from "../../workflows/messages.js";
import type { watchJobs } from "../../workflows/watch-jobs.js";
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
  const input: WatchJobsInput = { account: String(++accounts), region: "us-east-1" };
  const workflowId = workflowIds.watchJobs(input.account, input.region);
  const start = async (): Promise<void> => {
    await temporal.client().workflow.signalWithStart<typeof watchJobs, []>("watchJobs", {
      taskQueue,
      workflowId,
      args: [input],
      signal: wake,
      signalArgs: [],
    });
  };
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {
    activities: { watchJobs: async () => ({ idle: await idle(fakes, start) }) },
  });
  const { taskQueue } = await temporal.worker(fakes.activities);
  await start();
  return { fakes, handle: temporal.client().workflow.getHandle<typeof watchJobs>(workflowId) };
}

test("it watches round after round, and ends when nothing is awaited", async () => {
  const { fakes, handle } = await startWatching(
    async (watched) => watched.named("watchJobs").length >= 3,
  );
  temporal.keep("watch-jobs-idle", handle.workflowId);

  await handle.result();
  expect(fakes.named("watchJobs")).toHaveLength(3);
});

test("a job that comes as it is about to end is watched too", async () => {
  const { fakes, handle } = await startWatching(async (watched, wakeUp) => {
    if (watched.named("watchJobs").length === 1) await wakeUp();
    return true;
  });
  temporal.keep("watch-jobs-woken", handle.workflowId);

  await handle.result();
  expect(fakes.named("watchJobs")).toHaveLength(2);
});

test("it continues as new before its history grows long", async () => {
  const { fakes, handle } = await startWatching(
    async (watched) => watched.named("watchJobs").length >= 12,
  );
  await fakes.called("watchJobs");
  const first = await handle.describe();

  await handle.result();
  expect((await handle.describe()).runId).not.toBe(first.runId);
});
