/** Starts, looks up and stops a customer's training job. */
import {
  CreateTrainingJobCommand,
  ListTagsCommand,
  StopTrainingJobCommand,
  type DescribeTrainingJobResponse,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { activityInfo, log } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import type { ApplicationFailure } from "@temporalio/common";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { workflowIds, type JobEnded } from "../workflows/messages.js";
import { backPressure, jittered, messageOf, permanent } from "./application-failure.js";
import { describeJob, isEnd, isNotFound } from "./describe-job.js";
import { unknownCycle, type CycleRef } from "./ledger/cycles.js";
import {
  admitJob,
  dismissJob,
  isFreshlyCreated,
  openJobs,
  recordEnded,
  type NewJob,
} from "./ledger/jobs.js";
import { readSpec } from "./ledger/specs.js";
import { hashOf, trainingJobRequest } from "./training-job-request.js";
import { awaitJob } from "./wake-watcher.js";

export interface TrainingDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly temporal: Client;
  readonly account: string;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
  /** The account's quota of training jobs at a time, shared by all fleets and workers. */
  readonly maxTrainingJobs: number;
  /** Seconds between the job watcher's rounds. */
  readonly watchSeconds: number;
}

export interface StartTrainingJobInput extends CycleRef {
  readonly customerKey: string;
  /** The workflow's counter of jobs for this model, from 0: a new round is a new job. */
  readonly round: number;
}

export interface TrainingJobRef {
  readonly trainingJobName: string;
}

export interface StartedTrainingJob extends TrainingJobRef {
  /** The adopted job's end, when it had ended already: its signal may be long gone. */
  readonly ended?: JobEnded;
}

/** All jobs of one customer in one cycle. */
export interface StopTrainingJobInput extends CycleRef {
  readonly customerKey: string;
}

export const createTrainingActivities = (dependencies: TrainingDependencies) => ({
  /**
   * Creates the job, or adopts the one that an earlier attempt created. Throws QuotaFull or Throttled (retryable)
   * while there is no room, or TrainingStopped (retryable) while an adopted job is still Stopping. The owner
   * `retrain/…` is signalled `jobEnded` by the watcher.
   */
  async startTrainingJob(input: StartTrainingJobInput): Promise<StartedTrainingJob> {
    const job = await planJob(dependencies, input);
    const admission = await admitJob(dependencies.ledger, job, dependencies.maxTrainingJobs);
    switch (admission) {
      case "full":
        throw quotaFull(`all ${dependencies.maxTrainingJobs} places for training jobs are taken`);
      case "admitted":
        return create(dependencies, job);
      case "created":
      case "ended":
        // An earlier attempt or run made it: the ledger's row has our request, so nobody else did.
        return adopt(dependencies, job, await describeJob(dependencies.sagemaker, job.jobName));
    }
  },

  /** One Describe: how the job ended, with the reason if it failed; null while it runs. */
  async findEndedJob({ trainingJobName }: TrainingJobRef): Promise<JobEnded | null> {
    const described = await describeJob(dependencies.sagemaker, trainingJobName);
    return endOf(dependencies.ledger, trainingJobName, described);
  },

  /**
   * Stops what the ledger does not know as ended, and gives back what was admitted. Not by name: a cancelled
   * startTrainingJob may have created a job whose name its workflow never learnt. An ended job is no error.
   */
  async stopTrainingJob(input: StopTrainingJobInput): Promise<void> {
    const { ledger, sagemaker } = dependencies;
    for (const { jobName } of await openJobs(ledger, input)) {
      try {
        await sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: jobName }));
      } catch (error) {
        if (isNotFound(error)) await dismissJob(ledger, jobName);
        // "The request was rejected because the training job is in status Completed."
        else if (!(error instanceof Error && error.name === "ValidationException")) throw error;
      }
    }
  },
});
export type TrainingActivities = ReturnType<typeof createTrainingActivities>;

async function planJob(
  { ledger, account, region, bucket, roleArn }: TrainingDependencies,
  input: StartTrainingJobInput,
): Promise<NewJob> {
  const { fleet, cycle, customerKey, round } = input;
  const { rows } = await ledger.query<{
    spec_hash: string;
    data_hash: string | null;
    champion_uri: string | null;
  }>(
    `select y.spec_hash, c.data_hash, r.artifact_uri as champion_uri
       from customers c
       join cycles y using (fleet, cycle)
       left join releases r
              on r.fleet = c.fleet and r.customer_key = c.customer_key and r.version = c.champion_version
      where c.fleet = $1 and c.cycle = $2 and c.customer_key = $3`,
    [fleet, cycle, customerKey],
  );
  const [row] = rows;
  if (row === undefined) throw unknownCycle(input);
  const request = trainingJobRequest({
    spec: await readSpec(ledger, { fleet, specHash: row.spec_hash }),
    cycle,
    customerKey,
    round,
    region,
    bucket,
    roleArn,
    dataHash: row.data_hash,
    championUri: row.champion_uri,
  });
  return {
    account,
    region,
    fleet,
    cycle,
    customerKey,
    round,
    jobName: request.TrainingJobName,
    requestHash: hashOf(request) ?? "",
    request,
    workflowId: workflowIds.retrainModel(fleet, customerKey, cycle),
  };
}

