/** What cohorts leave behind goes member by member, and wherever the collection dies, it is run on to the same end. */
import {
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DescribeModelPackageCommand,
} from "@aws-sdk/client-sagemaker";
import { describe, expect, test } from "vitest";
import type { CollectionDependencies } from "../../activities/collection.js";
import { createCohortPublicationActivities } from "../../activities/cohort-publication.js";
import { createCohortWithdrawalActivities } from "../../activities/cohort-withdrawal.js";
import { recordWithdrawal } from "../../activities/ledger/withdrawals.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { endpointConfigName, modelName, s3Keys, targetModel } from "../../fleet/names.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { COLLECTED_WORDS } from "../../fleet/way-back.js";
import { openCycle } from "./a-fleet.js";
import {
  aShardedFleet,
  anEvaluatedCohort,
  cohortFolder,
  decideCohort,
  memberKey,
  pointedVersions,
  publishCohort,
  refreshEndpoint,
  registerCohort,
} from "./cohorts.js";
import { collect, collectedOf, endCycles, keysOf } from "./collecting.js";
import { run, useParts, type Parts } from "./parts.js";
import { predictionsOf, put, STAGE, uploadCode, withRuntime } from "./publishing.js";

const parts = useParts(20220);

const aTidyFleet = (name: string): FleetSpec =>
  fleetSpecSchema.parse({
    ...aShardedFleet(name),
    retention: {
      ...{ artifacts: "30d", datasets: "10d", versions: 1 },
      retire: { after: "20d", atMost: 0.5 },
    },
  });

const ROWS = Buffer.from("1,2\n");

/** What a sharded cycle leaves beside artifacts and evaluations: rows, what its job reads, what it wrote, and a round that failed. */
async function putRest(
  of: Parts,
  { name }: FleetSpec,
  cycle: string,
  customers: readonly string[],
) {
  const inputs = `${s3Keys.cycle(name, cycle)}cohort-inputs/0a1b2c3d4e5f/`;
  await Promise.all(
    [
      ...customers.map((customerKey) => s3Keys.customerRows({ fleet: name, cycle, customerKey })),
      s3Keys.columns(name, cycle),
      s3Keys.manifest(name, cycle),
      `${inputs}champions.json`,
      `${inputs}trials/trials.jsonl`,
      `${s3Keys.output(name, cycle)}sharded-job/output/output.tar.gz`,
      `${s3Keys.output(name, cycle)}round-that-failed/output/output.tar.gz`,
    ].map((key) => put(of, key, ROWS)),
  );
}

