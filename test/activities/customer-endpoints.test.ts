/** An endpoint for each customer: made, changed, put back and deleted, while the others go on. */
import {
  CreateEndpointConfigCommand,
  DeleteEndpointCommand,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  DescribeModelCommand,
  ListEndpointConfigsCommand,
  ListEndpointsCommand,
  ListModelsCommand,
} from "@aws-sdk/client-sagemaker";
import { InvokeEndpointCommand } from "@aws-sdk/client-sagemaker-runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { endpointName } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Publication, Withdrawal } from "../../workflows/messages.js";
import { aFleet } from "./a-fleet.js";
import { run, useParts } from "./parts.js";
import {
  aVersion,
  aWithdrawal,
  like,
  modelArchive,
  outcomesOf,
  pointerOf,
  signalsOf,
  STAGE,
  standing,
  uploadCode,
  withRuntime,
  type VersionOptions,
} from "./publishing.js";

const parts = useParts(19360);

const artifacts = () => createArtifactActivities(parts());
const endpoints = () => createEndpointActivities(withRuntime(parts()));
const withdrawals = () => createWithdrawalActivities(withRuntime(parts()));
let clock = Date.parse("2026-11-21T14:30:00Z");
const ensure = ({ name }: FleetSpec, reload = false) =>
  run(endpoints().ensureEndpoint, {
    ...{ fleet: name, stage: STAGE, reload },
    at: new Date((clock += 1000)).toISOString(),
  });

/** One pass of the endpoint's workflow. */
async function publish(spec: FleetSpec, ...publications: Publication[]): Promise<void> {
  const place = { fleet: spec.name, stage: STAGE };
  const { overwritten } = await run(artifacts().copyArtifacts, { ...place, publications });
  await ensure(spec, overwritten.length > 0);
  const { refused } = await run(endpoints().verifyAndPoint, { ...place, publications });
  const customerKeys = overwritten.filter((key) => refused.includes(key));
  if (customerKeys.length === 0) return;
  await run(withdrawals().restoreArtifacts, { ...place, customerKeys });
  await ensure(spec, true);
}

/** As the endpoint's workflow does it, with the lane that only moves pointers first. */
async function settle(spec: FleetSpec, withdrawal: Withdrawal) {
  const place = { fleet: spec.name, stage: STAGE };
  const batch = { ...place, withdrawals: [withdrawal] };
  const { open } = await run(withdrawals().settleWithdrawals, { ...batch, restored: null });
  if (open.length === 0) return open;
  const customerKeys = [withdrawal.customerKey];
  const { restored } = await run(withdrawals().restoreArtifacts, { ...place, customerKeys });
  await ensure(spec);
  return (await run(withdrawals().settleWithdrawals, { ...batch, restored })).open;
}

async function deny(spec: FleetSpec, { customerKey, version }: Publication): Promise<Withdrawal> {
  await run(withdrawals().recordWithdrawal, {
    ...{ fleet: spec.name, stage: STAGE, customerKey, version },
    decision: { verdict: "deny", by: "ann", note: "too slow" },
  });
  return aWithdrawal(parts(), spec, { customerKey, version, releaseWorkflowId: "" });
}

const removeArtifact = ({ name }: FleetSpec, { customerKey, version }: Publication) =>
  run(withdrawals().removeWithdrawnArtifact, { fleet: name, stage: STAGE, customerKey, version });

const own = ({ name }: FleetSpec, key: string): string => endpointName(name, STAGE, key);

const describeOwn = (spec: FleetSpec, key: string) =>
  parts().sagemaker.send(new DescribeEndpointCommand({ EndpointName: own(spec, key) }));

async function answers(spec: FleetSpec, key: string): Promise<number[]> {
  const { Body } = await withRuntime(parts()).runtime.send(
    new InvokeEndpointCommand({
      ...{ EndpointName: own(spec, key), ContentType: "text/csv", Body: "1,2\n3,4" },
    }),
  );
  return Body.transformToString().trim().split("\n").map(Number);
}

