/** Starts a job of any kind once: admits it to the account's quota, creates it, or adopts what an earlier attempt created. */
import { ListTagsCommand, type SageMakerClient } from "@aws-sdk/client-sagemaker";
import { activityInfo, log } from "@temporalio/activity";
import type { ApplicationFailure } from "@temporalio/common";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import type { JobEnded } from "../workflows/messages.js";
import { backPressure, jittered, messageOf, permanent } from "./application-failure.js";
import { admit, type Budgeted } from "./admission.js";
import { dismissJob, isFreshlyCreated, type NewJob } from "./ledger/jobs.js";
import { hashOf } from "./training-job-request.js";
import { awaitJob, type WakeWatcherDependencies } from "./wake-watcher.js";

export interface StartJobDependencies extends WakeWatcherDependencies {
  readonly sagemaker: SageMakerClient;
  /** The account's quota of training jobs at a time, shared by all fleets and workers. */
  readonly maxTrainingJobs: number;
}

/** What differs between SageMaker's kinds of jobs; `Seen` is what its Describe answers. */
export interface KindOfJob<Request extends object, Seen> {
  /** For sentences. */
  readonly called: "training job" | "tuning job" | "processing job" | "transform job";
  readonly create: (request: Request) => Promise<unknown>;
  /** Null when SageMaker knows no job of that name. */
  readonly describe: (jobName: string) => Promise<Seen | null>;
  readonly arnOf: (seen: Seen) => string | undefined;
  readonly statusOf: (seen: Seen) => string | undefined;
  /** Records how the job ended and tells it; null while it runs. */
  readonly endOf: (jobName: string, seen: Seen | null) => Promise<JobEnded | null>;
}

export interface StartedJob {
  readonly jobName: string;
  /** The adopted job's end, when it had ended already: its signal may be long gone. */
  readonly ended?: JobEnded;
}

/**
 * Throws QuotaFull or Throttled (retryable) while there is no room, TrainingStopped (retryable) while an adopted
 * job is still Stopping, JobNameTaken when another request made a job of that name, BudgetExceeded when the cycle's
 * budget has no room for it. `spec` is the one that the job is made by.
 */
export async function startJob<Request extends object, Seen>(
  dependencies: StartJobDependencies,
  kind: KindOfJob<Request, Seen>,
  { spec, ...job }: NewJob<Request> & { readonly spec: Budgeted },
): Promise<StartedJob> {
  const { ledger, maxTrainingJobs } = dependencies;
  const admission = await admit(ledger, job, { quota: maxTrainingJobs, spec });
  switch (admission) {
    case "full":
      throw quotaFull(kind.called, `all ${maxTrainingJobs} places for training jobs are taken`);
    case "admitted":
      return create(dependencies, kind, job);
    case "created":
    case "ended":
      // An earlier attempt or run made it: the ledger's row has our request, so nobody else did.
      return adopt(dependencies, kind, job, await kind.describe(job.jobName));
  }
}

async function create<Request extends object, Seen>(
  dependencies: StartJobDependencies,
  kind: KindOfJob<Request, Seen>,
  job: NewJob<Request>,
): Promise<StartedJob> {
  try {
    await kind.create(job.request);
  } catch (error) {
    if (error instanceof Error && error.name === "ResourceInUse")
      return adopt(dependencies, kind, job, await sameJob(dependencies.sagemaker, kind, job));
    throw await refused(dependencies.ledger, kind.called, job, error);
  }
  await awaitJob(dependencies, job);
  return { jobName: job.jobName };
}

