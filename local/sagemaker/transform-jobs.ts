/** The transform job operations. */
import { arnOf, keyOf } from "./arns.js";
import { AwsError, validationError } from "./errors.js";
import type { JobRuns } from "./job-runs.js";
import type { Objects } from "./objects.js";
import type { Call, TransformJobOperations } from "./operations.js";
import { newestFirst } from "./paging.js";
import type { Lists } from "./paging.js";
import type { Quotas } from "./quotas.js";
import type { Row, Store } from "./store.js";
import { checkTags } from "./tags.js";
import { checkTransformJob } from "./transform-checks.js";

export interface TransformJobParts {
  readonly store: Store;
  readonly lists: Lists;
  readonly quotas: Quotas;
  readonly objects: Objects;
  readonly runs: JobRuns<"transform-job">;
}

const finished = ["Completed", "Failed", "Stopped"];

export function createTransformJobOperations(parts: TransformJobParts): TransformJobOperations {
  const { store, lists, quotas, runs } = parts;
  const find = async (call: Call, name: string, notFound: string) => {
    const row = await store.find(keyOf(call, "transform-job", name));
    if (row === undefined) throw validationError(`${notFound} ${name}`);
    return row;
  };

  return {
    async CreateTransformJob(call, request) {
      await checkTransformJob(parts, call, request);
      const key = keyOf(call, "transform-job", request.TransformJobName);
      const createdAt = Date.now() / 1000;
      const { Tags, ...described } = request;
      const document = {
        ...described,
        TransformJobArn: arnOf(key),
        TransformJobStatus: "InProgress" as const,
        CreationTime: createdAt,
      };
      const { InstanceType, InstanceCount } = request.TransformResources;
      const instances = { [InstanceType]: InstanceCount };
      const tags = checkTags(Tags);
      const resource = { document, hidden: { instances }, tags, status: "InProgress", createdAt };
      const wasFree = await quotas
        .within(key, instances, (within) => within.insert(key, resource))
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
      runs.start(key, document);
      return { TransformJobArn: document.TransformJobArn };
    },

    async DescribeTransformJob(call, { TransformJobName }) {
      const notFound = "Could not find requested job with name:";
      return (await find(call, TransformJobName, notFound)).document;
    },

    async ListTransformJobs(call, request) {
      const filter = { ...(request.StatusEquals && { status: request.StatusEquals }) };
      const page = await lists.page("transform-job", call, request, { ...newestFirst, filter });
      return { TransformJobSummaries: page.rows.map(summaryOf), ...page.token };
    },

    async StopTransformJob(call, { TransformJobName }) {
      const notFound = "Could not find job to update with name";
      const { key, document } = await find(call, TransformJobName, notFound);
      const status = document.TransformJobStatus;
      if (finished.includes(status) || !(await runs.stop(key)))
        throw validationError(
          `The request was rejected because the transform job is in status ${status}.`,
        );
    },
  };
}

function summaryOf({ document, modifiedAt }: Row<"transform-job">) {
  const { TransformJobName, TransformJobArn, CreationTime, TransformJobStatus } = document;
  const { TransformEndTime, FailureReason } = document;
  return {
    ...{ TransformJobName, TransformJobArn, CreationTime, TransformJobStatus },
    ...(TransformEndTime !== undefined && { TransformEndTime }),
    ...(FailureReason !== undefined && { FailureReason }),
    LastModifiedTime: modifiedAt,
  };
}