async function namesOf(prefix: string) {
  const { sagemaker } = parts();
  const page = { NameContains: prefix, MaxResults: 100 };
  const listed = await Promise.all([
    sagemaker.send(new ListEndpointsCommand(page)),
    sagemaker.send(new ListEndpointConfigsCommand(page)),
    sagemaker.send(new ListModelsCommand(page)),
  ]);
  return {
    endpoints: (listed[0].Endpoints ?? []).map(({ EndpointName }) => EndpointName),
    configs: (listed[1].EndpointConfigs ?? []).map((config) => config.EndpointConfigName),
    models: (listed[2].Models ?? []).map(({ ModelName }) => ModelName),
  };
}

describe.each([
  { kind: "serverless", endpoint: { kind: "serverless", memorySizeInMb: 1024, maxConcurrency: 2 } },
  { kind: "dedicated", endpoint: { kind: "dedicated" } },
])("$kind endpoints", ({ kind, endpoint }) => {
  let spec: FleetSpec;
  const version = async (
    customer: string,
    number: number,
    changes: Partial<VersionOptions> = {},
  ) => {
    const factor = 10 * number;
    const predictions = [3 * factor, 7 * factor];
    const artifact = await modelArchive(factor);
    return aVersion(parts(), {
      ...{ spec, customer, version: number, artifact, predictions },
      ...changes,
    });
  };
  beforeAll(async () => {
    spec = aFleet({ name: `own-${kind}`, endpoint });
    await uploadCode(parts(), spec);
  });

  test("are made for a batch of customers, each with his version, and pointed to", async () => {
    const batch = [await version("a", 1), await version("b", 1), await version("c", 1)];
    await publish(spec, ...batch);
    for (const { customerKey: key } of batch) {
      expect(await pointerOf(parts(), spec, key)).toMatchObject({
        ...{ endpoint: own(spec, key), targetModel: null, version: 1 },
      });
      expect(await answers(spec, key)).toEqual([30, 70]);
    }
    expect(await outcomesOf(parts(), batch[0] as Publication)).toEqual([
      { kind: "serving", stage: "local", version: 1, targetModel: null },
    ]);
    const { EndpointConfigName } = await describeOwn(spec, "a");
    const config = await parts().sagemaker.send(
      new DescribeEndpointConfigCommand({ EndpointConfigName }),
    );
    const variant = config.ProductionVariants?.[0];
    expect(variant).toMatchObject(
      kind === "serverless"
        ? { ServerlessConfig: { MemorySizeInMB: 1024, MaxConcurrency: 2 } }
        : { InstanceType: "ml.m5.xlarge", InitialInstanceCount: 1 },
    );
    const model = await parts().sagemaker.send(
      new DescribeModelCommand({ ModelName: variant?.ModelName }),
    );
    expect(model.PrimaryContainer).toMatchObject({
      Mode: "SingleModel",
      ModelDataUrl: like(/\/models\/a\/v000001\.tar\.gz$/),
    });
  });

  test("run again, find everything as it should be", async () => {
    const approved = await version("again", 1);
    await publish(spec, approved);
    const before = await describeOwn(spec, "again");
    await publish(spec, approved);
    expect(await describeOwn(spec, "again")).toMatchObject({
      EndpointConfigName: before.EndpointConfigName,
      LastModifiedTime: before.LastModifiedTime,
    });
    expect(await outcomesOf(parts(), approved)).toHaveLength(2);
  });

  test("are updated for the next version, and back when it is withdrawn", async () => {
    const [first, second] = [await version("back", 1), await version("back", 2)];
    await publish(spec, first);
    await publish(spec, second);
    expect(await answers(spec, "back")).toEqual([60, 140]);
    const withdrawal = await deny(spec, second);
    expect(await settle(spec, withdrawal)).toEqual([]);
    expect(await answers(spec, "back")).toEqual([30, 70]);
    expect(await pointerOf(parts(), spec, "back")).toMatchObject({
      ...{ endpoint: own(spec, "back"), version: 1, targetModel: null },
    });
    expect(await signalsOf(parts(), withdrawal.withdrawWorkflowId)).toEqual([
      { version: 2, stage: "local", servesNow: { version: 1, targetModel: null } },
    ]);
    await removeArtifact(spec, second);
    expect(await answers(spec, "back")).toEqual([30, 70]);
  });

  test("go when their only version is withdrawn, with configs and models, and nobody else's", async () => {
    const [only, neighbour] = [await version("gone", 1), await version("gone-not", 1)];
    await publish(spec, only, neighbour);
    const withdrawal = await deny(spec, only);
    expect(await settle(spec, withdrawal)).toEqual([]);
    expect(await pointerOf(parts(), spec, "gone")).toBeNull();
    expect(await signalsOf(parts(), withdrawal.withdrawWorkflowId)).toEqual([
      { version: 1, stage: "local", servesNow: null },
    ]);
    await removeArtifact(spec, only);
    await removeArtifact(spec, only);
    await expect
      .poll(async () => (await namesOf(own(spec, "gone"))).endpoints)
      .toEqual([own(spec, "gone-not")]);
    const left = await namesOf(own(spec, "gone"));
    expect(left.configs).toEqual([like(/--gone-not-[0-9a-f]{12}$/)]);
    expect(left.models).toEqual([like(/--gone-not-[0-9a-f]{12}$/)]);
    expect(await answers(spec, "gone-not")).toEqual([30, 70]);
  });

  test("that answer otherwise than training predicted go back to the version before", async () => {
    const [first, wrong] = [
      await version("wrong", 1),
      await version("wrong", 2, { predictions: [1, 2] }),
    ];
    await publish(spec, first);
    await publish(spec, wrong);
    expect(await standing(parts(), spec, wrong)).toMatchObject({
      publication: "rejected",
      reason: like(/^served 60 where training predicted 1/),
    });
    expect(await answers(spec, "wrong")).toEqual([30, 70]);
    expect(await standing(parts(), spec, first)).toMatchObject({ publication: "serving" });
  });

  test("of a first version that is refused do not stay", async () => {
    const refused = await version("refused", 1, { predictions: [1, 2] });
    await publish(spec, refused);
    expect(await standing(parts(), spec, refused)).toMatchObject({ publication: "rejected" });
    await expect.poll(async () => (await namesOf(own(spec, "refused"))).endpoints).toEqual([]);
  });

  test("that cannot be made are told with the reason, and the rest of the batch serves", async () => {
    const broken = await version("broken", 1, { artifact: Buffer.from("no archive") });
    const sound = await version("sound", 1);
    await publish(spec, broken, sound);
    expect(await standing(parts(), spec, sound)).toMatchObject({ publication: "serving" });
    expect(await standing(parts(), spec, broken)).toMatchObject({
      publication: "rejected",
      reason: like(/own-\S+--broken/),
    });
    await expect.poll(async () => (await namesOf(own(spec, "broken"))).endpoints).toEqual([]);
    expect(await outcomesOf(parts(), broken)).toEqual([
      { kind: "rejected", stage: "local", version: 1, because: like(/own-\S+--broken/) },
    ]);
  });

  test("that somebody deleted are made anew with the next version", async () => {
    await publish(spec, await version("lost", 1));
    await parts().sagemaker.send(new DeleteEndpointCommand({ EndpointName: own(spec, "lost") }));
    await publish(spec, await version("lost", 2));
    expect(await answers(spec, "lost")).toEqual([60, 140]);
  });

  test("keep their last three configs, and nobody else's are touched", async () => {
    const { sagemaker } = parts();
    await publish(spec, await version("kept", 1));
    const { EndpointConfigName } = await describeOwn(spec, "kept");
    const { ProductionVariants } = await sagemaker.send(
      new DescribeEndpointConfigCommand({ EndpointConfigName }),
    );
    const foreign = `${own(spec, "kept")}-by-hand`;
    await sagemaker.send(
      new CreateEndpointConfigCommand({ EndpointConfigName: foreign, ProductionVariants }),
    );
    for (const number of [2, 3, 4, 5]) await publish(spec, await version("kept", number));
    const { configs } = await namesOf(own(spec, "kept"));
    expect(configs).toHaveLength(4);
    expect(configs).toContain(foreign);
    expect(configs).toContain((await describeOwn(spec, "kept")).EndpointConfigName);
  });
});
