/** What a fleet no longer needs goes, and whoever wants to go back to it is told, or was first. */
import {
  CreateEndpointConfigCommand,
  CreateModelCommand,
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  DescribeEndpointConfigCommand,
  DescribeModelPackageCommand,
  ListModelsCommand,
} from "@aws-sdk/client-sagemaker";
import { describe, expect, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
import { createCollectionActivities } from "../../activities/collection.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { recordWithdrawal } from "../../activities/ledger/withdrawals.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import {
  endpointConfigName,
  modelName,
  modelPackageGroupName,
  s3Keys,
  targetModel,
} from "../../fleet/names.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { COLLECTED_WORDS } from "../../fleet/way-back.js";
import { DEFAULT_PACE, type Publication } from "../../workflows/messages.js";
import { aFleet, openCycle } from "./a-fleet.js";
import {
  collect as collectAll,
  collectedOf,
  endCycles,
  inDays,
  keysOf as allKeys,
} from "./collecting.js";
import { run, useParts } from "./parts.js";
import {
  aVersion,
  aWithdrawal,
  modelArchive,
  pointerOf,
  predictionsOf,
  put,
  STAGE,
  standing,
  uploadCode,
  withRuntime,
} from "./publishing.js";

const parts = useParts(19960);
const collection = () => createCollectionActivities(parts());
const withdrawals = () => createWithdrawalActivities(withRuntime(parts()));

const aTidyFleet = (name: string, retention: object = {}): FleetSpec =>
  fleetSpecSchema.parse({
    ...aFleet({ name }),
    retention: { artifacts: "30d", datasets: "10d", versions: 1, ...retention },
  });

const collect = (spec: FleetSpec, days = 31) => collectAll(parts(), spec, days);

let clock = Date.parse("2026-11-21T14:30:00Z");

/** As the endpoint's workflow publishes a batch. */
async function publish({ name }: FleetSpec, ...publications: Publication[]): Promise<void> {
  const batch = { fleet: name, stage: STAGE, publications };
  const { copyArtifacts } = createArtifactActivities(parts());
  const { ensureEndpoint, verifyAndPoint } = createEndpointActivities(withRuntime(parts()));
  await run(copyArtifacts, batch);
  const at = new Date((clock += 1000)).toISOString();
  await run(ensureEndpoint, { fleet: name, stage: STAGE, at, reload: false });
  await run(verifyAndPoint, batch);
}

/** Its model answers `version` times the sum of a row. */
const version = async (spec: FleetSpec, number: number, state?: "denied" | "pending") =>
  aVersion(parts(), {
    ...{ spec, customer: "a", version: number, artifact: await modelArchive(number) },
    ...{ predictions: [3 * number, 7 * number], ...(state === undefined ? {} : { state }) },
  });

/** Version 1 is denied; 2, 3 and 4 have served one after another. */
async function aLivedInFleet(name: string, retention: object = {}): Promise<FleetSpec> {
  const spec = aTidyFleet(name, retention);
  await uploadCode(parts(), spec);
  await version(spec, 1, "denied");
  for (const number of [2, 3, 4]) await publish(spec, await version(spec, number));
  await endCycles(parts(), spec);
  const cycle = (number: number) => `2013-07-0${number}`;
  const rows = Buffer.from("1,2\n");
  for (const number of [2, 4]) {
    const key = { fleet: name, cycle: cycle(number) };
    for (const customerKey of ["a", "b"])
      await put(parts(), s3Keys.rows({ ...key, customerKey, channel: "train" }), rows);
    await put(parts(), s3Keys.columns(name, cycle(number)), rows);
    const losing = `${s3Keys.output(name, cycle(number))}a-trial-that-lost/output/model.tar.gz`;
    await put(parts(), losing, rows);
  }
  await put(parts(), s3Keys.history(name, "evaluationhistory.csv"), rows);
  return spec;
}

const keysOf = (spec: FleetSpec) => allKeys(parts(), spec);

describe("a fleet that has lived for a while", () => {
  test("keeps what serves, one way back, and where both came from", async () => {
    const spec = await aLivedInFleet("tidy");
    const before = await keysOf(spec);

    const found = await collect(spec);

    expect(found).toMatchObject({
      retention: "artifacts 30d, datasets 10d, 1 version to go back to",
      versions: { count: 2, names: ["a v1", "a v2"] },
      artifacts: { count: 4 },
      copies: { count: 1 },
    });
    const after = await keysOf(spec);
    const gone = before.filter((key) => !after.includes(key));
    expect(gone).toEqual([
      "cycles/2013-07-01/output/job-a/output/model.tar.gz",
      "cycles/2013-07-02/data/a/train/data.csv",
      "cycles/2013-07-02/data/b/train/data.csv",
      "cycles/2013-07-02/output/a-trial-that-lost/output/model.tar.gz",
      "cycles/2013-07-02/output/job-a/output/model.tar.gz",
      "cycles/2013-07-02/schema/columns.json",
      // Of the serving version's cycle only what is not its own.
      "cycles/2013-07-04/data/b/train/data.csv",
      "cycles/2013-07-04/output/a-trial-that-lost/output/model.tar.gz",
      "stages/local/models/a/v000002.tar.gz",
    ]);
    expect(found.artifacts.count + found.datasets.count + found.copies.count).toBe(gone.length);
    expect(await collectedOf(parts(), spec)).toEqual(["a v1", "a v2"]);
    expect(await predictionsOf(parts(), spec, targetModel("a", 4))).toEqual([12, 28]);

    const again = await collect(spec, 32);
    expect(again).toMatchObject({
      ...{ versions: { count: 0 }, artifacts: { count: 0 }, datasets: { count: 0 } },
      copies: { count: 0 },
    });
    expect(await keysOf(spec)).toEqual(after);
    const { rows } = await parts().ledger.query(
      "select collected_by, found -> 'versions' -> 'count' as versions from collections where fleet = 'tidy' order by at",
    );
    expect(rows).toEqual([
      { collected_by: "ann", versions: 2 },
      { collected_by: "ann", versions: 0 },
    ]);

    // Its rows stay, and a rollback to what has gone is refused in a sentence.
    const refused = run(withdrawals().recordWithdrawal, {
      ...{ fleet: "tidy", stage: STAGE, customerKey: "a", version: 4, to: 2 },
      decision: { verdict: "deny", by: "ann", note: "worse" },
    });
    await expect(refused).rejects.toMatchObject({
      type: "WithdrawalRefused",
      message: `customer a of fleet "tidy": version 2 cannot serve again: ${COLLECTED_WORDS}`,
    });
    const refusedCycle = openCycle(parts(), spec, "2013-07-02");
    await expect(refusedCycle).rejects.toMatchObject({ type: "CycleCollected" });
  });

  test("loses nothing to a look, and nothing that is younger than declared", async () => {
    const spec = await aLivedInFleet("looked-at");
    const before = await keysOf(spec);
    const input = { fleet: spec.name, at: inDays(31) };
    expect(await run(collection().findCollectible, input)).toMatchObject({
      versions: { count: 2 },
    });
    await collect(spec, 9);
    expect(await keysOf(spec)).toEqual(before);
    expect(await collectedOf(parts(), spec)).toEqual([]);

    // After a while the rows go, and what a stage could go back to stays whole.
    const found = await collect(spec, 11);
    expect(found).toMatchObject({ versions: { count: 0 }, artifacts: { count: 0 } });
    expect(before.filter((key) => !key.includes("/data/b/"))).toEqual(await keysOf(spec));
  });

  test("keeps everything of a cycle that is run again, until it has ended", async () => {
    const spec = await aLivedInFleet("again");
    await openCycle(parts(), spec, "2013-07-02");
    const found = await collect(spec);
    expect(found.versions.names).toEqual(["a v1"]);
    expect((await keysOf(spec)).filter((key) => key.startsWith("cycles/2013-07-02/"))).toHaveLength(
      5,
    );
  });

  test("runs a cycle again whose exported rows are gone, but not one whose rows a job had prepared", async () => {
    const spec = await aLivedInFleet("prepared");
    const folder = s3Keys.prepared(spec.name, "2013-07-02", "0".repeat(64));
    await put(parts(), `${folder}data/b/train/data.csv`, Buffer.from("1,2\n"));
    expect(await collect(spec, 11)).toMatchObject({ artifacts: { count: 0 } });

    await expect(openCycle(parts(), spec, "2013-07-02")).rejects.toMatchObject({
      type: "CycleCollected",
    });
    expect(await openCycle(parts(), spec, "2013-07-04")).toMatchObject({ cycle: "2013-07-04" });
  });

  test("gives up its way back to nobody while a version is withdrawn, and comes back", async () => {
    const spec = await aLivedInFleet("racing");
    const denial = { fleet: spec.name, stage: STAGE, customerKey: "a", version: 4, to: 2 };
    const leaving = { customerKey: "a", version: 4, releaseWorkflowId: "" };
    const decision = { verdict: "deny", by: "ann", note: "worse" } as const;
    await run(withdrawals().recordWithdrawal, { ...denial, decision });

    // As workflows would: the one tidies up while the other puts the older version back.
    const withdrawal = await aWithdrawal(parts(), spec, leaving);
    const place = { fleet: spec.name, stage: STAGE };
    const [found, { open }] = await Promise.all([
      collect(spec),
      run(withdrawals().settleWithdrawals, { ...place, withdrawals: [withdrawal], restored: null }),
    ]);
    if (open.length > 0) {
      const { restored } = await run(withdrawals().restoreArtifacts, {
        ...{ ...place, customerKeys: ["a"] },
      });
      const batch = { ...place, withdrawals: open, restored };
      await run(withdrawals().settleWithdrawals, batch);
    }
    expect(found.versions.names).not.toContain("a v2");
    expect(await pointerOf(parts(), spec, "a")).toMatchObject({ version: 2 });
    expect(await predictionsOf(parts(), spec, targetModel("a", 2))).toEqual([6, 14]);
    await collect(spec, 40);
    expect(await predictionsOf(parts(), spec, targetModel("a", 2))).toEqual([6, 14]);
    expect(await standing(parts(), spec, { ...leaving, version: 2 })).toMatchObject({
      release: "serving",
    });
  });
});

test("of a collection and a rollback that come at once, one is first, and either ends well", async () => {
  const spec = aTidyFleet("at-once");
  const place = await openCycle(parts(), spec);
  const customers = Array.from({ length: 40 }, (_none, index) => `c${index}`);
  const { ledger } = parts();
  for (const number of [1, 2, 3]) {
    const cycle = `2013-07-0${number}`;
    await openCycle(parts(), spec, cycle);
    await ledger.query(
      `insert into releases (fleet, cycle, customer_key, version, model_package_arn, training_job_name, artifact_uri,
                             state, decided_by, workflow_id)
       select $1::text, $2, key, $3::int, 'arn:' || $1 || key || $3, 'job', 's3://b/k',
              case when $3 = 3 then 'serving' else 'retired' end, 'ada', 'w'
         from unnest($4::text[]) as c (key)`,
      [place.fleet, cycle, number, customers],
    );
    await ledger.query(
      `insert into publications (fleet, stage, customer_key, version, target_model, state, verification)
       select $1, $2, key, $3::int, 'm', case when $3 = 3 then 'serving' else 'replaced' end, '{}'
         from unnest($4::text[]) as c (key)`,
      [place.fleet, STAGE, number, customers],
    );
  }
  await endCycles(parts(), spec);

  const rollBack = (customerKey: string) =>
    recordWithdrawal(ledger, {
      ...{ fleet: spec.name, stage: STAGE, customerKey, version: 3, to: 1 },
      ...{ by: "ann", workflowId: `withdraw/${customerKey}` },
    });
  const early = customers.slice(0, 20).map(rollBack);
  const marked = run(collection().markCollected, { fleet: spec.name, at: inDays(31) });
  await Promise.all([...early, marked, ...customers.slice(20).map(rollBack)]);

  const { rows } = await ledger.query<{ collected: boolean; reason: string | null }>(
    `select r.collected_at is not null as collected, w.reason
       from releases r join withdrawals w on w.fleet = r.fleet and w.customer_key = r.customer_key
      where r.fleet = $1 and r.version = 1`,
    [spec.name],
  );
  expect(rows).toHaveLength(customers.length);
  for (const { collected, reason } of rows)
    expect(reason).toBe(collected ? `version 1 cannot serve again: ${COLLECTED_WORDS}` : null);
  // The version between is everybody's other way back.
  expect((await collectedOf(parts(), spec)).filter((name) => name.endsWith(" v2"))).toEqual([]);
});

test("model packages that nobody has approved go, but for the newest of a group", async () => {
  const spec = aTidyFleet("packages");
  const { sagemaker } = parts();
  const group = modelPackageGroupName(spec.name, "a");
  await sagemaker.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: group }));
  const arns: string[] = [];
  for (const number of [1, 2]) {
    await version(spec, number, "denied");
    const { ModelPackageArn = "" } = await sagemaker.send(
      new CreateModelPackageCommand({
        ModelPackageGroupName: group,
        ModelApprovalStatus: "Rejected",
        InferenceSpecification: {
          Containers: [{ Image: "111111111111.dkr.ecr.us-east-1.amazonaws.com/image:1" }],
        },
      }),
    );
    arns.push(ModelPackageArn);
  }
  await endCycles(parts(), spec);
  expect(await collect(spec)).toMatchObject({ versions: { count: 2 }, modelPackages: 1 });
  const describePackage = (ModelPackageName = "") =>
    sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName }));
  await expect(describePackage(arns[0])).rejects.toThrow(/does not exist/);
  expect(await describePackage(arns[1])).toMatchObject({ ModelPackageVersion: 2 });
  expect(await collect(spec, 32)).toMatchObject({ modelPackages: 0 });
});

