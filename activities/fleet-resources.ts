/** Finds what a fleet has made in SageMaker and S3: by its tags, and by names that no other fleet gives. */
import {
  ListEndpointConfigsCommand,
  ListEndpointsCommand,
  ListModelPackageGroupsCommand,
  ListModelPackagesCommand,
  ListModelsCommand,
  ListTagsCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { LIMITS } from "../fleet/limits.js";
import {
  endpointConfigPrefix,
  isOwnConfig,
  isOwnModel,
  isPreprocessorModel,
  preprocessorModelPrefix,
} from "../fleet/names.js";
import { STAGE_TAG } from "./endpoint-request.js";
import { refusedWith } from "./endpoint-refresh.js";
import { patiently } from "./patience.js";
import { TAGS } from "./training-job-request.js";

export interface FleetPart {
  readonly fleet: string;
  /** Only this stage's; by default all of the fleet. */
  readonly stage?: string | undefined;
}

interface Page {
  readonly NextToken?: string | undefined;
}

/** All pages of a list. */
export async function* pages<P extends Page>(
  list: (token: { NextToken?: string; MaxResults: number }) => Promise<P>,
): AsyncGenerator<P> {
  let NextToken: string | undefined;
  do {
    const token = NextToken === undefined ? {} : { NextToken };
    const page = await patiently(() => list({ ...token, MaxResults: LIMITS.listPageSize }));
    yield page;
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
}

/** Endpoints that bear the fleet's tag. A name alone is no proof: one made by hand may begin alike. */
export async function findEndpoints(
  sagemaker: SageMakerClient,
  { fleet, stage }: FleetPart,
): Promise<string[]> {
  const NameContains = `${fleet}-${stage ?? ""}`;
  const found: string[] = [];
  const list = (token: object) =>
    sagemaker.send(new ListEndpointsCommand({ NameContains, ...token }));
  for await (const { Endpoints = [] } of pages(list))
    for (const { EndpointName = "", EndpointArn } of Endpoints) {
      if (!EndpointName.startsWith(NameContains)) continue;
      const tags = await tagsOf(sagemaker, EndpointArn);
      const isOurs = tags.get(TAGS.fleet) === fleet;
      if (isOurs && (stage === undefined || tags.get(STAGE_TAG) === stage))
        found.push(EndpointName);
    }
  return found;
}

async function tagsOf(
  sagemaker: SageMakerClient,
  ResourceArn: string | undefined,
): Promise<ReadonlyMap<string, string>> {
  try {
    const { Tags = [] } = await patiently(() =>
      sagemaker.send(new ListTagsCommand({ ResourceArn })),
    );
    return new Map(Tags.map(({ Key = "", Value = "" }) => [Key, Value]));
  } catch (error) {
    // It has just gone.
    if (refusedWith(error, /^Could not find /)) return new Map();
    throw error;
  }
}

export async function findConfigs(sagemaker: SageMakerClient, endpoint: string): Promise<string[]> {
  const NameContains = endpointConfigPrefix(endpoint);
  const found: string[] = [];
  const list = (token: object) =>
    sagemaker.send(new ListEndpointConfigsCommand({ NameContains, ...token }));
  for await (const { EndpointConfigs = [] } of pages(list))
    found.push(...EndpointConfigs.map((config) => config.EndpointConfigName ?? ""));
  return found.filter((name) => isOwnConfig(name, endpoint));
}

export async function findModels(sagemaker: SageMakerClient, endpoint: string): Promise<string[]> {
  const names = await modelNames(sagemaker, endpointConfigPrefix(endpoint));
  return names.filter((name) => isOwnModel(name, endpoint));
}

/** Those that batch transform needed; endpoints have their own. */
export async function findPreprocessorModels(
  sagemaker: SageMakerClient,
  fleet: string,
): Promise<string[]> {
  const names = await modelNames(sagemaker, preprocessorModelPrefix(fleet));
  return names.filter((name) => isPreprocessorModel(name, fleet));
}

async function modelNames(sagemaker: SageMakerClient, NameContains: string): Promise<string[]> {
  const found: string[] = [];
  const list = (token: object) => sagemaker.send(new ListModelsCommand({ NameContains, ...token }));
  for await (const { Models = [] } of pages(list))
    found.push(...Models.map(({ ModelName }) => ModelName ?? ""));
  return found;
}

/** No fleet's name has two dashes, so what is before the first two is the whole of one. */
export async function findPackageGroups(
  sagemaker: SageMakerClient,
  fleet: string,
): Promise<string[]> {
  const NameContains = `${fleet}--`;
  const found: string[] = [];
  const list = (token: object) =>
    sagemaker.send(new ListModelPackageGroupsCommand({ NameContains, ...token }));
  for await (const { ModelPackageGroupSummaryList = [] } of pages(list))
    found.push(
      ...ModelPackageGroupSummaryList.map(
        ({ ModelPackageGroupName }) => ModelPackageGroupName ?? "",
      ),
    );
  return found.filter((name) => name.startsWith(NameContains));
}

export async function findPackages(
  sagemaker: SageMakerClient,
  ModelPackageGroupName: string,
): Promise<string[]> {
  const found: string[] = [];
  const list = (token: object) =>
    sagemaker.send(new ListModelPackagesCommand({ ModelPackageGroupName, ...token }));
  for await (const { ModelPackageSummaryList = [] } of pages(list))
    found.push(...ModelPackageSummaryList.map(({ ModelPackageArn }) => ModelPackageArn ?? ""));
  return found;
}