describe("five cohorts of six members", () => {
  const MEMBERS = 6;
  const spec = aTidyFleet("meters");
  const cycleOf = (version: number) => `2026-0${version}-01`;
  const members = Array.from({ length: MEMBERS }, (_none, index) => memberKey(index));

  interface Lived {
    readonly factor: number;
    readonly keeping?: readonly number[];
    readonly asking?: readonly number[];
  }

  /** A cycle up to its cohort's registration. Its models answer `factor` times the sum of a row. */
  async function live(version: number, options: Lived): Promise<void> {
    const cycle = cycleOf(version);
    await anEvaluatedCohort(parts(), { spec, cycle, members: MEMBERS, ...options });
    await putRest(parts(), spec, cycle, [...members, "kept"]);
    expect(await registerCohort(parts(), spec, cycle)).toMatchObject({ version });
    await endCycles(parts(), spec);
  }

  /** The gate has kept the first one's champion ever since; somebody has left the last one out of version 4. */
  async function aLivedInFleet(): Promise<void> {
    await uploadCode(parts(), spec);
    await live(1, { factor: 10 });
    await publishCohort(parts(), spec, 1);
    await live(2, { factor: 20, keeping: [0] });
    await publishCohort(parts(), spec, 2);
    await live(3, { factor: 30, keeping: [0], asking: [1] });
    await decideCohort(parts(), spec, { version: 3, verdict: "deny" });
    await live(4, { factor: 40, keeping: [0], asking: [1] });
    const except = [memberKey(5)];
    await decideCohort(parts(), spec, { version: 4, verdict: "approve", except });
    await publishCohort(parts(), spec, 4);
    await live(5, { factor: 50, keeping: [0], asking: [1] });
  }

  const describePackage = async (version: number) => {
    const { rows } = await parts().ledger.query<{ arn: string }>(
      "select model_package_arn as arn from cohorts where fleet = $1 and version = $2",
      [spec.name, version],
    );
    const ModelPackageName = rows[0]?.arn ?? "";
    return parts().sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName }));
  };

  /** Of a cycle's folder, what is the customers' own. */
  const own = (version: number, indexes: readonly number[]): string[] => {
    const folder = cohortFolder(spec.name, cycleOf(version));
    const keys = indexes.map(memberKey).flatMap((customerKey) => {
      const rows = { fleet: spec.name, cycle: cycleOf(version), customerKey };
      return [`${folder}${customerKey}.tar.gz`, s3Keys.customerRows(rows)];
    });
    return keys.map((key) => key.slice(s3Keys.fleet(spec.name).length));
  };
  const below = (version: number, ...paths: string[]): string[] =>
    paths.map((path) => `cycles/${cycleOf(version)}/${path}`);
  const ALWAYS = ["customers/kept.csv", "output/round-that-failed/output/output.tar.gz"];

  test("lose what no member needs, and each keeps what serves it and its own way back", async () => {
    await aLivedInFleet();
    expect(await pointedVersions(parts(), spec, MEMBERS)).toEqual([1, 4, 4, 4, 4, 2]);
    const before = await keysOf(parts(), spec);

    const found = await collect(parts(), spec);

    const after = await keysOf(parts(), spec);
    const gone = before.filter((key) => !after.includes(key));
    const expected = [
      // The first one is served by version 1, and the last one could go back to it.
      ...own(1, [1, 2, 3, 4]),
      ...below(1, ...ALWAYS),
      // A challenger that the gate turned down has no version.
      ...own(2, [0]),
      ...below(2, ...ALWAYS),
      // Denied as a whole: nothing describes rows that are gone.
      ...own(3, [0, 1, 2, 3, 4, 5]),
      ...below(3, ...ALWAYS, "schema/columns.json", "manifest.json", "evaluations/COHORT.json"),
      ...below(3, "cohort-inputs/0a1b2c3d4e5f/champions.json"),
      ...below(3, "cohort-inputs/0a1b2c3d4e5f/trials/trials.jsonl"),
      ...below(3, "output/sharded-job/output/output.tar.gz"),
      ...own(4, [0, 5]),
      ...below(4, ...ALWAYS),
      // Version 5 waits for a decision, however long.
      ...own(5, [0]),
      ...below(5, ...ALWAYS),
      ...[1, 2, 3, 4].map((index) => `stages/${STAGE}/models/${targetModel(memberKey(index), 1)}`),
    ];
    expect(gone).toEqual(expected.sort());
    expect(found.artifacts.count + found.datasets.count + found.copies.count).toBe(gone.length);
    const left = (index: number, ...versions: number[]) =>
      versions.map((version) => `${memberKey(index)} v${version}`);
    const versions = [...[1, 2, 3, 4].flatMap((index) => left(index, 1, 3)), ...left(5, 3, 4)];
    expect(found.versions).toEqual({ count: 10, names: versions });
    expect(await collectedOf(parts(), spec)).toEqual(versions);
    // The package of version 3, which nobody has approved, went with the last of its members.
    expect(found.modelPackages).toBe(1);
    await expect(describePackage(3)).rejects.toThrow(/does not exist/);
    for (const version of [1, 2, 4, 5])
      expect(await describePackage(version)).toMatchObject({ ModelPackageVersion: version });

    expect(await collect(parts(), spec, 32)).toMatchObject({
      ...{ versions: { count: 0 }, artifacts: { count: 0 }, datasets: { count: 0 } },
      ...{ copies: { count: 0 }, modelPackages: 0 },
    });
    expect(await keysOf(parts(), spec)).toEqual(after);
  });

  test("serve on, and those that have a way back go there when their cohort is denied", async () => {
    const answers = async (index: number, version: number) =>
      predictionsOf(parts(), spec, targetModel(memberKey(index), version));
    expect(await answers(0, 1)).toEqual([30, 70]);
    expect(await answers(5, 2)).toEqual([60, 140]);

    const refused = run(createWithdrawalActivities(withRuntime(parts())).recordWithdrawal, {
      ...{ fleet: spec.name, stage: STAGE, customerKey: memberKey(1), version: 4, to: 1 },
      decision: { verdict: "deny", by: "ann", note: "worse" },
    });
    await expect(refused).rejects.toThrow(`version 1 cannot serve again: ${COLLECTED_WORDS}`);

    const withdrawal = createCohortWithdrawalActivities(withRuntime(parts()));
    const place = { fleet: spec.name, stage: STAGE, version: 4 };
    const decision = { verdict: "deny", by: "bob", note: "wrong weather" } as const;
    await run(withdrawal.recordCohortWithdrawal, { ...place, decision });
    // While they leave, all of their versions stay.
    expect((await collect(parts(), spec, 60)).versions.count).toBe(0);
    const page = { ...place, after: "", refreshed: false };
    expect(await run(withdrawal.settleCohortPage, page)).toEqual({ after: null, open: 0 });
    expect(await pointedVersions(parts(), spec, MEMBERS)).toEqual([1, 2, 2, 2, 2, 2]);
    expect(await answers(3, 2)).toEqual([60, 140]);
  });

  test("that are collected in the moment before they are pointed to do not begin to serve", async () => {
    const publication = createCohortPublicationActivities(withRuntime(parts()));
    const page = { fleet: spec.name, stage: STAGE, version: 5, after: "" };
    await decideCohort(parts(), spec, { version: 5, verdict: "approve" });
    await run(publication.copyCohortPage, page);
    await parts().ledger.query(
      "update releases set collected_at = now() where fleet = $1 and version = 5 and customer_key = $2",
      [spec.name, memberKey(2)],
    );
    await refreshEndpoint(parts(), spec);
    await run(publication.pointCohortPage, { ...page, verify: false });

    expect(await pointedVersions(parts(), spec, MEMBERS)).toEqual([1, 5, 2, 5, 5, 5]);
    const { rows } = await parts().ledger.query(
      "select reason from publications where fleet = $1 and version = 5 and state = 'rejected'",
      [spec.name],
    );
    expect(rows).toEqual([{ reason: COLLECTED_WORDS }]);
  });
});

