import {
  CreateEndpointConfigCommand,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  ListEndpointConfigsCommand,
} from "@aws-sdk/client-sagemaker";
import { MockActivityEnvironment } from "@temporalio/testing";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { recordCopied } from "../../activities/ledger/publications.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Publication } from "../../workflows/messages.js";
import { aFleet } from "./a-fleet.js";
import { run, useParts } from "./parts.js";
import {
  aVersion,
  like,
  modelArchive,
  outcomesOf,
  pointerOf,
  setFaults,
  STAGE,
  standing,
  uploadCode,
  withRuntime,
  type VersionOptions,
} from "./publishing.js";

const parts = useParts(17950);

const endpoints = () => createEndpointActivities(withRuntime(parts()));
/** A later second each time, as the workflow orders them. */
let clock = Date.parse("2026-11-21T14:30:00Z");
const aRefresh = ({ name }: FleetSpec, reload = false) => ({
  fleet: name,
  stage: STAGE,
  at: new Date((clock += 1000)).toISOString(),
  reload,
});
const ensure = (spec: FleetSpec, reload = false) =>
  run(endpoints().ensureEndpoint, aRefresh(spec, reload));
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable("it went through"),
    (error: unknown) => error,
  );

async function copyAndVerify({ name }: FleetSpec, ...publications: Publication[]): Promise<void> {
  const batch = { fleet: name, stage: STAGE, publications };
  const { rejected } = await run(createArtifactActivities(parts()).copyArtifacts, batch);
  expect(rejected).toEqual([]);
  await run(endpoints().verifyAndPoint, batch);
}

const describeEndpoint = ({ name }: FleetSpec) =>
  parts().sagemaker.send(new DescribeEndpointCommand({ EndpointName: `${name}-${STAGE}` }));

async function configOf(spec: FleetSpec) {
  const { EndpointConfigName } = await describeEndpoint(spec);
  return parts().sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName }));
}

async function callsOf(operation: string): Promise<number> {
  const response = await fetch(`${parts().sagemakerUrl}/_local/calls`);
  const calls: unknown = await response.json();
  const entries = Object.entries(typeof calls === "object" && calls !== null ? calls : {});
  return Number(entries.find(([name]) => name === operation)?.[1] ?? 0);
}

/** Only for the rest of this test. */
async function withFaults(faults: object): Promise<void> {
  onTestFinished(() => setFaults(parts(), {}));
  await setFaults(parts(), faults);
}

/** A fleet that has a first approved version, copied. */
async function aReleasedFleet(name: string, training: object = {}): Promise<FleetSpec> {
  const spec = aFleet({ name, training: { ...training } });
  await uploadCode(parts(), spec);
  const first = await aVersion(parts(), { spec, customer: "first", version: 1 });
  const batch = { fleet: name, stage: STAGE, publications: [first] };
  await run(createArtifactActivities(parts()).copyArtifacts, batch);
  return spec;
}

const newCode = (spec: FleetSpec, digit: string): FleetSpec => ({
  ...spec,
  training: { ...spec.training, sourceHash: digit.repeat(64) },
});

