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
import type { TrainingRequestChecks } from "./training-checks.js";
import { instancesOf, newTrainingJob } from "./training-document.js";
import type { TrainingRuns } from "./training-runs.js";
import type { TrainingJob } from "./training-status.js";
import type { WarmPools } from "./warm-pools.js";

export interface TrainingJobParts {
  readonly store: Store;
  readonly lists: Lists;
  readonly quotas: Quotas;
  readonly checks: TrainingRequestChecks;
  readonly runs: TrainingRuns;
  readonly pools: WarmPools;
}

const finished = ["Completed", "Failed", "Stopped"];

export function createTrainingJobOperations(parts: TrainingJobParts): TrainingJobOperations {
  const { store, lists, runs, pools } = parts;
  const find = async (call: Call, name: string) => {
    const row = await store.find(keyOf(call, "training-job", name));
    if (row === undefined) throw validationError("Requested resource not found.");
    return row;
  };

  return {
    CreateTrainingJob: (call, input) => createTrainingJob(parts, call, input),

    async DescribeTrainingJob(call, { TrainingJobName }) {
      return (await find(call, TrainingJobName)).document;
    },

    async ListTrainingJobs(call, request) {
      const page = await lists.page("training-job", call, request, oldestFirst);
      // AWS takes the page first and filters by status then: a page may be short, or empty.
      const { StatusEquals, WarmPoolStatusEquals, TrainingPlanArnEquals } = request;
      const isWanted = ({ status, document }: Row<"training-job">) =>
        (StatusEquals === undefined || status === StatusEquals) &&
        (WarmPoolStatusEquals === undefined ||
          document.WarmPoolStatus?.Status === WarmPoolStatusEquals) &&
        TrainingPlanArnEquals === undefined; // No job here has a training plan.
      const wanted = page.rows.filter(isWanted);
      return { TrainingJobSummaries: wanted.map(summaryOf), ...page.token };
    },

    async UpdateTrainingJob(call, { TrainingJobName, ResourceConfig, ...others }) {
      const { key, arn } = await find(call, TrainingJobName);
      const period = ResourceConfig?.KeepAlivePeriodInSeconds;
      if (period === undefined || Object.keys(others).length > 0)
        throw validationError(
          "The local SageMaker server updates a warm pool only: ResourceConfig.KeepAlivePeriodInSeconds.",
        );
      if (!(await pools.keepFor(key, period)))
        throw validationError(
          `Training job ${TrainingJobName} has no warm pool in status Available.`,
        );
      return { TrainingJobArn: arn };
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
      if (document.WarmPoolStatus?.Status === "Available")
        throw new AwsError(
          "ResourceInUse",
          `Training job ${arn} cannot be deleted while it retains an available warm pool.`,
        );
      await checkSearchIsOver(store, document);
      await store.remove(key);
    },
  };
}

async function createTrainingJob(
  { quotas, checks, runs, pools }: TrainingJobParts,
  call: Call,
  input: Parameters<TrainingJobOperations["CreateTrainingJob"]>[1],
) {
  const request = await checks.check(call, input);
  const key = keyOf(call, "training-job", request.TrainingJobName);
  const createdAt = Date.now() / 1000;
  const created = newTrainingJob(key, request, createdAt);
  const tags = checkTags(request.Tags);
  const pool = pools.take(key, created);
  const document = pool === undefined ? created : inWarmPool(created);
  const instances = instancesOf(document);
  const resource = { document, hidden: { instances }, tags, status: "InProgress", createdAt };
  const wasFree = await quotas
    .within(key, instances, (within) => within.insert(key, resource))
    .catch((error: unknown) => {
      pool?.giveBack();
      runs.recover(key);
      throw error;
    });
  if (!wasFree) {
    pool?.giveBack();
    throw nameTaken(key);
  }
  runs.start(key, document);
  await pool?.handOver();
  return { TrainingJobArn: document.TrainingJobArn };
}

/** It begins on the instances that an earlier job kept. */
const inWarmPool = (job: TrainingJob): TrainingJob => ({
  ...job,
  WarmPoolStatus: { Status: "InUse" },
});

/** A tuning job chooses its next training jobs by those that it has had. */
async function checkSearchIsOver(store: Store, { TuningJobArn }: TrainingJob): Promise<void> {
  if (TuningJobArn === undefined) return;
  const tuningJob = await store.findByArn(TuningJobArn);
  if (tuningJob === undefined || finished.includes(tuningJob.status ?? "")) return;
  throw new AwsError(
    "ResourceInUse",
    `The training job cannot be deleted while tuning job ${TuningJobArn} is in progress.`,
  );
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
