/** Histories of earlier releases replay with the workflows as they are: what is in flight is not broken. */
import { Worker } from "@temporalio/worker";
import { beforeAll, describe, expect, test } from "vitest";
import { WORKFLOWS } from "../../workflows/messages.js";
import { quietWorkers, workflowBundle } from "./environment.js";
import { storedHistories, withoutTraces } from "./histories.js";

const stored = storedHistories();

beforeAll(quietWorkers);

describe.each(Object.values(WORKFLOWS))("%s", (workflowType) => {
  test("has a stored history (npm run record-histories writes them)", () => {
    expect(stored.map((one) => one.workflowType)).toContain(workflowType);
  });
});

test("every stored history replays", async () => {
  const code = await workflowBundle();
  const histories = stored.map(({ name, history }) => ({ workflowId: name, history }));
  const failures: string[] = [];
  for await (const { workflowId, error } of Worker.runReplayHistories(
    { workflowBundle: { code } },
    histories,
  ))
    if (error !== undefined) failures.push(`${workflowId}: ${error.message}`);
  expect(failures).toEqual([]);
});

test("a workflow that calls its activities in another order does not replay", async () => {
  const code = await workflowBundle();
  const swapped = code.replaceAll("evaluateModel", "registerModel");
  const histories = stored
    .filter(({ name }) => name === "retrain-model-registered.json")
    .map(({ name, history }) => ({ workflowId: name, history }));
  const failed: string[] = [];
  for await (const { workflowId, error } of Worker.runReplayHistories(
    { workflowBundle: { code: swapped } },
    histories,
  ))
    if (error !== undefined) failed.push(workflowId);
  expect(failed).toEqual(["retrain-model-registered.json"]);
});

test("stored histories name no folder of the machine that recorded them", () => {
  const history = { failure: { message: "boom", stackTrace: "at /home/me/x.ts" }, events: [1] };
  expect(withoutTraces(history)).toEqual({ failure: { message: "boom" }, events: [1] });
});
