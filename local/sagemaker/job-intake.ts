/** A processing or transform job comes in: within its quota, under a name that nobody has, and on its way. */
import { arnOf } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import type { InstanceCounts } from "./documents.js";
import { AwsError, validationError } from "./errors.js";
import type { JobKind } from "./job-progress.js";
import type { JobRuns } from "./job-runs.js";
import type { Quotas } from "./quotas.js";
import type { NewResource, Row, Store } from "./store.js";

export interface JobIntake<K extends JobKind> {
  readonly store: Store;
  readonly quotas: Quotas;
  readonly runs: JobRuns<K>;
}

/** The statuses of a job that has come to its end. */
export const FINISHED: readonly string[] = ["Completed", "Failed", "Stopped"];

/** Throws AwsError when the quota is used up, or the name is taken. */
export async function takeIn<K extends JobKind>(
  { quotas, runs }: JobIntake<K>,
  key: ResourceKey<K>,
  job: NewResource<K> & { readonly hidden: { readonly instances: InstanceCounts } },
): Promise<void> {
  const wasFree = await quotas
    .within(key, job.hidden.instances, (within) => within.insert(key, job))
    .catch((error: unknown) => {
      runs.recover(key);
      throw error;
    });
  if (!wasFree)
    throw new AwsError(
      "ResourceInUse",
      "Job name must be unique within an AWS account and region, " +
        `and a job with this name already exists (${arnOf(key)})`,
    );
  runs.start(key, job.document);
}

/** AWS has other words for one that is not there when it is to be changed. */
export const NOT_FOUND = "Could not find requested job with name:";
export const NOT_FOUND_TO_STOP = "Could not find job to update with name";

/** Throws AwsError when there is none of that name. */
export async function findJob<K extends JobKind>(
  store: Store,
  key: ResourceKey<K>,
  notFound: string,
): Promise<Row<K>> {
  const row = await store.find(key);
  if (row === undefined) throw validationError(`${notFound} ${key.name}`);
  return row;
}
