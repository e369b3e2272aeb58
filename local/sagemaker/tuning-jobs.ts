/** The hyperparameter tuning job operations. */
import { randomInt } from "node:crypto";
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import { arnOf, keyOf } from "./arns.js";
import type { AccountQuotas } from "./config.schema.js";
import { AwsError, validationError } from "./errors.js";
import type { Call, TuningJobOperations, Wire } from "./operations.js";
import { byName } from "./paging.js";
import type { Lists } from "./paging.js";
import type { Quotas } from "./quotas.js";
import type { Row, Store } from "./store.js";
import { checkTags } from "./tags.js";
import type { TrainingRequestChecks } from "./training-checks.js";
import { instancesOf } from "./training-document.js";
import { wholeSeconds } from "./training-status.js";
import { checkTuningJob, maxTrainingJobs } from "./tuning-checks.js";
import type { CheckedTuningJob } from "./tuning-checks.js";
import { readObjective } from "./tuning-request.js";
import type { CreateTuningJob, TuningJob } from "./tuning-request.js";
import type { TuningRuns } from "./tuning-runs.js";
import { countersOf, summaryOf } from "./tuning-trials.js";
import { checkWarmStart, isOver } from "./tuning-warm-start.js";

export interface TuningJobParts {
  readonly store: Store;
  readonly lists: Lists;
  readonly quotas: Quotas;
  readonly limits: AccountQuotas;
  readonly checks: TrainingRequestChecks;
  readonly runs: TuningRuns;
}

const kind = "hyper-parameter-tuning-job";

export function createTuningJobOperations(parts: TuningJobParts): TuningJobOperations {
  const { store, lists, quotas, limits, checks, runs } = parts;
  const find = async (call: Call, name: string) => {
    const row = await store.find(keyOf(call, kind, name));
    if (row === undefined) throw notFound(name);
    return row;
  };

  return {
    async CreateHyperParameterTuningJob(call, request) {
      const checked = await checkTuningJob(call, request, { training: checks, quotas: limits });
      await checkParents(store, call, request, { checked, limits });
      const tags = checkTags(request.Tags);
      const key = keyOf(call, kind, request.HyperParameterTuningJobName);
      const createdAt = Date.now() / 1000;
      const document = newTuningJob(request, { arn: arnOf(key), createdAt });
      const { RandomSeed: seed = randomInt(2 ** 32) } = request.HyperParameterTuningJobConfig;
      const instances = reservedInstances(checked);
      const hidden = { instances, seed };
      const resource = { document, hidden, tags, status: "InProgress", createdAt };
      const wasFree = await quotas
        .within(key, instances, (within) => within.insert(key, resource))
        .catch((error: unknown) => {
          runs.recover(key);
          throw error;
        });
      if (!wasFree) throw nameTaken(request.HyperParameterTuningJobName);
      runs.start(key);
      return { HyperParameterTuningJobArn: arnOf(key) };
    },

    async DescribeHyperParameterTuningJob(call, { HyperParameterTuningJobName }) {
      const { document } = await find(call, HyperParameterTuningJobName);
      const { CreationTime, HyperParameterTuningEndTime = Date.now() / 1000 } = document;
      const RuntimeInSeconds = wholeSeconds(CreationTime, HyperParameterTuningEndTime);
      return { ...document, ConsumedResources: { RuntimeInSeconds } };
    },

    async ListHyperParameterTuningJobs(call, request) {
      const { NameContains, StatusEquals: status } = request;
      // Names are kept in lower case: neither they nor what is looked for in them is case sensitive.
      const filter = NameContains !== undefined && { NameContains: NameContains.toLowerCase() };
      const rules = { ...byName, ...(status && { filter: { status } }) };
      const page = await lists.page(kind, call, { ...request, ...filter }, rules);
      return { HyperParameterTuningJobSummaries: page.rows.map(jobSummary), ...page.token };
    },

    async StopHyperParameterTuningJob(call, { HyperParameterTuningJobName }) {
      const { key, document } = await find(call, HyperParameterTuningJobName);
      const modifiedAt = Date.now() / 1000;
      const status = "Stopping";
      const stopping = await store.update(key, {
        document: { HyperParameterTuningJobStatus: status, LastModifiedTime: modifiedAt },
        ...{ status, whileStatus: ["InProgress"], modifiedAt },
      });
      if (stopping === undefined) throw wrongStatus(document);
      runs.stop(key);
    },

    /** Its training jobs and their models stay. */
    async DeleteHyperParameterTuningJob(call, { HyperParameterTuningJobName }) {
      const { key, document } = await find(call, HyperParameterTuningJobName);
      if (!isOver(document)) throw wrongStatus(document);
      await store.remove(key);
    },

    async ListTrainingJobsForHyperParameterTuningJob(call, request) {
      const row = await find(call, request.HyperParameterTuningJobName);
      return listTrainingJobs(lists, row, request);
    },
  };
}