describe("a collection that dies", () => {
  const VERSIONS = [1, 2, 3, 4] as const;
  const cycleOf = (version: number) => `2026-0${version}-01`;
  /** Of the cohorts, in the order of their versions. */
  const DECIDED = ["published", "denied", "published", "published"] as const;
  const STATES = ["retired", "denied", "retired", "serving"] as const;

  /** Versions 1 and 3 have served `a` and `r`, and 4 does; 2 was denied. `z` is served by version 1, and has left since. */
  async function aFleetToCollect(name: string): Promise<FleetSpec> {
    const spec = aTidyFleet(name);
    for (const version of VERSIONS) await live(spec, version);
    await parts().ledger.query(
      `update cycles set state = 'completed', ended_at = now(), rows = 10, window_ceiling = cycle::timestamptz
        where fleet = $1`,
      [name],
    );
    await putOldConfigs(spec);
    return spec;
  }

  async function live(spec: FleetSpec, version: number): Promise<void> {
    const { name } = spec;
    const { ledger, bucket, region, account } = parts();
    const cycle = cycleOf(version);
    await openCycle(parts(), spec, cycle);
    const members = version === 1 ? ["a", "r", "z"] : ["a", "r"];
    const folder = cohortFolder(name, cycle);
    const arn = `arn:aws:sagemaker:${region}:${account}:model-package/${name}--COHORT/${version}`;
    const state = STATES[version - 1] ?? "";
    await ledger.query(
      `insert into customers (fleet, cycle, customer_key, customer, train_rows, state)
       select $1, $2, key, upper(key), 5, 'serving' from unnest($3::text[]) as m (key)`,
      [name, cycle, members],
    );
    await ledger.query(
      `insert into cohorts (fleet, version, cycle, model_package_arn, workflow_id, state, members, figures)
       values ($1, $2, $3, $4, 'w', $5, $6, '{}')`,
      [name, version, cycle, arn, DECIDED[version - 1], members.length],
    );
    await ledger.query(
      `insert into releases (fleet, cycle, customer_key, version, model_package_arn, training_job_name, artifact_uri,
                             state, decided_by, workflow_id, cohort)
       select $1, $2, key, $3, $4, 'sharded-job', $5 || key || '.tar.gz',
              case when key = 'z' then 'serving' else $6 end, 'ada', 'w', true from unnest($7::text[]) as m (key)`,
      [name, cycle, version, arn, `s3://${bucket}/${folder}`, state, members],
    );
    await Promise.all(members.map((key) => put(parts(), `${folder}${key}.tar.gz`, ROWS)));
    await putRest(parts(), spec, cycle, members);
    if (state !== "denied") await publishAll(spec, version, members);
  }

  async function publishAll({ name }: FleetSpec, version: number, members: readonly string[]) {
    await parts().ledger.query(
      `insert into publications (fleet, stage, customer_key, version, target_model, state, verification)
       select $1, $2, key, $3, target, case when key = 'z' or $3 = 4 then 'serving' else 'replaced' end, '{}'
         from unnest($4::text[], $5::text[]) as m (key, target)`,
      [name, STAGE, version, members, members.map((key) => targetModel(key, version))],
    );
    const copies = members.map((key) => s3Keys.models(name, STAGE) + targetModel(key, version));
    await Promise.all(copies.map((key) => put(parts(), key, ROWS)));
  }

  /** Four of an endpoint that is there no more: two of them are spared. */
  async function putOldConfigs({ name }: FleetSpec): Promise<void> {
    const { sagemaker, roleArn: ExecutionRoleArn } = parts();
    const endpoint = `${name}-${STAGE}`;
    const Image = "111111111111.dkr.ecr.us-east-1.amazonaws.com/image:1";
    for (const [index, letter] of [..."abcd"].entries()) {
      const key = { endpointName: endpoint, hash: letter.repeat(64) };
      const ModelName = modelName(key);
      const model = { ModelName, ExecutionRoleArn, PrimaryContainer: { Image } };
      await sagemaker.send(new CreateModelCommand(model));
      const at = new Date(Date.parse("2026-11-20T00:00:00Z") + index * 1000).toISOString();
      const variant = { VariantName: "all", ModelName, InitialInstanceCount: 1 };
      await sagemaker.send(
        new CreateEndpointConfigCommand({
          EndpointConfigName: endpointConfigName({ ...key, at }),
          ProductionVariants: [{ ...variant, InstanceType: "ml.m5.large" }],
        }),
      );
    }
  }

  const rollBack = (spec: FleetSpec) =>
    recordWithdrawal(parts().ledger, {
      ...{ fleet: spec.name, stage: STAGE, customerKey: "r", version: 4, to: 1 },
      ...{ by: "ann", workflowId: `withdraw/${spec.name}/r/4` },
    });

  /** What is left of it, below its own prefix. */
  async function endOf(spec: FleetSpec) {
    const { rows } = await parts().ledger.query<{ reason: string | null; dropped: boolean }>(
      `select reason, (select package_collected_at is not null from cohorts where fleet = $1 and version = 2) as dropped
         from withdrawals where fleet = $1 and customer_key = 'r'`,
      [spec.name],
    );
    const collected = await collectedOf(parts(), spec);
    return { keys: await keysOf(parts(), spec), collected, ...rows[0] };
  }

  /** What a job has made is gone of no cycle that could be run again, and of no version that could serve again. */
  async function expectMarkedFirst(spec: FleetSpec, missing: readonly string[], point: string) {
    const { rows } = await parts().ledger.query<{ cycle: string }>(
      "select cycle from cycles where fleet = $1 and collected_at is not null",
      [spec.name],
    );
    const cycles = new Set(rows.map(({ cycle }) => cycle));
    const collected = await collectedOf(parts(), spec);
    for (const key of missing) {
      const [, cycle = "", kind = ""] = /^cycles\/([^/]+)\/([^/]+)\//.exec(key) ?? [];
      if (kind === "cohort" || kind === "output")
        expect(cycles, `${point}: ${key}`).toContain(cycle);
      const [, customer, copy] =
        /^stages\/[^/]+\/models\/([^/]+)\/v0*(\d+)\.tar\.gz$/.exec(key) ?? [];
      const [, member] = /\/cohort\/[^/]+\/([^/]+)\.tar\.gz$/.exec(key) ?? [];
      if (customer !== undefined) expect(collected, point).toContain(`${customer} v${copy ?? ""}`);
      if (member !== undefined)
        expect(collected, point).toContain(`${member} v${Number(cycle.slice(5, 7))}`);
    }
  }

  test("after any of its changes is run on to the same end, and a rollback between is kept or told", async () => {
    // Undisturbed: before the rollback, and after it.
    const early = await aFleetToCollect("cut-aa");
    await rollBack(early);
    await collect(parts(), early);
    const asked = await endOf(early);
    const late = await aFleetToCollect("cut-zz");
    const { dependencies, made } = mortal(parts(), Infinity);
    await collect(dependencies, late);
    await rollBack(late);
    const told = await endOf(late);
    expect(asked.collected).toEqual(["a v1", "a v2"]);
    expect(told.collected).toEqual(["a v1", "a v2", "r v1", "r v2"]);
    expect([asked.dropped, told.dropped]).toEqual([false, true]);
    expect(asked.reason).toBeNull();
    expect(told.reason).toBe(`version 1 cannot serve again: ${COLLECTED_WORDS}`);
    const marked = made.findIndex((change) => change.startsWith("commit")) + 1;
    expect(made.length).toBeGreaterThan(marked + 15);

    for (let last = 1; last <= made.length; last++) {
      const spec = await aFleetToCollect(`cut-${String(last).padStart(2, "0")}`);
      const whole = await keysOf(parts(), spec);
      const dying = mortal(parts(), last);
      await expect(collect(dying.dependencies, spec)).rejects.toBeInstanceOf(Died);
      const point = `after change ${last}, ${dying.made.at(-1) ?? ""}`;
      const before = await keysOf(parts(), spec);
      await expectMarkedFirst(
        spec,
        whole.filter((key) => !before.includes(key)),
        point,
      );

      await rollBack(spec);
      const found = await collect(parts(), spec, 32);

      const end = await endOf(spec);
      expect(end, point).toEqual(last < marked ? asked : told);
      const { artifacts, datasets, copies } = found;
      const gone = artifacts.count + datasets.count + copies.count;
      expect(gone, point).toBe(before.length - end.keys.length);
      expect(found.retiring.names, point).toEqual(["Z"]);
      expect(await collect(parts(), spec, 33), point).toMatchObject({
        ...{ versions: { count: 0 }, artifacts: { count: 0 }, datasets: { count: 0 } },
        ...{ copies: { count: 0 }, modelPackages: 0, models: { count: 0 } },
        endpointConfigs: { count: 0 },
      });
      const retirement = parts().temporal.workflow.getHandle(`withdraw/${spec.name}/z/1`);
      expect((await retirement.describe()).type, point).toBe("withdrawModel");
    }
  });
});