test("endpoint configs and models go when they are old, and no endpoint uses them", async () => {
  const spec = await aLivedInFleet("leftovers");
  const { sagemaker, roleArn } = parts();
  const endpoint = `${spec.name}-${STAGE}`;
  const Image = "111111111111.dkr.ecr.us-east-1.amazonaws.com/image:1";
  const hashes = [..."abcde"].map((letter) => letter.repeat(64));
  const configs: string[] = [];
  for (const [index, hash] of hashes.entries()) {
    const ModelName = modelName({ endpointName: endpoint, hash });
    await sagemaker.send(
      new CreateModelCommand({
        ...{ ModelName, ExecutionRoleArn: roleArn, PrimaryContainer: { Image } },
      }),
    );
    const at = new Date(Date.parse("2026-11-20T00:00:00Z") + index * 1000).toISOString();
    const EndpointConfigName = endpointConfigName({ endpointName: endpoint, hash, at });
    const variant = { VariantName: "all", ModelName, InstanceType: "ml.m5.large" } as const;
    await sagemaker.send(
      new CreateEndpointConfigCommand({
        EndpointConfigName,
        ProductionVariants: [{ ...variant, InitialInstanceCount: 1 }],
      }),
    );
    configs.push(EndpointConfigName);
  }
  expect((await collect(spec, 29)).endpointConfigs.count).toBe(0);

  const found = await collect(spec);

  // The live one and the newest two beside it stay.
  expect(found.endpointConfigs.names).toEqual(configs.slice(0, 3).sort());
  expect(found.models.count).toBe(3);
  const { Models = [] } = await sagemaker.send(new ListModelsCommand({ NameContains: endpoint }));
  expect(Models).toHaveLength(3);
  const describeConfig = (EndpointConfigName = "") =>
    sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName }));
  await expect(describeConfig(configs[0])).rejects.toThrow(/Could not find/);
  expect(await describeConfig(configs[4])).toMatchObject({ EndpointConfigName: configs[4] });
  expect(await predictionsOf(parts(), spec, targetModel("a", 4))).toEqual([12, 28]);
});

