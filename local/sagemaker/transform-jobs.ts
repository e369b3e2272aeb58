/** The transform job operations. */
import { arnOf, keyOf } from "./arns.js";
import { validationError } from "./errors.js";
import { FINISHED, findJob, NOT_FOUND, NOT_FOUND_TO_STOP, takeIn } from "./job-intake.js";
import type { JobIntake } from "./job-intake.js";
import type { Objects } from "./objects.js";
import type { Call, TransformJobOperations } from "./operations.js";
import { newestFirst } from "./paging.js";
import type { Lists } from "./paging.js";
import type { Row } from "./store.js";
import { checkTags } from "./tags.js";
import { checkTransformJob } from "./transform-checks.js";

export interface TransformJobParts extends JobIntake<"transform-job"> {
  readonly lists: Lists;
  readonly objects: Objects;
}

export function createTransformJobOperations(parts: TransformJobParts): TransformJobOperations {
  const { store, lists, runs } = parts;
  const find = (call: Call, name: string, notFound: string) =>
    findJob(store, keyOf(call, "transform-job", name), notFound);

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
      await takeIn(parts, key, resource);
      return { TransformJobArn: document.TransformJobArn };
    },

    async DescribeTransformJob(call, { TransformJobName }) {
      return (await find(call, TransformJobName, NOT_FOUND)).document;
    },

    async ListTransformJobs(call, request) {
      const filter = { ...(request.StatusEquals && { status: request.StatusEquals }) };
      const page = await lists.page("transform-job", call, request, { ...newestFirst, filter });
      return { TransformJobSummaries: page.rows.map(summaryOf), ...page.token };
    },

    async StopTransformJob(call, { TransformJobName }) {
      const { key, document } = await find(call, TransformJobName, NOT_FOUND_TO_STOP);
      const status = document.TransformJobStatus;
      if (FINISHED.includes(status) || !(await runs.stop(key)))
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
