/** The processing job operations. */
import type { Accounts } from "./accounts.js";
import { arnOf, keyOf } from "./arns.js";
import { AwsError, validationError } from "./errors.js";
import { FINISHED, findJob, NOT_FOUND, NOT_FOUND_TO_STOP, takeIn } from "./job-intake.js";
import type { JobIntake } from "./job-intake.js";
import type { Objects } from "./objects.js";
import type { Call, ProcessingJobOperations } from "./operations.js";
import { oldestFirst } from "./paging.js";
import type { Lists } from "./paging.js";
import { checkProcessingJob } from "./processing-checks.js";
import type { CreateProcessingJob } from "./processing-checks.js";
import type { Row } from "./store.js";
import { checkTags } from "./tags.js";

export interface ProcessingJobParts extends JobIntake<"processing-job"> {
  readonly lists: Lists;
  readonly accounts: Accounts;
  readonly objects: Objects;
}

export function createProcessingJobOperations(parts: ProcessingJobParts): ProcessingJobOperations {
  const { store, lists, runs } = parts;
  const find = (call: Call, name: string, notFound: string) =>
    findJob(store, keyOf(call, "processing-job", name), notFound);

  return {
    async CreateProcessingJob(call, request) {
      await checkProcessingJob(parts, call, request);
      const key = keyOf(call, "processing-job", request.ProcessingJobName);
      const createdAt = Date.now() / 1000;
      const { Tags, ...described } = request;
      const document = {
        ...described,
        ProcessingJobArn: arnOf(key),
        ProcessingJobStatus: "InProgress" as const,
        CreationTime: createdAt,
        LastModifiedTime: createdAt,
      };
      const instances = instancesOf(request);
      const tags = checkTags(Tags);
      const resource = { document, hidden: { instances }, tags, status: "InProgress", createdAt };
      await takeIn(parts, key, resource);
      return { ProcessingJobArn: document.ProcessingJobArn };
    },

    async DescribeProcessingJob(call, { ProcessingJobName }) {
      return (await find(call, ProcessingJobName, NOT_FOUND)).document;
    },

    async ListProcessingJobs(call, request) {
      const filter = { ...(request.StatusEquals && { status: request.StatusEquals }) };
      const page = await lists.page("processing-job", call, request, { ...oldestFirst, filter });
      return { ProcessingJobSummaries: page.rows.map(summaryOf), ...page.token };
    },

    async StopProcessingJob(call, { ProcessingJobName }) {
      const { key, document } = await find(call, ProcessingJobName, NOT_FOUND_TO_STOP);
      const status = document.ProcessingJobStatus;
      if (FINISHED.includes(status) || !(await runs.stop(key)))
        throw validationError(
          `The request was rejected because the processing job is in status ${status}.`,
        );
    },

    async DeleteProcessingJob(call, { ProcessingJobName }) {
      const { key, document, arn } = await find(call, ProcessingJobName, NOT_FOUND);
      if (!FINISHED.includes(document.ProcessingJobStatus))
        throw new AwsError(
          "ResourceInUse",
          `Processing job ${arn} cannot be deleted in status ${document.ProcessingJobStatus}.`,
        );
      await store.remove(key);
    },
  };
}

function instancesOf({ ProcessingResources }: CreateProcessingJob): Record<string, number> {
  const { InstanceType, InstanceCount = 1 } = ProcessingResources.ClusterConfig;
  return InstanceType === undefined ? {} : { [InstanceType]: InstanceCount };
}

function summaryOf({ document, modifiedAt }: Row<"processing-job">) {
  const { ProcessingJobName, ProcessingJobArn, CreationTime, ProcessingJobStatus } = document;
  const { ProcessingEndTime, FailureReason, ExitMessage } = document;
  return {
    ...{ ProcessingJobName, ProcessingJobArn, CreationTime, ProcessingJobStatus },
    ...(ProcessingEndTime !== undefined && { ProcessingEndTime }),
    ...(FailureReason !== undefined && { FailureReason }),
    ...(ExitMessage !== undefined && { ExitMessage }),
    LastModifiedTime: modifiedAt,
  };
}