async function create(
  dependencies: TrainingDependencies,
  job: NewJob,
): Promise<StartedTrainingJob> {
  const { ledger, sagemaker } = dependencies;
  try {
    await sagemaker.send(new CreateTrainingJobCommand(job.request));
  } catch (error) {
    if (error instanceof Error && error.name === "ResourceInUse")
      return adopt(dependencies, job, await sameJob(sagemaker, job));
    throw await refused(ledger, job, error);
  }
  await awaitJob(dependencies, job);
  return { trainingJobName: job.jobName };
}

/** The job that has our name, if an attempt at the same request made it. */
async function sameJob(
  sagemaker: SageMakerClient,
  job: NewJob,
): Promise<DescribeTrainingJobResponse> {
  const described = await describeJob(sagemaker, job.jobName);
  if (described === null) throw notVisible(job.jobName);
  const { Tags } = await sagemaker.send(
    new ListTagsCommand({ ResourceArn: described.TrainingJobArn, MaxResults: 50 }),
  );
  if (hashOf({ Tags }) === job.requestHash) return described;
  throw permanent(FAILURES.jobNameTaken, {
    message: `a training job called ${job.jobName} exists, and another request made it`,
    hint: "delete that job in SageMaker, or rename the fleet; modelfleet never takes over what is not its own",
  });
}

async function adopt(
  dependencies: TrainingDependencies,
  job: NewJob,
  described: DescribeTrainingJobResponse | null,
): Promise<StartedTrainingJob> {
  const { ledger } = dependencies;
  const trainingJobName = job.jobName;
  if (described === null && (await isFreshlyCreated(ledger, trainingJobName)))
    throw notVisible(trainingJobName);
  if (described?.TrainingJobStatus === "Stopping")
    throw backPressure(FAILURES.trainingStopped, {
      message: `training job ${trainingJobName} of an earlier run of the cycle is still stopping`,
      hint: "nothing to do: SageMaker gives a job two minutes to stop, then another is started",
      retryInSeconds: jittered(10),
    });
  log.info("training job adopted", { trainingJobName, status: described?.TrainingJobStatus });
  const ended = await endOf(ledger, trainingJobName, described);
  if (ended !== null) return { trainingJobName, ended };
  await awaitJob(dependencies, job);
  return { trainingJobName };
}

/** A job that SageMaker has forgotten will never end, and counts as its fault: another round may succeed. */
async function endOf(
  ledger: pg.Pool,
  jobName: string,
  described: DescribeTrainingJobResponse | null,
): Promise<JobEnded | null> {
  const status = described === null ? "Failed" : described.TrainingJobStatus;
  if (status === undefined || !isEnd(status)) return null;
  const failureReason = described === null ? FORGOTTEN : reasonOf(described);
  const ended = { jobName, status, ...(failureReason === undefined ? {} : { failureReason }) };
  await recordEnded(ledger, { ...ended, billableSeconds: described?.BillableTimeInSeconds });
  return ended;
}

const FORGOTTEN = "InternalServerError: SageMaker does not know the job any more";

/** Of a stopped job the secondary status tells more, if it is another one: MaxRuntimeExceeded, for example. */
function reasonOf(job: DescribeTrainingJobResponse): string | undefined {
  const { TrainingJobStatus, SecondaryStatus, FailureReason, SecondaryStatusTransitions } = job;
  if (TrainingJobStatus !== "Stopped") return FailureReason || undefined;
  if (SecondaryStatus !== undefined && SecondaryStatus !== "Stopped") return SecondaryStatus;
  return SecondaryStatusTransitions?.at(-1)?.StatusMessage || undefined;
}

/** Unless SageMaker may have created the job all the same, its place in the quota is given back. */
async function refused(ledger: pg.Pool, job: NewJob, error: unknown): Promise<unknown> {
  if (!(error instanceof Error)) return error;
  if (error.name === "ResourceLimitExceeded") {
    await dismissJob(ledger, job.jobName);
    return quotaFull(messageOf(error));
  }
  if (error.name === "ValidationException" || error.name === "ResourceNotFound") {
    await dismissJob(ledger, job.jobName);
    return permanent(FAILURES.trainingClientError, {
      message: `SageMaker refuses the training job: ${messageOf(error)}`,
      hint: "correct what the message names: the image, the role, or the data under the S3 prefix",
      cause: error,
    });
  }
  if (error.name.startsWith("AccessDenied")) await dismissJob(ledger, job.jobName);
  return error;
}

/** SageMaker's reads lag behind its writes by a moment. */
const notVisible = (jobName: string): ApplicationFailure =>
  backPressure(FAILURES.trainingInternalError, {
    message: `training job ${jobName} was created, and SageMaker does not show it yet`,
    hint: "nothing to do: the activity looks again",
    retryInSeconds: jittered(2),
  });

/** Waits longer from attempt to attempt: each costs a Temporal action, and places come free as jobs end. */
const quotaFull = (why: string): ApplicationFailure =>
  backPressure(FAILURES.quotaFull, {
    message: `no room for another training job: ${why}`,
    hint: "nothing to do; to go faster, ask AWS for a higher quota and raise MODELFLEET_MAX_TRAINING_JOBS",
    retryInSeconds: jittered(Math.min(60, 2 + activityInfo().attempt)),
  });
