/** Tidies up after a fleet: what its retention no longer keeps, and what nobody needs. */
import type { S3Client } from "@aws-sdk/client-s3";
import { DeleteModelPackageCommand, type SageMakerClient } from "@aws-sdk/client-sagemaker";
import { heartbeat, log } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import { FAILURES } from "../fleet/errors.js";
import { endpointName, pipelineEndpointName } from "../fleet/names.js";
import { retentionOf, retentionWords } from "../fleet/retention.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import type { Pace } from "../workflows/messages.js";
import { permanent } from "./application-failure.js";
import { atStage, type StageReach } from "./at-stage.js";
import { deleteUnusedParts, findUnusedParts } from "./collected-endpoint-parts.js";
import { sweepCopies, sweepCycles, type Sweep, type Weight } from "./collected-objects.js";
import { inParallel } from "./in-parallel.js";
import {
  countDroppedPackages,
  customerPages,
  markCollected,
  readCollectible,
  readDroppedPackages,
  readNewestSpec,
  readUnapprovedCohorts,
  recordCollection,
  recordDroppedCohort,
  recordDroppedPackages,
} from "./ledger/collection.js";
import { readKnownEndpoints } from "./ledger/destruction.js";
import { withHeartbeat } from "./patience.js";
import { findLeaving, retire, type RetirementReport, type RetirementScope } from "./retirement.js";
import { unlessGone } from "./unless-gone.js";

export interface CollectionDependencies extends StageReach {
  readonly temporal: Client;
  readonly s3: S3Client;
  /** Where the model registry is: the home account's. */
  readonly sagemaker: SageMakerClient;
}

export interface CollectionInput {
  readonly fleet: string;
  /** ISO time that ages are counted to: the workflow's, so that every attempt takes the same. */
  readonly at: string;
}

export interface Taken {
  readonly count: number;
  /** The first of them. */
  readonly names: readonly string[];
}

/** What goes, or would; and who leaves. */
export interface CollectionReport extends RetirementReport {
  readonly fleet: string;
  readonly at: string;
  /** What the fleet declares, in words. */
  readonly retention: string;
  /** Versions that can no longer be gone back to, as `<customer key> v<version>`. */
  readonly versions: Taken;
  readonly artifacts: Weight;
  readonly datasets: Weight;
  /** Versions' copies in the stages. */
  readonly copies: Weight;
  readonly modelPackages: number;
  readonly endpointConfigs: Taken;
  readonly models: Taken;
}

/** So many names of each kind are told; the count is of all. */
const NAMES_TOLD = 100;
/** Each is a call or a few, and all calls share one budget. */
const AT_A_TIME = 8;
const PACKAGES_AT_A_TIME = 200;

export const createCollectionActivities = (dependencies: CollectionDependencies) => ({
  /** What would go, found as the collection finds it. Changes nothing. Heartbeats. */
  findCollectible: (input: CollectionInput): Promise<CollectionReport> =>
    withHeartbeat(() => findCollectible(dependencies, input)),

  /** Customers that have left the warehouse leave the endpoints, by withdrawals that go on by themselves. Heartbeats. */
  retireCustomers: (
    input: CollectionInput & { readonly by: string; readonly pace: Pace },
  ): Promise<RetirementReport> =>
    withHeartbeat(async () => {
      const sweep = await sweepOf(dependencies, input, false);
      return retire(dependencies, retirementScope(sweep), input);
    }),

  /** Before anything is deleted: from then on nobody goes back to what is about to go. Returns how many were marked. Heartbeats. */
  markCollected: (input: CollectionInput): Promise<number> =>
    withHeartbeat(() => markAll(dependencies, input)),

  /** Of each page the ledger is asked again, under the lock that keeps its cycle from being opened. Heartbeats. */
  collectObjects: (input: CollectionInput): Promise<void> =>
    withHeartbeat(async () => {
      const sweep = await sweepOf(dependencies, input, false);
      await sweepCycles(dependencies, sweep);
      for (const { name: stage } of sweep.spec.stages) {
        const place = { fleet: input.fleet, stage };
        await sweepCopies(await atStage(dependencies, place), sweep, place);
      }
    }),

  /** Those that nobody has approved, of versions that are marked. Heartbeats. */
  collectModelPackages: (input: CollectionInput): Promise<void> =>
    withHeartbeat(() => collectPackages(dependencies, input)),

  /** Endpoint configs and models that are old, and that no endpoint uses. Heartbeats. */
  collectEndpointParts: (input: CollectionInput): Promise<void> =>
    withHeartbeat(async () => {
      await forEndpoints(
        dependencies,
        await sweepOf(dependencies, input, false),
        deleteUnusedParts,
      );
    }),

  /** Who had it done, and what there was. */
  recordCollection: ({
    found,
    by,
  }: {
    readonly found: CollectionReport;
    readonly by: string;
  }): Promise<void> =>
    recordCollection(dependencies.ledger, {
      ...{ fleet: found.fleet, at: new Date(found.at), by, found },
    }),
});
export type CollectionActivities = ReturnType<typeof createCollectionActivities>;

interface SpecSweep extends Sweep {
  readonly spec: FleetSpec;
}

