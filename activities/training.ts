/** Starts, looks up and stops a customer's training job. */
import {
  CreateTrainingJobCommand,
  StopTrainingJobCommand,
  type CreateTrainingJobRequest,
  type DescribeTrainingJobResponse,
} from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { workflowIds, type JobEnded } from "../workflows/messages.js";
import { describeJob, FORGOTTEN, isEnd, isNotFound } from "./describe-job.js";
import { recordTrainingCost } from "./job-cost.js";
import { unknownCycle, type CycleRef } from "./ledger/cycles.js";
import { dismissJob, openJobs, recordEnded, type NewJob } from "./ledger/jobs.js";
import { readSpec } from "./ledger/specs.js";
import { startJob, type KindOfJob, type StartJobDependencies } from "./start-job.js";
import { PLACES } from "./ledger/data-places.js";
import { hashOf, trainingJobRequest, type DataPlaces } from "./training-job-request.js";

export interface TrainingDependencies extends StartJobDependencies {
  readonly account: string;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
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
    const { jobName, ...rest } = await startJob(dependencies, trainingJobs(dependencies), job);
    return { trainingJobName: jobName, ...rest };
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
    for (const { jobName } of await openJobs(ledger, "training", input)) {
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
): Promise<NewJob<CreateTrainingJobRequest> & { readonly spec: FleetSpec }> {
  const { fleet, cycle, customerKey, round } = input;
  const { rows } = await ledger.query<{
    spec_hash: string;
    data_hash: string | null;
    champion_uri: string | null;
    places: DataPlaces;
  }>(
    `select y.spec_hash, c.data_hash, r.artifact_uri as champion_uri,
            ${PLACES}
       from customers c
       join cycles y using (fleet, cycle)
       left join releases r
              on r.fleet = c.fleet and r.customer_key = c.customer_key and r.version = c.champion_version
      where c.fleet = $1 and c.cycle = $2 and c.customer_key = $3`,
    [fleet, cycle, customerKey],
  );
  const [row] = rows;
  if (row === undefined) throw unknownCycle(input);
  const spec = await readSpec(ledger, { fleet, specHash: row.spec_hash });
  const request = trainingJobRequest({
    spec,
    cycle,
    customerKey,
    round,
    region,
    bucket,
    roleArn,
    dataHash: row.data_hash,
    championUri: row.champion_uri,
    places: row.places,
  });
  return {
    spec,
    kind: "training",
    slots: 1,
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

/** How SageMaker's training jobs are created and looked up. */
export const trainingJobs = ({
  ledger,
  sagemaker,
}: Pick<TrainingDependencies, "ledger" | "sagemaker">): KindOfJob<
  CreateTrainingJobRequest,
  DescribeTrainingJobResponse
> => ({
  called: "training job",
  create: (request) => sagemaker.send(new CreateTrainingJobCommand(request)),
  describe: (jobName) => describeJob(sagemaker, jobName),
  arnOf: (job) => job.TrainingJobArn,
  statusOf: (job) => job.TrainingJobStatus,
  endOf: (jobName, job) => endOf(ledger, jobName, job),
});

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
  await recordTrainingCost(ledger, jobName, described);
  return ended;
}

/** Of a stopped job the secondary status tells more, if it is another one: MaxRuntimeExceeded, for example. */
function reasonOf(job: DescribeTrainingJobResponse): string | undefined {
  const { TrainingJobStatus, SecondaryStatus, FailureReason, SecondaryStatusTransitions } = job;
  if (TrainingJobStatus !== "Stopped") return FailureReason || undefined;
  if (SecondaryStatus !== undefined && SecondaryStatus !== "Stopped") return SecondaryStatus;
  return SecondaryStatusTransitions?.at(-1)?.StatusMessage || undefined;
}
