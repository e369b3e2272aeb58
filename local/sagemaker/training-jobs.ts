/** The training job operations. */
import { arnOf, keyOf } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import { AwsError, validationError } from "./errors.js";
import type { Call, TrainingJobOperations } from "./operations.js";
import { oldestFirst } from "./paging.js";
import type { Lists } from "./paging.js";
import type { Quotas } from "./quotas.js";
import type { Row, Store } from "./store.js";
import { checkTags } from "./tags.js";
import type { TrainingRequestChecks, TrainingRequest } from "./training-checks.js";
import type { TrainingRuns } from "./training-runs.js";
import { enter } from "./training-status.js";
import type { TrainingJob } from "./training-status.js";

export interface TrainingJobParts {
  readonly store: Store;
  readonly lists: Lists;
  readonly quotas: Quotas;
  readonly checks: TrainingRequestChecks;
  readonly runs: TrainingRuns;
}

const finished = ["Completed", "Failed", "Stopped"];

export function createTrainingJobOperations(parts: TrainingJobParts): TrainingJobOperations {
  const { store, lists, quotas, checks, runs } = parts;
  const find = async (call: Call, name: string) => {
    const row = await store.find(keyOf(call, "training-job", name));
    if (row === undefined) throw validationError("Requested resource not found.");
    return row;
  };

  return {
    async CreateTrainingJob(call, input) {
      const request = await checks.check(call, input);
      const key = keyOf(call, "training-job", request.TrainingJobName);
      const createdAt = Date.now() / 1000;
      const document = newTrainingJob(key, request, createdAt);
      const instances = instancesOf(document);
      const tags = checkTags(request.Tags);
      const resource = { document, hidden: { instances }, tags, status: "InProgress", createdAt };
      const wasFree = await quotas
        .within(key, instances, (within) => within.insert(key, resource))
        .catch((error: unknown) => {
          runs.recover(key);
          throw error;
        });
      if (!wasFree) throw nameTaken(key);
      runs.start(key, document);
      return { TrainingJobArn: document.TrainingJobArn };
    },

    async DescribeTrainingJob(call, { TrainingJobName }) {
      return (await find(call, TrainingJobName)).document;
    },

    async ListTrainingJobs(call, request) {
      const page = await lists.page("training-job", call, request, oldestFirst);
      // AWS takes the page first and filters by status then: a page may be short, or empty.
      const { StatusEquals, WarmPoolStatusEquals, TrainingPlanArnEquals } = request;
      const isWanted = ({ status }: Row<"training-job">) =>
        StatusEquals === undefined || status === StatusEquals;
      // No job here has a warm pool, or a training plan.
      const none = WarmPoolStatusEquals !== undefined || TrainingPlanArnEquals !== undefined;
      const wanted = none ? [] : page.rows.filter(isWanted);
      return { TrainingJobSummaries: wanted.map(summaryOf), ...page.token };
    },

    async StopTrainingJob(call, { TrainingJobName }) {
      const { key, document } = await find(call, TrainingJobName);
      const status = document.TrainingJobStatus;
      if (finished.includes(status) || !(await runs.stop(key)))
        throw validationError(
          `The request was rejected because the training job is in status ${status}.`,
        );
    },

    async DeleteTrainingJob(call, { TrainingJobName }) {
      const { key, document, arn } = await find(call, TrainingJobName);
      if (!finished.includes(document.TrainingJobStatus))
        throw new AwsError(
          "ResourceInUse",
          `Training job ${arn} cannot be deleted in status ${document.TrainingJobStatus}.`,
        );
      await store.remove(key);
    },
  };
}

function newTrainingJob(
  key: ResourceKey<"training-job">,
  request: TrainingRequest,
  createdAt: number,
): TrainingJob {
  const { Tags, SessionChainingConfig, ...described } = request;
  return {
    ...described,
    TrainingJobArn: arnOf(key),
    ModelArtifacts: { S3ModelArtifacts: modelArtifactsUrl(request) },
    TrainingJobStatus: "InProgress",
    CreationTime: createdAt,
    ...enter({}, "Pending", createdAt),
  };
}

/** Filled in from the start, although nothing is there before the upload. */
function modelArtifactsUrl({ OutputDataConfig, TrainingJobName }: TrainingRequest): string {
  const folder = `${OutputDataConfig.S3OutputPath.replace(/\/$/, "")}/${TrainingJobName}/output`;
  return OutputDataConfig.CompressionType === "NONE"
    ? `${folder}/model/`
    : `${folder}/model.tar.gz`;
}

function instancesOf({ ResourceConfig }: TrainingJob): Record<string, number> {
  const { InstanceType, InstanceCount = 1, InstanceGroups = [] } = ResourceConfig ?? {};
  const counts: Record<string, number> = {};
  const groups = [{ InstanceType, InstanceCount }, ...InstanceGroups];
  for (const group of groups)
    if (group.InstanceType !== undefined)
      counts[group.InstanceType] = (counts[group.InstanceType] ?? 0) + (group.InstanceCount ?? 1);
  return counts;
}

function summaryOf({ document, modifiedAt }: Row<"training-job">) {
  const { TrainingJobName, TrainingJobArn, CreationTime, TrainingEndTime } = document;
  const { TrainingJobStatus, SecondaryStatus, WarmPoolStatus } = document;
  return {
    ...{ TrainingJobName, TrainingJobArn, CreationTime, TrainingJobStatus, SecondaryStatus },
    ...(TrainingEndTime !== undefined && { TrainingEndTime }),
    ...(WarmPoolStatus !== undefined && { WarmPoolStatus }),
    LastModifiedTime: modifiedAt,
  };
}

const nameTaken = (key: ResourceKey<"training-job">) =>
  new AwsError(
    "ResourceInUse",
    "Training job names must be unique within an AWS account and region, " +
      `and a training job with this name already exists (${arnOf(key)})`,
  );
