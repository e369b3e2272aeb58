/** A fleet is taken down: looked at first, ended before it is deleted, forgotten last. */
import { WorkflowFailedError } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { expect, test } from "vitest";
import type { DestructionActivities, FleetInventory } from "../../activities/destruction.js";
import { FAILURES } from "../../fleet/errors.js";
import type { destroyFleet } from "../../workflows/destroy-fleet.js";
import { type DestroyFleetInput, workflowIds } from "../../workflows/messages.js";
import { aFleetName } from "./builders.js";
import { useTemporal } from "./environment.js";

const temporal = useTemporal();

const NONE = { count: 0, names: [] };

const inventory = ({ fleet, stage }: { fleet: string; stage?: string | undefined }) =>
  ({
    ...{ fleet, stage: stage ?? null, endpoints: { count: 1, names: [`${fleet}-sandbox`] } },
    ...{ endpointConfigs: NONE, models: NONE, modelPackageGroups: NONE, workflows: NONE },
    ...{ objects: { prefix: `fleets/${fleet}/`, count: 2, bytes: 30 }, hasSchedule: false },
    ...{ cycles: [], ledgerRows: { releases: 3 } },
  }) satisfies FleetInventory;

interface Choices {
  readonly input?: Partial<DestroyFleetInput>;
  readonly busy?: boolean;
}

async function start({ input: changes = {}, busy = false }: Choices = {}) {
  const calls: string[] = [];
  const called = (name: string) => async () => void calls.push(name);
  const activities: DestructionActivities = {
    takeInventory: async (part) => {
      calls.push("takeInventory");
      return inventory(part);
    },
    endFleetWorkflows: async () => {
      calls.push("endFleetWorkflows");
      if (busy)
        throw ApplicationFailure.nonRetryable("a cycle of the fleet runs", FAILURES.fleetBusy);
      return 0;
    },
    destroyEndpoints: called("destroyEndpoints"),
    destroyModelPackages: called("destroyModelPackages"),
    destroyObjects: called("destroyObjects"),
    forgetInLedger: called("forgetInLedger"),
    forgetWorkflows: called("forgetWorkflows"),
  };
  const { taskQueue } = await temporal.worker(activities);
  const fleet = aFleetName();
  const input: DestroyFleetInput = { fleet, cancel: false, by: "ann", dryRun: false, ...changes };
  const handle = await temporal.client().workflow.start<typeof destroyFleet>("destroyFleet", {
    taskQueue,
    workflowId: workflowIds.destroyFleet(fleet),
    args: [input],
  });
  return { handle, calls, input };
}

test("what runs is ended before anything is deleted, and what has ended is forgotten last", async () => {
  const { handle, calls, input } = await start();
  temporal.keep("destroy-fleet", handle.workflowId);

  expect(await handle.result()).toEqual(inventory(input));
  expect(calls).toEqual([
    ...["takeInventory", "endFleetWorkflows", "destroyEndpoints", "destroyModelPackages"],
    ...["destroyObjects", "forgetInLedger", "forgetWorkflows"],
  ]);
});

test("of a stage, model packages and past workflows stay", async () => {
  const { handle, calls, input } = await start({ input: { stage: "sandbox" } });

  expect(await handle.result()).toEqual(inventory(input));
  expect(calls).toEqual([
    ...["takeInventory", "endFleetWorkflows", "destroyEndpoints", "destroyObjects"],
    "forgetInLedger",
  ]);
});

test("a dry run only looks", async () => {
  const { handle, calls } = await start({ input: { dryRun: true } });

  await handle.result();
  expect(calls).toEqual(["takeInventory"]);
});

test("while a cycle runs nothing is deleted", async () => {
  const { handle, calls } = await start({ busy: true });

  const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  expect(calls).toEqual(["takeInventory", "endFleetWorkflows"]);
});
