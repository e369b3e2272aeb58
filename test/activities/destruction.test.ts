/** A fleet is taken down with all that it has made, and its neighbours do not notice. */
import {
  CreateEndpointCommand,
  CreateModelPackageGroupCommand,
  DescribeEndpointCommand,
  ListEndpointConfigsCommand,
  ListEndpointsCommand,
  ListModelPackageGroupsCommand,
  ListModelsCommand,
} from "@aws-sdk/client-sagemaker";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { ScheduleNotFoundError } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { defineSearchAttributeKey } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
import { createDestructionActivities } from "../../activities/destruction.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { modelPackageGroupName, s3Keys } from "../../fleet/names.js";
import { SEARCH_ATTRIBUTES } from "../../fleet/search-attributes.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { driftScheduleId, scheduleId } from "../../workflows/messages.js";
import { aFleet } from "./a-fleet.js";
import { run, useParts } from "./parts.js";
import { aVersion, pointerOf, STAGE, uploadCode, withRuntime } from "./publishing.js";

const parts = useParts(19384);
const activities = () => createDestructionActivities(withRuntime(parts()));

/** Serves two customers, the first in two versions. */
async function aServingFleet(name: string, endpoint: object): Promise<FleetSpec> {
  const spec = aFleet({ name, endpoint: { ...endpoint } });
  await uploadCode(parts(), spec);
  const { copyArtifacts } = createArtifactActivities(parts());
  const { ensureEndpoint, verifyAndPoint } = createEndpointActivities(withRuntime(parts()));
  for (const [version, customers] of [["a", "b"], ["a"]].entries()) {
    const publications = [];
    for (const customer of customers)
      publications.push(await aVersion(parts(), { spec, customer, version: version + 1 }));
    const batch = { fleet: name, stage: STAGE, publications };
    await run(copyArtifacts, batch);
    const at = new Date(Date.parse("2026-11-21T14:30:00Z") + version * 1000).toISOString();
    await run(ensureEndpoint, { fleet: name, stage: STAGE, at, reload: false });
    await run(verifyAndPoint, batch);
  }
  for (const key of ["a", "b"])
    await parts().sagemaker.send(
      new CreateModelPackageGroupCommand({
        ModelPackageGroupName: modelPackageGroupName(name, key),
      }),
    );
  return spec;
}

/** Everything that there is of a fleet, by looking and not by asking the code under test. */
async function tracesOf({ name }: FleetSpec) {
  const { sagemaker, s3, bucket, ledger } = parts();
  const page = { NameContains: name, MaxResults: 100 };
  const [endpoints, configs, models, groups, objects, rows] = await Promise.all([
    sagemaker.send(new ListEndpointsCommand(page)),
    sagemaker.send(new ListEndpointConfigsCommand(page)),
    sagemaker.send(new ListModelsCommand(page)),
    sagemaker.send(new ListModelPackageGroupsCommand(page)),
    s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: s3Keys.fleet(name) })),
    ledger.query("select from releases where fleet = $1", [name]),
  ]);
  const own = (names: (string | undefined)[]) =>
    names.filter((one) => new RegExp(`^${name}-(${STAGE}|-)`).test(one ?? "")).sort();
  return {
    endpoints: own((endpoints.Endpoints ?? []).map((one) => one.EndpointName)),
    configs: own((configs.EndpointConfigs ?? []).map((one) => one.EndpointConfigName)),
    models: own((models.Models ?? []).map((one) => one.ModelName)),
    groups: own((groups.ModelPackageGroupSummaryList ?? []).map((g) => g.ModelPackageGroupName)),
    objects: (objects.Contents ?? []).map((one) => one.Key),
    releases: rows.rowCount,
  };
}

const NOTHING = { endpoints: [], configs: [], models: [], groups: [], objects: [], releases: 0 };

async function destroy(part: { fleet: string; stage?: string }, cancel = false) {
  const found = await run(activities().takeInventory, part);
  await run(activities().endFleetWorkflows, { ...part, cancel });
  await run(activities().destroyEndpoints, part);
  if (part.stage === undefined) await run(activities().destroyModelPackages, part);
  await run(activities().destroyObjects, part);
  await run(activities().forgetInLedger, { found, by: "ann" });
  return found;
}