/** The job that has our name, if an attempt at the same request made it. */
async function sameJob<Request extends object, Seen>(
  sagemaker: SageMakerClient,
  kind: KindOfJob<Request, Seen>,
  job: NewJob<Request>,
): Promise<Seen> {
  const seen = await kind.describe(job.jobName);
  if (seen === null) throw notVisible(kind.called, job.jobName);
  const { Tags } = await sagemaker.send(
    new ListTagsCommand({ ResourceArn: kind.arnOf(seen), MaxResults: 50 }),
  );
  if (hashOf({ Tags }) === job.requestHash) return seen;
  throw permanent(FAILURES.jobNameTaken, {
    message: `a ${kind.called} called ${job.jobName} exists, and another request made it`,
    hint: "delete that job in SageMaker, or rename the fleet; modelfleet never takes over what is not its own",
  });
}

async function adopt<Request extends object, Seen>(
  dependencies: StartJobDependencies,
  kind: KindOfJob<Request, Seen>,
  job: NewJob<Request>,
  seen: Seen | null,
): Promise<StartedJob> {
  const { ledger } = dependencies;
  const { jobName } = job;
  if (seen === null && (await isFreshlyCreated(ledger, jobName)))
    throw notVisible(kind.called, jobName);
  const status = seen === null ? undefined : kind.statusOf(seen);
  if (status === "Stopping")
    throw backPressure(FAILURES.trainingStopped, {
      message: `${kind.called} ${jobName} of an earlier run of the cycle is still stopping`,
      hint: "nothing to do: SageMaker gives a job two minutes to stop, then another is started",
      retryInSeconds: jittered(10),
    });
  log.info("job adopted", { jobName, kind: job.kind, status });
  const ended = await kind.endOf(jobName, seen);
  if (ended !== null) return { jobName, ended };
  await awaitJob(dependencies, job);
  return { jobName };
}

/** Unless SageMaker may have created the job all the same, its place in the quota is given back. */
async function refused(
  ledger: pg.Pool,
  called: string,
  job: NewJob,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof Error)) return error;
  if (error.name === "ResourceLimitExceeded") {
    await dismissJob(ledger, job.jobName);
    return isTooWide(job, error) ? tooWide(error) : quotaFull(called, messageOf(error));
  }
  if (error.name === "ValidationException" || error.name === "ResourceNotFound") {
    await dismissJob(ledger, job.jobName);
    return permanent(FAILURES.trainingClientError, {
      message: `SageMaker refuses the ${called}: ${messageOf(error)}`,
      hint: "correct what the message names: the image, the role, or the data under the S3 prefix",
      cause: error,
    });
  }
  if (error.name.startsWith("AccessDenied")) await dismissJob(ledger, job.jobName);
  return error;
}

/** A job that asks for more than the whole quota, so that no waiting helps; by AWS's own figures. */
function isTooWide({ kind, slots }: NewJob, error: Error): boolean {
  const told = /\bis (\d+) [\s\S]*\brequest delta of (\d+)\b/.exec(messageOf(error));
  return (kind === "tuning" || slots > 1) && told !== null && Number(told[2]) > Number(told[1]);
}

const tooWide = (error: Error): ApplicationFailure =>
  permanent(FAILURES.specInvalid, {
    message: `the job asks for more than the account's quota: ${messageOf(error)}`,
    hint: "lower tuning.parallel, tuning.maxJobs or training.instances, or ask AWS for a higher quota",
    cause: error,
  });

/** SageMaker's reads lag behind its writes by a moment. */
const notVisible = (called: string, jobName: string): ApplicationFailure =>
  backPressure(FAILURES.trainingInternalError, {
    message: `${called} ${jobName} was created, and SageMaker does not show it yet`,
    hint: "nothing to do: the activity looks again",
    retryInSeconds: jittered(2),
  });

/** Waits longer from attempt to attempt: each costs a Temporal action, and places come free as jobs end. */
const quotaFull = (called: string, why: string): ApplicationFailure =>
  backPressure(FAILURES.quotaFull, {
    message: `no room for another ${called}: ${why}`,
    hint: "nothing to do; to go faster, ask AWS for a higher quota and raise MODELFLEET_MAX_TRAINING_JOBS",
    retryInSeconds: jittered(Math.min(60, 2 + activityInfo().attempt)),
  });
