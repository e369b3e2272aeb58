/** The processing job operations. */
import type { Accounts } from "./accounts.js";
import { arnOf, keyOf } from "./arns.js";
import { AwsError, validationError } from "./errors.js";
import type { JobRuns } from "./job-runs.js";
import type { Objects } from "./objects.js";
import type { Call, ProcessingJobOperations } from "./operations.js";
import { oldestFirst } from "./paging.js";
import type { Lists } from "./paging.js";
import { checkProcessingJob } from "./processing-checks.js";
import type { CreateProcessingJob } from "./processing-checks.js";
import type { Quotas } from "./quotas.js";
import type { Row, Store } from "./store.js";
import { checkTags } from "./tags.js";

export interface ProcessingJobParts {
  readonly store: Store;
  readonly lists: Lists;
  readonly quotas: Quotas;
  readonly accounts: Accounts;
  readonly objects: Objects;
  readonly runs: JobRuns<"processing-job">;
}

const finished = ["Completed", "Failed", "Stopped"];

export function createProcessingJobOperations(parts: ProcessingJobParts): ProcessingJobOperations {
  const { store, lists, quotas, runs } = parts;
  const find = async (call: Call, name: string, notFound: string) => {
    const row = await store.find(keyOf(call, "processing-job", name));
    if (row === undefined) throw validationError(`${notFound} ${name}`);
    return row;
  };

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
      return { ProcessingJobArn: document.ProcessingJobArn };
    },

    async DescribeProcessingJob(call, { ProcessingJobName }) {
      return (await find(call, ProcessingJobName, notFound)).document;
    },

    async ListProcessingJobs(call, request) {
      const filter = { ...(request.StatusEquals && { status: request.StatusEquals }) };
      const page = await lists.page("processing-job", call, request, { ...oldestFirst, filter });
      return { ProcessingJobSummaries: page.rows.map(summaryOf), ...page.token };
    },

    async StopProcessingJob(call, { ProcessingJobName }) {
      const { key, document } = await find(call, ProcessingJobName, notFoundToStop);
      const status = document.ProcessingJobStatus;
      if (finished.includes(status) || !(await runs.stop(key)))
        throw validationError(
          `The request was rejected because the processing job is in status ${status}.`,
        );
    },

    async DeleteProcessingJob(call, { ProcessingJobName }) {
      const { key, document, arn } = await find(call, ProcessingJobName, notFound);
      if (!finished.includes(document.ProcessingJobStatus))
        throw new AwsError(
          "ResourceInUse",
          `Processing job ${arn} cannot be deleted in status ${document.ProcessingJobStatus}.`,
        );
      await store.remove(key);
    },
  };
}

const notFound = "Could not find requested job with name:";
const notFoundToStop = "Could not find job to update with name";

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