describe.each([{ kind: "multi-model" }, { kind: "serverless" }])("$kind", (endpoint) => {
  const name = `gone-${endpoint.kind === "serverless" ? "own" : "all"}`;

  test("goes whole, and twice, while a fleet whose name begins alike stays", async () => {
    const spec = await aServingFleet(name, endpoint);
    const neighbour = await aServingFleet(`${name}-on`, endpoint);
    const before = await tracesOf(neighbour);
    expect(before.endpoints).toHaveLength(endpoint.kind === "serverless" ? 2 : 1);

    const found = await destroy({ fleet: name });

    expect(found.endpoints.count).toBe(before.endpoints.length);
    expect(found.modelPackageGroups.names).toEqual([`${name}--a`, `${name}--b`]);
    expect(found.ledgerRows).toMatchObject({ releases: 3, publications: 3 });
    expect(await tracesOf(spec)).toEqual(NOTHING);
    expect(await tracesOf(neighbour)).toEqual(before);
    const again = await destroy({ fleet: name });
    expect(again).toMatchObject({ endpoints: { count: 0 }, objects: { count: 0 }, ledgerRows: {} });
    expect(await tracesOf(neighbour)).toEqual(before);
    const { rows } = await parts().ledger.query(
      "select destroyed_by from destructions where destroyed_fleet = $1 order by destroyed_at",
      [name],
    );
    expect(rows).toEqual([{ destroyed_by: "ann" }, { destroyed_by: "ann" }]);
  });
});

test("of a stage, models and decisions stay, and nothing serves", async () => {
  const spec = await aServingFleet("staged", { kind: "multi-model" });
  await destroy({ fleet: "staged", stage: STAGE });
  const left = await tracesOf(spec);
  expect(left).toMatchObject({ endpoints: [], configs: [], models: [], releases: 3 });
  expect(left.groups).toHaveLength(2);
  expect(left.objects.filter((key) => key?.includes("/stages/"))).toEqual([]);
  expect(left.objects.length).toBeGreaterThan(0);
  expect(await pointerOf(parts(), spec, "a")).toBeNull();
  const { rows } = await parts().ledger.query(
    "select distinct state from releases where fleet = 'staged' order by 1",
  );
  expect(rows).toEqual([{ state: "retired" }]);
});

test("an endpoint that somebody named alike, without the fleet's tag, is nobody's to delete", async () => {
  const spec = await aServingFleet("byhand", { kind: "multi-model" });
  const { sagemaker } = parts();
  const own = await sagemaker.send(new DescribeEndpointCommand({ EndpointName: "byhand-local" }));
  await sagemaker.send(
    new CreateEndpointCommand({
      EndpointName: "byhand-local--mine",
      EndpointConfigName: own.EndpointConfigName,
    }),
  );
  await destroy({ fleet: spec.name });
  expect((await tracesOf(spec)).endpoints).toEqual(["byhand-local--mine"]);
});

test("its schedules go with it, that of its looks for drift too, and no other fleet's", async () => {
  const schedules = parts().temporal.schedule;
  const create = (scheduleId: string) =>
    schedules.create({
      scheduleId,
      spec: { calendars: [{ dayOfMonth: 1 }] },
      action: { type: "startWorkflow", workflowType: "watchDrift", taskQueue: "nobody" },
    });
  for (const fleet of ["watched", "watched-too"]) await create(driftScheduleId(fleet));
  const { takeInventory } = activities();
  expect(await run(takeInventory, { fleet: "watched" })).toMatchObject({ hasSchedule: true });
  await create(scheduleId("watched"));
  await destroy({ fleet: "watched" });
  for (const id of [scheduleId("watched"), driftScheduleId("watched")])
    await expect(schedules.getHandle(id).describe()).rejects.toThrow(ScheduleNotFoundError);
  expect(await run(takeInventory, { fleet: "watched" })).toMatchObject({ hasSchedule: false });
  const other = schedules.getHandle(driftScheduleId("watched-too"));
  expect((await other.describe()).scheduleId).toBe("drift/watched-too");
  await other.delete();
});

describe("a cycle that runs", () => {
  const start = async (fleet: string) => {
    const workflowId = `retrain-fleet/${fleet}/2013-07-01`;
    // Nobody works on this task queue: it runs until somebody ends it.
    await parts().temporal.workflow.start("retrainFleet", {
      ...{ workflowId, taskQueue: "nobody" },
      typedSearchAttributes: [
        { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: fleet },
      ],
    });
    const { takeInventory } = activities();
    await expect
      .poll(async () => (await run(takeInventory, { fleet })).cycles)
      .toEqual([workflowId]);
    return parts().temporal.workflow.getHandle(workflowId);
  };

  test("is a reason to refuse, and nothing is ended", async () => {
    const cycle = await start("busy");
    const refused = await run(activities().endFleetWorkflows, {
      fleet: "busy",
      cancel: false,
    }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApplicationFailure);
    expect(refused).toMatchObject({ type: "FleetBusy", nonRetryable: true });
    expect((await cycle.describe()).status.name).toBe("RUNNING");
    await cycle.terminate();
  });

  test("of another fleet whose name begins alike is none of ours", async () => {
    const cycle = await start("busy-too");
    expect(await run(activities().endFleetWorkflows, { fleet: "busy", cancel: false })).toBe(0);
    expect((await cycle.describe()).status.name).toBe("RUNNING");
    await cycle.terminate();
  });
});