/** By the newest cycle's spec: what is declared since counts from the next cycle on. */
async function sweepOf(
  { ledger }: CollectionDependencies,
  { fleet, at }: CollectionInput,
  dryRun: boolean,
): Promise<SpecSweep> {
  const spec = await readNewestSpec(ledger, fleet);
  if (spec === undefined)
    throw permanent(FAILURES.specInvalid, {
      message: `the ledger has no cycle of a fleet "${fleet}"`,
      hint: "modelfleet status lists the fleets",
    });
  return { fleet, spec, retention: retentionOf(spec), now: new Date(at), dryRun };
}

const retirementScope = ({ fleet, retention, now }: Sweep): RetirementScope => ({
  ...{ fleet, policy: retention.retire, now },
});

async function findCollectible(
  dependencies: CollectionDependencies,
  input: CollectionInput,
): Promise<CollectionReport> {
  const { ledger } = dependencies;
  const { fleet, at } = input;
  const sweep = await sweepOf(dependencies, input, true);
  const names: string[] = [];
  const members = new Map<number, number>();
  let [versions, modelPackages] = [0, await countDroppedPackages(ledger, fleet)];
  for await (const keys of customerPages(ledger, fleet)) {
    const going = await readCollectible(ledger, sweep, keys);
    versions += going.length;
    modelPackages += going.filter(({ dropsPackage }) => dropsPackage).length;
    for (const { version } of going.filter(({ cohort }) => cohort))
      members.set(version, (members.get(version) ?? 0) + 1);
    const told = going.slice(0, NAMES_TOLD - names.length);
    names.push(...told.map(({ customerKey, version }) => `${customerKey} v${version}`));
    heartbeat(keys.at(-1));
  }
  for (const { version, membersLeft } of await readUnapprovedCohorts(ledger, fleet))
    if (membersLeft === (members.get(version) ?? 0)) modelPackages += 1;
  const cycles = await sweepCycles(dependencies, sweep);
  const copies = { count: 0, bytes: 0 };
  for (const { name: stage } of sweep.spec.stages) {
    const there = await atStage(dependencies, { fleet, stage });
    const { count, bytes } = await sweepCopies(there, sweep, { fleet, stage });
    copies.count += count;
    copies.bytes += bytes;
  }
  return {
    ...{ fleet, at, retention: retentionWords(sweep.retention) },
    ...{ versions: { count: versions, names }, ...cycles, copies, modelPackages },
    ...(await forEndpoints(dependencies, sweep, findUnusedParts)),
    ...(await findLeaving(dependencies, retirementScope(sweep))),
  };
}

async function markAll(
  dependencies: CollectionDependencies,
  input: CollectionInput,
): Promise<number> {
  const { ledger } = dependencies;
  const sweep = await sweepOf(dependencies, input, false);
  let marked = 0;
  for await (const keys of customerPages(ledger, input.fleet)) {
    marked += (await markCollected(ledger, sweep, keys)).length;
    heartbeat(keys.at(-1));
  }
  log.info("versions marked as collected", { fleet: input.fleet, marked });
  return marked;
}

async function collectPackages(
  { ledger, sagemaker }: CollectionDependencies,
  { fleet }: CollectionInput,
): Promise<void> {
  const remove = (ModelPackageName: string) =>
    unlessGone(() => sagemaker.send(new DeleteModelPackageCommand({ ModelPackageName })));
  for (;;) {
    const page = await readDroppedPackages(ledger, fleet, PACKAGES_AT_A_TIME);
    if (page.length === 0) break;
    await inParallel(AT_A_TIME, page, ({ modelPackageArn }) => remove(modelPackageArn));
    await recordDroppedPackages(ledger, fleet, page);
    log.info("model packages collected", { fleet, packages: page.length });
  }
  for (const { version, modelPackageArn, membersLeft } of await readUnapprovedCohorts(
    ledger,
    fleet,
  )) {
    if (membersLeft > 0) continue;
    await remove(modelPackageArn);
    await recordDroppedCohort(ledger, fleet, version);
  }
}

/** Of every endpoint that the fleet has, or had, in the stages that it declares. */
async function forEndpoints(
  dependencies: CollectionDependencies,
  { fleet, spec, retention, now }: SpecSweep,
  each: typeof findUnusedParts,
): Promise<{ readonly endpointConfigs: Taken; readonly models: Taken }> {
  const until = new Date(now.getTime() - retention.artifactsSeconds * 1000);
  const { generations, own } = await readKnownEndpoints(dependencies.ledger, fleet);
  const configs: string[] = [];
  const models: string[] = [];
  for (const { name: stage } of spec.stages) {
    const { sagemaker } = await atStage(dependencies, { fleet, stage });
    const endpoints = [
      endpointName(fleet, stage),
      ...generations.map((generation) => pipelineEndpointName(fleet, stage, generation)),
      ...own.filter((one) => one.stage === stage).map((one) => one.endpointName),
    ];
    await inParallel(AT_A_TIME, endpoints, async (endpoint) => {
      const found = await each(sagemaker, endpoint, until);
      configs.push(...found.configs);
      models.push(...found.models);
    });
  }
  return { endpointConfigs: taken(configs), models: taken(models) };
}

const taken = (names: readonly string[]): Taken => ({
  count: names.length,
  names: [...names].sort().slice(0, NAMES_TOLD),
});
