/** The policies of a fleet's model package groups: what they lack, and putting it there. One group a customer. */
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import {
  mergePolicy,
  packageGroupStatement,
  type PolicyChange,
  type RemoteStage,
} from "../fleet/account-policies.js";
import { REACH_TIMEOUT_MS } from "./connections.js";
import { inOrder } from "./in-order.js";

/** AWS publishes no rate. An answer takes a tenth of a second or more, so these stay below a hundred a second. */
const AT_A_TIME = 8;
/** AWS API, ListModelPackageGroups. */
const PAGE = 100;

export interface GroupChange extends PolicyChange {
  readonly name: string;
}

export interface GroupsWanted {
  readonly fleet: string;
  readonly remote: readonly RemoteStage[];
}

export interface GroupsOptions {
  /** Not beyond the newest page: whoever has run `accounts apply` lacks what was made since. */
  readonly newestOnly?: boolean;
  /** Is told how many have been looked at so far. */
  readonly onLooked?: (groups: number) => void;
}

export interface GroupsLook {
  /** In the order of the groups, the newest first. */
  readonly changes: readonly GroupChange[];
  readonly looked: number;
  /** There are older ones, which were not looked at. */
  readonly more: boolean;
}

/**
 * No workflow stands behind a command to try again: calls that AWS throttles are repeated by the SDK, which goes
 * slower from then on. To be destroyed by the caller.
 */
export async function openRegistry(region: string): Promise<SageMakerClient> {
  const { SageMakerClient } = await import("@aws-sdk/client-sagemaker");
  return new SageMakerClient({
    ...{ region, retryMode: "adaptive", maxAttempts: 10 },
    requestHandler: { connectionTimeout: REACH_TIMEOUT_MS, requestTimeout: 30_000 },
  });
}

/** Changes nothing. Throws what SageMaker throws, and an Error when a group's policy is none. */
export async function lookAtGroups(
  sagemaker: SageMakerClient,
  { fleet, remote }: GroupsWanted,
  { newestOnly = false, onLooked }: GroupsOptions = {},
): Promise<GroupsLook> {
  const changes: GroupChange[] = [];
  const list = { more: false };
  let looked = 0;
  const groups = newestGroups(sagemaker, fleet, { newestOnly, list });
  const all = inOrder(AT_A_TIME, groups, async ({ name, arn }) => {
    const statements = remote.map((stage) =>
      packageGroupStatement({ fleet, groupArn: arn }, stage),
    );
    return { name, change: mergePolicy(await groupPolicy(sagemaker, name), statements) };
  });
  for await (const { name, change } of all) {
    if (change !== undefined) changes.push({ name, ...change });
    looked++;
    onLooked?.(looked);
  }
  return { changes, looked, more: list.more };
}

/** Puts the policies there; `onDone` is told each that is, in their order. */
export async function putGroupPolicies<Change extends Pick<GroupChange, "name" | "policy">>(
  sagemaker: SageMakerClient,
  changes: readonly Change[],
  onDone: (change: Change) => void,
): Promise<void> {
  const { PutModelPackageGroupPolicyCommand } = await import("@aws-sdk/client-sagemaker");
  const put = async (change: Change): Promise<Change> => {
    const { name: ModelPackageGroupName, policy: ResourcePolicy } = change;
    await sagemaker.send(
      new PutModelPackageGroupPolicyCommand({ ModelPackageGroupName, ResourcePolicy }),
    );
    return change;
  };
  for await (const change of inOrder(AT_A_TIME, changes, put)) onDone(change);
}

async function groupPolicy(
  sagemaker: SageMakerClient,
  ModelPackageGroupName: string,
): Promise<string | undefined> {
  const { GetModelPackageGroupPolicyCommand } = await import("@aws-sdk/client-sagemaker");
  try {
    const get = new GetModelPackageGroupPolicyCommand({ ModelPackageGroupName });
    return (await sagemaker.send(get)).ResourcePolicy;
  } catch (error) {
    if (error instanceof Error && /^Cannot find resource policy/.test(error.message))
      return undefined;
    throw error;
  }
}

/** No fleet's name has two dashes, so what is before the first two is the whole of one. */
async function* newestGroups(
  sagemaker: SageMakerClient,
  fleet: string,
  { newestOnly, list }: { readonly newestOnly: boolean; readonly list: { more: boolean } },
) {
  const { ListModelPackageGroupsCommand } = await import("@aws-sdk/client-sagemaker");
  let NextToken: string | undefined;
  do {
    const page = await sagemaker.send(
      new ListModelPackageGroupsCommand({
        ...{ NameContains: `${fleet}--`, MaxResults: PAGE },
        ...{ SortBy: "CreationTime", SortOrder: "Descending" },
        ...(NextToken !== undefined && { NextToken }),
      }),
    );
    for (const group of page.ModelPackageGroupSummaryList ?? []) {
      const { ModelPackageGroupName: name = "", ModelPackageGroupArn: arn = "" } = group;
      if (name.startsWith(`${fleet}--`)) yield { name, arn };
    }
    NextToken = page.NextToken;
    list.more = newestOnly && NextToken !== undefined;
  } while (NextToken !== undefined && !newestOnly);
}
