/** Takes down a fleet, or one of its stages: everything that it has made, and only that. */
import type { S3Client } from "@aws-sdk/client-s3";
import {
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  DeleteModelPackageCommand,
  DeleteModelPackageGroupCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import type pg from "pg";
import { endpointName, pipelineEndpointName, s3Keys } from "../fleet/names.js";
import { describeEndpoint, refusedWith } from "./endpoint-refresh.js";
import {
  findConfigs,
  findEndpoints,
  findModels,
  findPackageGroups,
  findPackages,
  findPreprocessorModels,
  type FleetPart,
} from "./fleet-resources.js";
import {
  endWorkflows,
  findWorkflows,
  forgetWorkflows,
  hasSchedule,
  isCycle,
} from "./fleet-workflows.js";
import { atStage, type StageReach } from "./at-stage.js";
import { inParallel } from "./in-parallel.js";
import { countRows, forgetFleet, forgetStage, readKnownEndpoints } from "./ledger/destruction.js";
import { deleteObjects, objectPages } from "./object-pages.js";
import { patiently, pause, withHeartbeat } from "./patience.js";
import { unlessGone } from "./unless-gone.js";

export interface DestructionDependencies extends StageReach {
  readonly s3: S3Client;
  /** Where the model registry is: the home account's. */
  readonly sagemaker: SageMakerClient;
  readonly temporal: Client;
  readonly pollSeconds: number;
}

/** An account in which something of the fleet may be. */
type Site = Pick<DestructionDependencies, "s3" | "sagemaker" | "bucket" | "pollSeconds"> & {
  readonly ledger: pg.Pool;
};

/** So many names of each kind are told; the count is of all. */
const NAMES_TOLD = 100;

export interface Found {
  readonly count: number;
  /** The first of them. */
  readonly names: readonly string[];
}

export interface FleetInventory {
  readonly fleet: string;
  readonly stage: string | null;
  readonly endpoints: Found;
  readonly endpointConfigs: Found;
  readonly models: Found;
  /** Each with its model packages. Not part of a stage. */
  readonly modelPackageGroups: Found;
  readonly objects: { readonly prefix: string; readonly count: number; readonly bytes: number };
  readonly hasSchedule: boolean;
  readonly workflows: Found;
  /** Of the workflows, those that retrain the fleet: a reason to refuse. */
  readonly cycles: readonly string[];
  /** Rows by table; of a stage none are counted. */
  readonly ledgerRows: Readonly<Record<string, number>>;
}

/** Each costs a call, and all calls share one budget. */
const AT_A_TIME = 8;

export const createDestructionActivities = (dependencies: DestructionDependencies) => ({
  /** What there is, found as the destruction finds it. Changes nothing. Heartbeats. */
  takeInventory: (part: FleetPart): Promise<FleetInventory> =>
    withHeartbeat(() => takeInventory(dependencies, part)),

  /** Schedule first, then cycles, then all the rest. Throws FleetBusy while a cycle runs, unless told to cancel. */
  endFleetWorkflows: (input: FleetPart & { readonly cancel: boolean }): Promise<number> =>
    withHeartbeat(() => endWorkflows(dependencies.temporal, input)),

  /** Waits until they are gone, and then deletes what they were made of. Heartbeats. */
  destroyEndpoints: (part: FleetPart): Promise<void> =>
    withHeartbeat(() => destroyEndpoints(dependencies, part)),

  destroyModelPackages: ({ fleet }: FleetPart): Promise<void> =>
    withHeartbeat(() => destroyPackages(dependencies, fleet)),

  destroyObjects: (part: FleetPart): Promise<void> =>
    withHeartbeat(() => destroyObjects(dependencies, part)),

  /** Deletes the histories of those that have ended, so that their ids are free again. Heartbeats. */
  forgetWorkflows: ({ fleet }: FleetPart): Promise<void> =>
    withHeartbeat(() => forgetWorkflows(dependencies.temporal, fleet)),

  /** Last of what is looked things up in: rows tell which endpoints there were. */
  async forgetInLedger({
    found,
    by,
  }: {
    readonly found: FleetInventory;
    readonly by: string;
  }): Promise<void> {
    const { fleet, stage } = found;
    await withHeartbeat(() =>
      stage === null
        ? forgetFleet(dependencies.ledger, { fleet, stage, by, found })
        : forgetStage(dependencies.ledger, { fleet, stage, by, found }),
    );
  },
});
export type DestructionActivities = ReturnType<typeof createDestructionActivities>;

async function takeInventory(
  dependencies: DestructionDependencies,
  part: FleetPart,
): Promise<FleetInventory> {
  const { ledger, sagemaker, temporal } = dependencies;
  const { fleet, stage } = part;
  const sites = await sitesOf(dependencies, part);
  const found = await Promise.all(accountsOf(sites).map((site) => findParts(site, part)));
  const endpoints = found.flatMap((one) => one.endpoints);
  const configs = found.flatMap((one) => one.configs);
  const models = found.flatMap((one) => one.models);
  const workflows = await findWorkflows(temporal, part);
  const isWhole = stage === undefined;
  if (isWhole) models.push(...(await findPreprocessorModels(sagemaker, fleet)));
  return {
    fleet,
    stage: stage ?? null,
    endpoints: told(endpoints),
    endpointConfigs: told(configs),
    models: told(models),
    modelPackageGroups: told(isWhole ? await findPackageGroups(sagemaker, fleet) : []),
    objects: await countObjects(sites, part),
    hasSchedule: isWhole && (await hasSchedule(temporal, fleet)),
    workflows: told(workflows.map(({ workflowId }) => workflowId)),
    cycles: workflows.filter(isCycle).map(({ workflowId }) => workflowId),
    ledgerRows: isWhole ? await countRows(ledger, fleet) : {},
  };
}

/**
 * Where the part's stages are; of a whole fleet the home account first, where the rest of it is. Reached with each
 * stage's own credentials.
 */
async function sitesOf(dependencies: DestructionDependencies, part: FleetPart): Promise<Site[]> {
  const { fleet, stage: only } = part;
  const { stages } = await readKnownEndpoints(dependencies.ledger, fleet);
  const sites: Site[] = only === undefined ? [dependencies] : [];
  for (const stage of only === undefined ? stages : [only])
    sites.push(await atStage(dependencies, { fleet, stage }));
  return sites;
}

/** One of each set of clients: stages of one account and region share it. */
const accountsOf = (sites: readonly Site[]): Site[] =>
  sites.filter(
    (site, place) => sites.findIndex(({ sagemaker }) => sagemaker === site.sagemaker) === place,
  );

/** One of each bucket. */
const storesOf = (sites: readonly Site[]): Site[] =>
  sites.filter((site, place) => sites.findIndex(({ bucket }) => bucket === site.bucket) === place);

async function findParts(site: Site, part: FleetPart) {
  const endpoints = await findEndpoints(site.sagemaker, part);
  const configs: string[] = [];
  const models: string[] = [];
  const names = await endpointNames(site, part, endpoints);
  await inParallel(AT_A_TIME, names, async (endpoint) => {
    configs.push(...(await findConfigs(site.sagemaker, endpoint)));
    models.push(...(await findModels(site.sagemaker, endpoint)));
  });
  return { endpoints, configs, models };
}

const told = (names: readonly string[]): Found => ({
  count: names.length,
  names: [...names].sort().slice(0, NAMES_TOLD),
});

/** Those that there are, and those whose parts an earlier attempt may have left behind. */
async function endpointNames(
  { ledger }: Site,
  { fleet, stage: only }: FleetPart,
  found: readonly string[],
): Promise<string[]> {
  const { stages, generations, own } = await readKnownEndpoints(ledger, fleet);
  const wanted = only === undefined ? stages : stages.filter((stage) => stage === only);
  const shared = wanted.flatMap((stage) => [
    endpointName(fleet, stage),
    ...generations.map((generation) => pipelineEndpointName(fleet, stage, generation)),
  ]);
  const customers = own.filter(({ stage }) => wanted.includes(stage));
  return [...new Set([...found, ...shared, ...customers.map((one) => one.endpointName)])];
}

async function destroyEndpoints(
  dependencies: DestructionDependencies,
  part: FleetPart,
): Promise<void> {
  const { sagemaker } = dependencies;
  for (const site of accountsOf(await sitesOf(dependencies, part)))
    await destroyEndpointsAt(site, part);
  if (part.stage === undefined)
    await deleteModels(sagemaker, await findPreprocessorModels(sagemaker, part.fleet));
}

async function destroyEndpointsAt(site: Site, part: FleetPart): Promise<void> {
  const { sagemaker } = site;
  const endpoints = await findEndpoints(sagemaker, part);
  await inParallel(AT_A_TIME, endpoints, (name) => deleteEndpoint(site, name));
  const all = await endpointNames(site, part, endpoints);
  await inParallel(AT_A_TIME, all, async (endpoint) => {
    for (const EndpointConfigName of await findConfigs(sagemaker, endpoint))
      await unlessGone(() =>
        sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName })),
      );
    await deleteModels(sagemaker, await findModels(sagemaker, endpoint));
  });
  log.info("endpoints destroyed", { ...part, endpoints: endpoints.length });
}

