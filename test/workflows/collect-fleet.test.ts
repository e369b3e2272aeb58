/** A fleet is tidied up: looked at first, marked before anything is deleted. */
import { expect, test } from "vitest";
import type { CollectionActivities, CollectionReport } from "../../activities/collection.js";
import type { collectFleet } from "../../workflows/collect-fleet.js";
import { workflowIds } from "../../workflows/messages.js";
import { aFleetName } from "./builders.js";
import { useTemporal } from "./environment.js";

const temporal = useTemporal();

const NONE = { count: 0, names: [] };

async function start(dryRun: boolean) {
  const calls: string[] = [];
  const times = new Set<string>();
  const called =
    (name: string) =>
    async ({ at }: { at: string }) => {
      calls.push(name);
      times.add(at);
    };
  const activities: CollectionActivities = {
    findCollectible: async ({ fleet, at }): Promise<CollectionReport> => {
      calls.push("findCollectible");
      times.add(at);
      const nothing = { count: 0, bytes: 0 };
      return {
        ...{ fleet, at, retention: "artifacts 30d", versions: { count: 1, names: ["a v1"] } },
        ...{ artifacts: { count: 1, bytes: 9 }, datasets: nothing, copies: nothing },
        ...{ modelPackages: 0, endpointConfigs: NONE, models: NONE },
        ...{ retiring: NONE, retirementRefused: null },
      };
    },
    retireCustomers: async (input) => {
      await called("retireCustomers")(input);
      return { retiring: NONE, retirementRefused: null };
    },
    markCollected: async (input) => {
      await called("markCollected")(input);
      return 1;
    },
    collectObjects: called("collectObjects"),
    collectModelPackages: called("collectModelPackages"),
    collectEndpointParts: called("collectEndpointParts"),
    recordCollection: async ({ found, by }) => {
      calls.push(`recordCollection by ${by}`);
      times.add(found.at);
    },
  };
  const { taskQueue } = await temporal.worker(activities);
  const fleet = aFleetName();
  const handle = await temporal.client().workflow.start<typeof collectFleet>("collectFleet", {
    taskQueue,
    workflowId: workflowIds.collectFleet(fleet),
    args: [{ fleet, by: "ann", dryRun }],
  });
  return { handle, calls, times };
}

test("what goes is marked before any of it is deleted, all counted to one time", async () => {
  const { handle, calls, times } = await start(false);
  temporal.keep("collect-fleet", handle.workflowId);

  expect(await handle.result()).toMatchObject({ versions: { count: 1 } });
  expect(calls).toEqual([
    ...["findCollectible", "retireCustomers", "markCollected", "collectObjects"],
    ...["collectModelPackages", "collectEndpointParts", "recordCollection by ann"],
  ]);
  expect(times.size).toBe(1);
});

test("a dry run only looks", async () => {
  const { handle, calls } = await start(true);

  await handle.result();
  expect(calls).toEqual(["findCollectible"]);
});