describe("a customer that has left the warehouse", () => {
  const RETIRE = { retire: { after: "90d", atMost: 0.5 } };

  /** `a` and `b` serve in version 1; of the cycle after it, the export had rows of `a` only, if at all. */
  async function aShrunkFleet(name: string, rows = 5): Promise<FleetSpec> {
    const spec = aTidyFleet(name, RETIRE);
    await uploadCode(parts(), spec);
    const both = ["a", "b"].map((customer) => ({ ...{ spec, customer, version: 1 } }));
    for (const one of both) await publish(spec, await aVersion(parts(), one));
    await openCycle(parts(), spec, "2013-08-01");
    const { ledger } = parts();
    await ledger.query(
      `update cycles set rows = case when cycle = '2013-07-01' then 10 else $2 end, state = 'completed',
              ended_at = now(), window_ceiling = cycle::timestamptz where fleet = $1`,
      [name, rows],
    );
    await ledger.query("update customers set train_rows = 5 where fleet = $1", [name]);
    if (rows > 0)
      await ledger.query(
        `insert into customers (fleet, cycle, customer_key, customer, train_rows, state)
         values ($1, '2013-08-01', 'a', 'a', 5, 'skipped'), ($1, '2013-08-01', 'b', 'b', 0, 'skipped')`,
        [name],
      );
    return spec;
  }

  const retireAfter = ({ name }: FleetSpec, days: number) =>
    run(collection().retireCustomers, {
      ...{ fleet: name, at: inDays(days), by: "ann", pace: DEFAULT_PACE },
    });

  /** What its workflow would do, on which nobody works here. */
  async function carryOut(spec: FleetSpec, customerKey: string): Promise<void> {
    const workflowId = `withdraw/${spec.name}/${customerKey}/1`;
    expect((await parts().temporal.workflow.getHandle(workflowId).describe()).type).toBe(
      "withdrawModel",
    );
    const place = { fleet: spec.name, stage: STAGE };
    const one = { ...place, customerKey, version: 1 };
    const decision = { verdict: "deny", by: "ann", note: "no rows" } as const;
    await run(withdrawals().recordWithdrawal, { ...one, decision, retire: true });
    const withdrawal = { customerKey, version: 1, withdrawWorkflowId: workflowId };
    const batch = { ...place, withdrawals: [withdrawal], restored: null };
    expect(await run(withdrawals().settleWithdrawals, batch)).toEqual({ open: [] });
    await run(withdrawals().removeWithdrawnArtifact, one);
  }

  test("leaves the endpoint, and comes back as a new version", async () => {
    const spec = await aShrunkFleet("shrunk");
    expect(await retireAfter(spec, 89)).toEqual({
      ...{ retiring: { count: 0, names: [] }, retirementRefused: null },
    });
    const look = { fleet: spec.name, at: inDays(91) };
    expect(await run(collection().findCollectible, look)).toMatchObject({
      ...{ retiring: { count: 1, names: ["b"] }, retirementRefused: null },
    });

    expect(await retireAfter(spec, 91)).toMatchObject({ retiring: { names: ["b"] } });
    await carryOut(spec, "b");

    expect(await pointerOf(parts(), spec, "b")).toBeNull();
    expect(await pointerOf(parts(), spec, "a")).toMatchObject({ version: 1 });
    expect(await keysOf(spec)).not.toContain("stages/local/models/b/v000001.tar.gz");
    const b1 = { customerKey: "b", version: 1, releaseWorkflowId: "" };
    expect(await standing(parts(), spec, b1)).toMatchObject({ release: "retired" });
    expect(await retireAfter(spec, 91)).toMatchObject({ retiring: { count: 0 } });
    const { rows } = await parts().ledger.query(
      "select customer_key, version, last_cycle, retired_by from retirements where fleet = $1",
      [spec.name],
    );
    expect(rows).toEqual([
      { customer_key: "b", version: 1, last_cycle: "2013-07-01", retired_by: "ann" },
    ]);

    // Its artifact is kept for as long as any other.
    expect(await collect(spec, 29)).toMatchObject({ versions: { count: 0 } });
    const next = await aVersion(parts(), { spec, customer: "b", version: 2 });
    await publish(spec, next);
    expect(await pointerOf(parts(), spec, "b")).toMatchObject({ version: 2 });
    // Nobody has denied the version from before: there is a way back to it.
    const denial = { fleet: spec.name, stage: STAGE, customerKey: "b", version: 2 };
    const decision = { verdict: "deny", by: "ann", note: "worse" } as const;
    await run(withdrawals().recordWithdrawal, { ...denial, decision });
    const withdrawal = await aWithdrawal(parts(), spec, next);
    await run(withdrawals().restoreArtifacts, {
      ...{ fleet: spec.name, stage: STAGE, customerKeys: ["b"] },
    });
    await run(withdrawals().settleWithdrawals, {
      ...{ fleet: spec.name, stage: STAGE, withdrawals: [withdrawal], restored: null },
    });
    expect(await pointerOf(parts(), spec, "b")).toMatchObject({ version: 1 });
  });

  test("keeps nothing for ever", async () => {
    const spec = await aShrunkFleet("shrunk-away");
    // Somebody had denied the next one before: it is no sign that the customer has come back.
    await aVersion(parts(), { spec, customer: "b", version: 2, state: "denied" });
    await endCycles(parts(), spec);
    await retireAfter(spec, 91);
    await carryOut(spec, "b");
    expect((await collect(spec)).versions.names).toEqual(["b v1", "b v2"]);
    expect(await keysOf(spec)).not.toContain("cycles/2013-07-01/output/job-b/output/model.tar.gz");
    expect(await keysOf(spec)).toContain("cycles/2013-07-01/output/job-a/output/model.tar.gz");
  });

  test("stays when the export looks broken", async () => {
    const spec = await aShrunkFleet("broken-export", 0);
    expect(await retireAfter(spec, 91)).toEqual({
      retiring: { count: 0, names: [] },
      retirementRefused: "the newest export has no rows at all, so it does not tell who has left",
    });
    expect(await pointerOf(parts(), spec, "b")).toMatchObject({ version: 1 });
  });
});

test("a fleet that the ledger does not know is told, and nothing is looked for", async () => {
  const unknown = run(collection().findCollectible, { fleet: "nobody", at: inDays(0) });
  await expect(unknown).rejects.toMatchObject({
    type: "SpecInvalid",
    message: 'the ledger has no cycle of a fleet "nobody"',
  });
});