async function deleteModels(sagemaker: SageMakerClient, names: readonly string[]): Promise<void> {
  for (const ModelName of names)
    await unlessGone(() => sagemaker.send(new DeleteModelCommand({ ModelName })));
}

/** One that is being made or changed can only be deleted afterwards. */
async function deleteEndpoint(
  { sagemaker, pollSeconds }: Site,
  EndpointName: string,
): Promise<void> {
  for (;;) {
    const endpoint = await describeEndpoint(sagemaker, EndpointName);
    if (endpoint === undefined) return;
    if (endpoint.EndpointStatus !== "Deleting")
      await patiently(() => sagemaker.send(new DeleteEndpointCommand({ EndpointName }))).catch(
        (error: unknown) => {
          if (refusedWith(error, /^(Cannot update in-progress|Could not find) endpoint/)) return;
          throw error;
        },
      );
    await pause(Math.min(2, pollSeconds));
  }
}

async function destroyPackages(
  { sagemaker }: DestructionDependencies,
  fleet: string,
): Promise<void> {
  const groups = await findPackageGroups(sagemaker, fleet);
  await inParallel(AT_A_TIME, groups, async (ModelPackageGroupName) => {
    for (const ModelPackageName of await findPackages(sagemaker, ModelPackageGroupName))
      await unlessGone(() => sagemaker.send(new DeleteModelPackageCommand({ ModelPackageName })));
    await unlessGone(() =>
      sagemaker.send(new DeleteModelPackageGroupCommand({ ModelPackageGroupName })),
    );
  });
  log.info("model packages destroyed", { fleet, groups: groups.length });
}

/** Its closing slash keeps a fleet apart from one whose name begins alike. */
const prefixOf = ({ fleet, stage }: FleetPart): string =>
  stage === undefined ? s3Keys.fleet(fleet) : s3Keys.stage(fleet, stage);

async function countObjects(sites: readonly Site[], part: FleetPart) {
  const prefix = prefixOf(part);
  let [count, bytes] = [0, 0];
  for (const { s3, bucket } of storesOf(sites))
    for await (const page of objectPages(s3, bucket, prefix)) {
      count += page.length;
      bytes += page.reduce((sum, { size }) => sum + size, 0);
    }
  return { prefix: `s3://${sites[0]?.bucket ?? ""}/${prefix}`, count, bytes };
}

async function destroyObjects(
  dependencies: DestructionDependencies,
  part: FleetPart,
): Promise<void> {
  for (const { s3, bucket } of storesOf(await sitesOf(dependencies, part)))
    for await (const page of objectPages(s3, bucket, prefixOf(part)))
      await deleteObjects(s3, bucket, page);
}
