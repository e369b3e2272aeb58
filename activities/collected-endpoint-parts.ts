/** Finds and deletes endpoint configs and models that old refreshes have left, and that no endpoint uses any more. */
import {
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  DescribeEndpointConfigCommand,
  ListEndpointConfigsCommand,
  ListModelsCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { LIMITS } from "../fleet/limits.js";
import { endpointConfigPrefix, isOwnConfig, isOwnModel } from "../fleet/names.js";
import { describeEndpoint, refusedWith } from "./endpoint-refresh.js";
import { pages } from "./fleet-resources.js";
import { patiently } from "./patience.js";
import { unlessGone } from "./unless-gone.js";

export interface EndpointParts {
  readonly configs: readonly string[];
  readonly models: readonly string[];
}

const NOTHING: EndpointParts = { configs: [], models: [] };

/**
 * Older than `until`, not the live config, not one of the newest few, and no model that one of these names. An endpoint
 * that is being made or changed is left alone: it may be on its way to any of them.
 */
export async function findUnusedParts(
  sagemaker: SageMakerClient,
  endpointName: string,
  until: Date,
): Promise<EndpointParts> {
  const endpoint = await describeEndpoint(sagemaker, endpointName);
  if (endpoint !== undefined && endpoint.EndpointStatus !== "InService") return NOTHING;
  const configs = await listConfigs(sagemaker, endpointName);
  const live = endpoint?.EndpointConfigName;
  const others = configs.filter(({ name }) => name !== live);
  const spared = others.slice(0, LIMITS.endpointConfigsKept - 1).map(({ name }) => name);
  const going = others.filter(({ name, at }) => at <= until && !spared.includes(name));
  const gone = new Set(going.map(({ name }) => name));
  const old = await oldModels(sagemaker, endpointName, until);
  if (old.length === 0) return { configs: [...gone], models: [] };
  const used = new Set<string>();
  for (const { name } of configs.filter((one) => !gone.has(one.name)))
    for (const model of await modelsOf(sagemaker, name)) used.add(model);
  return { configs: [...gone], models: old.filter((name) => !used.has(name)) };
}

/** What is found, one by one; the endpoint is looked at again first. Returns what went. */
export async function deleteUnusedParts(
  sagemaker: SageMakerClient,
  endpointName: string,
  until: Date,
): Promise<EndpointParts> {
  const found = await findUnusedParts(sagemaker, endpointName, until);
  for (const EndpointConfigName of found.configs)
    await unlessGone(() => sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName })));
  for (const ModelName of found.models)
    await unlessGone(() => sagemaker.send(new DeleteModelCommand({ ModelName })));
  return found;
}

interface Dated {
  readonly name: string;
  readonly at: Date;
}

/** The newest first. */
async function listConfigs(sagemaker: SageMakerClient, endpointName: string): Promise<Dated[]> {
  const found: Dated[] = [];
  const list = (token: object) =>
    sagemaker.send(
      new ListEndpointConfigsCommand({
        NameContains: endpointConfigPrefix(endpointName),
        SortBy: "CreationTime",
        SortOrder: "Descending",
        ...token,
      }),
    );
  for await (const { EndpointConfigs = [] } of pages(list))
    for (const { EndpointConfigName: name = "", CreationTime: at } of EndpointConfigs)
      if (at !== undefined && isOwnConfig(name, endpointName)) found.push({ name, at });
  return found;
}

async function oldModels(
  sagemaker: SageMakerClient,
  endpointName: string,
  until: Date,
): Promise<string[]> {
  const found: string[] = [];
  const list = (token: object) =>
    sagemaker.send(
      new ListModelsCommand({ NameContains: endpointConfigPrefix(endpointName), ...token }),
    );
  for await (const { Models = [] } of pages(list))
    for (const { ModelName = "", CreationTime } of Models)
      if (
        CreationTime !== undefined &&
        CreationTime <= until &&
        isOwnModel(ModelName, endpointName)
      )
        found.push(ModelName);
  return found;
}

async function modelsOf(sagemaker: SageMakerClient, EndpointConfigName: string): Promise<string[]> {
  try {
    const config = await patiently(() =>
      sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName })),
    );
    return (config.ProductionVariants ?? []).flatMap(({ ModelName }) => ModelName ?? []);
  } catch (error) {
    // A refresh has just tidied up.
    if (refusedWith(error, /^Could not find /)) return [];
    throw error;
  }
}