async function listTrainingJobs(
  lists: Lists,
  { key, arn, createdAt, document }: Row<typeof kind>,
  request: Wire<sagemaker.ListTrainingJobsForHyperParameterTuningJobRequest>,
) {
  const { StatusEquals: status } = request;
  // An earlier tuning job, since deleted, may have had this name: its training jobs are still there.
  const own = { parent: arn, createdAfter: createdAt };
  const rules = { ...byName, filter: { ...own, ...(status && { status }) } };
  const page = await lists.page("training-job", key, request, rules);
  const objective = readObjective(document.HyperParameterTuningJobConfig);
  const name = document.HyperParameterTuningJobName;
  const summaries = page.rows.flatMap((row) =>
    row.hidden.trial === undefined ? [] : [summaryOf(row, row.hidden.trial, objective, name)],
  );
  return { TrainingJobSummaries: summaries, ...page.token };
}

async function checkParents(
  store: Store,
  call: Call,
  { WarmStartConfig }: CreateTuningJob,
  { checked, limits }: { checked: CheckedTuningJob; limits: AccountQuotas },
): Promise<void> {
  if (WarmStartConfig === undefined) return;
  const parents: TuningJob[] = [];
  for (const {
    HyperParameterTuningJobName: name = "",
  } of WarmStartConfig.ParentHyperParameterTuningJobs) {
    const row = await store.find(keyOf(call, kind, name));
    if (row === undefined)
      throw validationError(`Amazon SageMaker can't find the parent tuning job ${name}.`);
    parents.push(row.document);
  }
  const { definition, plan } = checked;
  const child = { definition, plan, type: WarmStartConfig.WarmStartType };
  checkWarmStart({ ...child, maxTrainingJobs: maxTrainingJobs(plan, limits) }, parents);
}

/** Instances for as many jobs as may run at a time. */
function reservedInstances({ training, plan }: CheckedTuningJob): Record<string, number> {
  const ofOneJob = Object.entries(instancesOf(training));
  return Object.fromEntries(ofOneJob.map(([type, count]) => [type, count * plan.parallelJobs]));
}

function newTuningJob(
  request: CreateTuningJob,
  { arn, createdAt }: { arn: string; createdAt: number },
): TuningJob {
  const { Tags, Autotune, ...described } = request;
  return {
    ...described,
    HyperParameterTuningJobArn: arn,
    HyperParameterTuningJobStatus: "InProgress",
    CreationTime: createdAt,
    LastModifiedTime: createdAt,
    ...countersOf([]),
  };
}

function jobSummary({ document }: Row<typeof kind>) {
  const { HyperParameterTuningJobConfig, HyperParameterTuningEndTime, LastModifiedTime } = document;
  const { HyperParameterTuningJobName, HyperParameterTuningJobArn } = document;
  const { HyperParameterTuningJobStatus, CreationTime } = document;
  const { TrainingJobStatusCounters, ObjectiveStatusCounters } = document;
  return {
    ...{ HyperParameterTuningJobName, HyperParameterTuningJobArn, HyperParameterTuningJobStatus },
    ...{ CreationTime, TrainingJobStatusCounters, ObjectiveStatusCounters },
    Strategy: HyperParameterTuningJobConfig.Strategy,
    ResourceLimits: HyperParameterTuningJobConfig.ResourceLimits,
    ...(HyperParameterTuningEndTime !== undefined && { HyperParameterTuningEndTime }),
    ...(LastModifiedTime !== undefined && { LastModifiedTime }),
  };
}

const notFound = (name: string) =>
  new AwsError(
    "ResourceNotFound",
    `Amazon SageMaker can't find a tuning job called ${name}. Type another name.`,
  );

const wrongStatus = ({ HyperParameterTuningJobStatus: status }: TuningJob) =>
  validationError(
    `The request was rejected because the hyperparameter tuning job is in status ${status}.`,
  );

const nameTaken = (name: string) =>
  new AwsError(
    "ResourceInUse",
    `A hyperparameter tuning job with the name, ${name}, already exists. Choose a different name.`,
  );