describe("ensureEndpoint", () => {
  test("creates the endpoint, and finds it as wanted with a single call from then on", async () => {
    const spec = await aReleasedFleet("created");
    expect(await ensure(spec)).toEqual({ endpointName: "created-local" });
    expect(await describeEndpoint(spec)).toMatchObject({
      EndpointStatus: "InService",
      ProductionVariants: [{ VariantName: "AllTraffic" }],
    });
    const operations = ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint"];
    const before = await Promise.all(operations.map(callsOf));
    const looks = await callsOf("DescribeEndpoint");

    await ensure(spec);

    expect(await Promise.all(operations.map(callsOf))).toEqual(before);
    expect(await callsOf("DescribeEndpoint")).toBe(looks + 1);
  });

  test("brings new code into service once a model of it is approved, not earlier", async () => {
    const spec = await aReleasedFleet("refreshed");
    await ensure(spec);
    const { EndpointConfigName: old } = await describeEndpoint(spec);
    const next = newCode(spec, "b");
    await uploadCode(parts(), next, "new");
    const version = { spec: next, customer: "first", version: 2 };
    await aVersion(parts(), { ...version, state: "pending" });
    await ensure(spec);
    expect((await describeEndpoint(spec)).EndpointConfigName).toBe(old);

    await parts().ledger.query(
      "update releases set state = 'approved', decided_by = 'ada' where fleet = $1 and version = 2",
      [spec.name],
    );
    await ensure(spec);

    const refreshed = await describeEndpoint(spec);
    expect(refreshed.EndpointStatus).toBe("InService");
    expect(refreshed.EndpointConfigName).not.toBe(old);
  });

  test("told to reload, brings the same config into service again under a new name", async () => {
    const spec = await aReleasedFleet("reloaded");
    await ensure(spec);
    const { EndpointConfigName: old = "" } = await describeEndpoint(spec);
    const refresh = aRefresh(spec, true);
    await run(endpoints().ensureEndpoint, refresh);
    const { EndpointConfigName: reloaded = "" } = await describeEndpoint(spec);
    expect(reloaded).toMatch(/^reloaded-local-\d{14}-[0-9a-f]{6}$/);
    expect(reloaded).not.toBe(old);
    expect(reloaded.slice(-6)).toBe(old.slice(-6));

    const updates = await callsOf("UpdateEndpoint");
    await run(endpoints().ensureEndpoint, refresh);
    expect(await callsOf("UpdateEndpoint")).toBe(updates);
  });

  test("keeps the last three configs of its own, and nobody else's are touched", async () => {
    const spec = await aReleasedFleet("tidied");
    await ensure(spec);
    const { sagemaker } = parts();
    const { ProductionVariants } = await configOf(spec);
    const foreign = ["tidied-local-by-hand", "tidied-local-20261121143000-abcdefg"];
    for (const EndpointConfigName of foreign)
      await sagemaker.send(
        new CreateEndpointConfigCommand({ EndpointConfigName, ProductionVariants }),
      );
    for (let refresh = 0; refresh < 4; refresh++) await ensure(spec, true);

    const { EndpointConfigs = [] } = await sagemaker.send(
      new ListEndpointConfigsCommand({ NameContains: "tidied-local-" }),
    );
    const names = EndpointConfigs.map(({ EndpointConfigName }) => EndpointConfigName);
    expect(names).toEqual(expect.arrayContaining(foreign));
    expect(names).toHaveLength(3 + foreign.length);
    expect(names).toContain((await describeEndpoint(spec)).EndpointConfigName);
  });

  test("notices that SageMaker rolled the update back, and tells its reason", async () => {
    const spec = await aReleasedFleet("rolled-back");
    await ensure(spec);
    const next = newCode(spec, "b");
    await uploadCode(parts(), next, "new");
    await aVersion(parts(), { spec: next, customer: "first", version: 2 });
    await withFaults({ updateEndpoint: "rollback" });

    expect(await failureOf(ensure(spec))).toMatchObject({
      type: "EndpointFailed",
      nonRetryable: false,
      message: like(/serves as before: Request to service failed/),
    });

    await setFaults(parts(), {});
    await ensure(spec);
    expect((await describeEndpoint(spec)).EndpointStatus).toBe("InService");
  });

  test("says what to do about an endpoint that failed, since SageMaker only lets it be deleted", async () => {
    const image = "111111111111.dkr.ecr.us-east-1.amazonaws.com/nobody:1";
    const spec = await aReleasedFleet("failed", { image });
    expect(await failureOf(ensure(spec))).toMatchObject({
      type: "EndpointFailed",
      nonRetryable: true,
      message: like(/^endpoint failed-local is Failed: /),
      details: [{ hint: like(/aws sagemaker delete-endpoint/) }],
    });
  });

  test("goes on through throttled calls", async () => {
    const spec = await aReleasedFleet("throttled");
    await withFaults({ throttle: { rate: 0.5, seed: 3 } });
    expect(await ensure(spec)).toEqual({ endpointName: "throttled-local" });
  });

  test("tries again when SageMaker does not see the config yet", async () => {
    const spec = await aReleasedFleet("lagging");
    await withFaults({ readLagSeconds: 3600 });
    expect(await failureOf(ensure(spec))).toMatchObject({
      type: "EndpointFailed",
      nonRetryable: false,
    });
    await setFaults(parts(), {});
    expect(await ensure(spec)).toEqual({ endpointName: "lagging-local" });
  });

  test("heartbeats while it waits, and stops waiting when it is cancelled", async () => {
    const spec = await aReleasedFleet("cancelled");
    await withFaults({ endpointStartSeconds: 3600 });
    const environment = new MockActivityEnvironment();
    const beat = new Promise((resolve) => environment.once("heartbeat", resolve));
    const work = environment.run(endpoints().ensureEndpoint, aRefresh(spec));
    const failure = failureOf(work);
    await beat;
    environment.cancel();
    expect(await failure).toMatchObject({ name: "AbortError" });
  });

  test("refuses a fleet of which nothing is approved", async () => {
    const spec = aFleet({ name: "nothing-approved" });
    expect(await failureOf(ensure(spec))).toMatchObject({
      type: "SpecInvalid",
      nonRetryable: true,
    });
  });
});

