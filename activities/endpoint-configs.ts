/** Deletes the endpoint configs that earlier refreshes have left. */
import {
  DeleteEndpointConfigCommand,
  ListEndpointConfigsCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import { LIMITS } from "../fleet/limits.js";
import { endpointConfigPrefix, isOwnConfig } from "../fleet/names.js";
import { messageOf } from "./application-failure.js";

/**
 * Keeps the newest few and the live one: an endpoint whose config is gone cannot be updated. Only configs that
 * bear the names we give. What cannot be deleted now is deleted after the next refresh: nothing depends on it.
 */
export async function collectConfigs(
  sagemaker: SageMakerClient,
  endpointName: string,
  live: string,
): Promise<void> {
  try {
    const listed = await sagemaker.send(
      new ListEndpointConfigsCommand({
        NameContains: endpointConfigPrefix(endpointName),
        SortBy: "CreationTime",
        SortOrder: "Descending",
        MaxResults: LIMITS.listPageSize,
      }),
    );
    const names = (listed.EndpointConfigs ?? []).map((config) => config.EndpointConfigName ?? "");
    for (const EndpointConfigName of configsToDelete(names, { endpointName, live }))
      await sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName }));
  } catch (error) {
    log.warn("old endpoint configs not deleted", { endpointName, because: messageOf(error) });
  }
}

/** Of one page, newest first; a longer list shrinks with every refresh. */
export function configsToDelete(
  newestFirst: readonly string[],
  { endpointName, live }: { readonly endpointName: string; readonly live: string },
): string[] {
  const own = newestFirst.filter((name) => isOwnConfig(name, endpointName));
  const others = own.filter((name) => name !== live);
  return others.slice(LIMITS.endpointConfigsKept - 1);
}