class Died extends Error {}

/** The parts of a worker that dies right after its `last` change: nothing that follows is done, and nobody hears of it. */
function mortal(of: Parts, last: number) {
  const made: string[] = [];
  const step = async <T>(change: string | null, work: () => Promise<T>): Promise<T> => {
    if (made.length >= last) throw new Died();
    const result = await work();
    if (change !== null) made.push(change);
    if (change !== null && made.length >= last) throw new Died(`after ${change}`);
    return result;
  };
  const s3 = watched(of.s3, "send", step);
  const sagemaker = watched(of.sagemaker, "send", step);
  const ledger = withProperty(watched(of.ledger, "query", step), "connect", async () =>
    watched(await of.ledger.connect(), "query", step),
  );
  const workflow = watched(of.temporal.workflow, "start", step);
  const temporal = withProperty(of.temporal, "workflow", workflow);
  const dependencies: CollectionDependencies = {
    ...{ ...of, s3, sagemaker, ledger, temporal },
    stageAccess: async (place) => ({ ...(await of.stageAccess(place)), s3, sagemaker }),
  };
  return { dependencies, made };
}

type Step = <T>(change: string | null, work: () => Promise<T>) => Promise<T>;

/** Its calls of that name are steps. */
function watched<T extends object>(target: T, name: keyof T & string, step: Step): T {
  const call: unknown = Reflect.get(target, name);
  if (typeof call !== "function") throw new Error(`${name} is no function`);
  return withProperty(target, name, (...given: unknown[]) =>
    step(changeOf(name, given[0]), () => Reflect.apply(call, target, given) as Promise<unknown>),
  );
}

/** What a call changes, and that stays; null for one that reads, or whose transaction is still open. */
function changeOf(name: string, given: unknown): string | null {
  if (name === "start") return "start of a withdrawal";
  if (typeof given !== "string") {
    const command = given instanceof Object ? given.constructor.name : "";
    return command.startsWith("Delete") ? command : null;
  }
  const [statement = ""] = given.trim().split("\n");
  return /^(commit|insert|delete)\b/.test(statement) || isUpdateAlone(statement) ? statement : null;
}

/** Those of transactions are told by their commit. */
const isUpdateAlone = (statement: string): boolean =>
  statement.startsWith("update") && !statement.startsWith("update releases r set collected_at");

const withProperty = <T extends object>(target: T, name: keyof T & string, value: unknown): T =>
  new Proxy(target, {
    get(_target, property): unknown {
      if (property === name) return value;
      const own: unknown = Reflect.get(target, property, target);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