describe("verifyAndPoint", () => {
  let spec: FleetSpec;
  beforeAll(async () => {
    spec = await aReleasedFleet("verified");
    await ensure(spec);
  });
  const version = (options: Omit<VersionOptions, "spec" | "version"> & { version?: number }) =>
    aVersion(parts(), { version: 1, ...options, spec });

  test("points a customer to a model that answers as training predicted", async () => {
    const approved = await version({ customer: "happy" });

    await copyAndVerify(spec, approved);

    expect(await pointerOf(parts(), spec, "happy")).toEqual({
      endpoint: "verified-local",
      targetModel: "happy/v000001.tar.gz",
      version: 1,
      modelPackageArn: "arn:aws:sagemaker:us-east-1:111111111111:model-package/verified--happy/1",
      publishedAt: like(/^\d{4}-\d{2}-\d{2}T/),
    });
    expect(await standing(parts(), spec, approved)).toEqual({
      publication: "serving",
      release: "serving",
      customer: "serving",
      reason: null,
    });
    const { rows } = await parts().ledger.query(
      "select verification from publications where fleet = $1 and customer_key = 'happy'",
      [spec.name],
    );
    expect(rows).toEqual([
      {
        verification: {
          offline: [30, 70],
          served: [30, 70],
          latencyMs: expect.any(Number) as unknown,
        },
      },
    ]);
    expect(await outcomesOf(parts(), approved)).toEqual([
      { kind: "serving", stage: "local", version: 1, targetModel: "happy/v000001.tar.gz" },
    ]);
  });

  test("run twice leaves the same pointer and the same ledger, and answers again", async () => {
    const approved = await version({ customer: "twice" });
    await copyAndVerify(spec, approved);
    const [pointer, ledger] = [
      await pointerOf(parts(), spec, "twice"),
      await standing(parts(), spec, approved),
    ];

    await copyAndVerify(spec, approved);

    expect(await pointerOf(parts(), spec, "twice")).toEqual(pointer);
    expect(await standing(parts(), spec, approved)).toEqual(ledger);
    expect(await outcomesOf(parts(), approved)).toMatchObject([
      { kind: "serving" },
      { kind: "serving" },
    ]);
  });

  test.each([
    {
      what: "a model that answers otherwise",
      customer: "wrong",
      artifact: () => modelArchive(12),
      because: /^served 36 where training predicted 30 \(row 1\)$/,
    },
    {
      what: "an artifact that is no archive",
      customer: "corrupt",
      artifact: async () => Buffer.from("not a tar.gz"),
      because: /^it cannot be served: Failed to extract model data archive/,
    },
    {
      what: "a model that raises",
      customer: "raises",
      artifact: () => modelArchive("the lookup table is empty"),
      because: /^it fails on the endpoint: .*the lookup table is empty.* \(log: arn:aws:logs:/,
    },
  ])("rejects $what, and serves the others of the batch", async ({ customer, ...given }) => {
    const bad = await version({ customer, artifact: await given.artifact() });
    const good = await version({ customer: `beside-${customer}` });

    await copyAndVerify(spec, bad, good);

    const because = like(given.because);
    expect(await standing(parts(), spec, bad)).toEqual({
      publication: "rejected",
      release: "rejected",
      customer: "rejected",
      reason: because,
    });
    expect(await outcomesOf(parts(), bad)).toEqual([
      { kind: "rejected", stage: "local", version: 1, because },
    ]);
    expect(await pointerOf(parts(), spec, customer)).toBeNull();
    expect(await standing(parts(), spec, good)).toMatchObject({ publication: "serving" });
  });

  test("retires the version that served before", async () => {
    const first = await version({ customer: "renewed" });
    await copyAndVerify(spec, first);
    const artifact = await modelArchive(20);
    const second = await version({
      customer: "renewed",
      version: 2,
      artifact,
      predictions: [60, 140],
    });

    await copyAndVerify(spec, second);

    expect(await pointerOf(parts(), spec, "renewed")).toMatchObject({ version: 2 });
    expect(await standing(parts(), spec, first)).toMatchObject({
      publication: "replaced",
      release: "retired",
    });
    expect(await standing(parts(), spec, second)).toMatchObject({
      publication: "serving",
      release: "serving",
    });
  });

  test("never moves the pointer back to an older version", async () => {
    const first = await version({ customer: "late" });
    const second = await version({ customer: "late", version: 2 });
    const place = { fleet: spec.name, stage: STAGE };
    const batch = { ...place, publications: [first] };
    await run(createArtifactActivities(parts()).copyArtifacts, batch);
    await copyAndVerify(spec, second);

    await run(endpoints().verifyAndPoint, batch);

    expect(await pointerOf(parts(), spec, "late")).toMatchObject({ version: 2 });
    expect(await standing(parts(), spec, second)).toMatchObject({ publication: "serving" });
    expect(await outcomesOf(parts(), first)).toEqual([
      { kind: "rejected", stage: "local", version: 1, because: "version 2 serves, which is newer" },
    ]);
  });

  test("does not mind a release workflow that is gone", async () => {
    const approved = await version({ customer: "gone" });
    await parts().temporal.workflow.getHandle(approved.releaseWorkflowId).terminate();
    await copyAndVerify(spec, approved);
    expect(await standing(parts(), spec, approved)).toMatchObject({ publication: "serving" });
  });

  test("rejects nobody for an endpoint that is gone", async () => {
    const other = aFleet({ name: "no-endpoint" });
    const approved = await aVersion(parts(), { spec: other, customer: "a", version: 1 });
    const place = { fleet: other.name, stage: STAGE };
    const targetModel = "a/v000001.tar.gz";
    await recordCopied(parts().ledger, place, [
      { ...approved, targetModel, serving: { kind: "multi-model" } },
    ]);

    const work = run(endpoints().verifyAndPoint, { ...place, publications: [approved] });

    expect(await failureOf(work)).toMatchObject({ type: "EndpointFailed", nonRetryable: true });
    expect(await standing(parts(), other, approved)).toMatchObject({ publication: "copied" });
  });
});

describe("rejectPublications", () => {
  test("records the reason and tells it, but leaves alone what serves", async () => {
    const spec = await aReleasedFleet("half-way");
    const waiting = await aVersion(parts(), { spec, customer: "waiting", version: 1 });
    const serving = await aVersion(parts(), { spec, customer: "serving", version: 1 });
    await ensure(spec);
    await copyAndVerify(spec, serving);

    const publications = [waiting, serving, waiting];
    const because = "no endpoint could be had";
    const batch = { fleet: spec.name, stage: STAGE, publications, because };
    await run(endpoints().rejectPublications, batch);

    expect(await standing(parts(), spec, waiting)).toEqual({
      publication: "rejected",
      release: "rejected",
      customer: "rejected",
      reason: because,
    });
    expect((await outcomesOf(parts(), waiting))[0]).toEqual({
      kind: "rejected",
      stage: "local",
      version: 1,
      because,
    });
    expect(await standing(parts(), spec, serving)).toMatchObject({ publication: "serving" });
    expect(await outcomesOf(parts(), serving)).toMatchObject([
      { kind: "serving" },
      { kind: "serving" },
    ]);
  });
});
