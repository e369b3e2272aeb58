/** Prepares a cycle's rows by one SageMaker Processing job, and reads what it made of them. */
import {
  CreateProcessingJobCommand,
  type CreateProcessingJobRequest,
  type DescribeProcessingJobResponse,
} from "@aws-sdk/client-sagemaker";
import type { S3Client } from "@aws-sdk/client-s3";
import { FAILURES } from "../fleet/errors.js";
import { CYCLE_KEY } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import type { JobEnded } from "../workflows/messages.js";
import { permanent } from "./application-failure.js";
import { endOfCycleJob, type SeenJob } from "./cycle-job.js";
import { describeProcessingJob } from "./describe-cycle-job.js";
import { readCycle, type Cycle, type CycleRef } from "./ledger/cycles.js";
import { exportedHash } from "./ledger/exported.js";
import type { NewJob } from "./ledger/jobs.js";
import { withHeartbeat } from "./patience.js";
import { preparedFolder, processingJobRequest, type Preparation } from "./processing-request.js";
import { readPrepared } from "./read-prepared.js";
import { startJob, type KindOfJob, type StartedJob } from "./start-job.js";
import { hashOf } from "./training-job-request.js";
import type { TrainingDependencies } from "./training.js";

export interface ProcessingDependencies extends TrainingDependencies {
  readonly s3: S3Client;
}

export interface StartCycleJobInput extends CycleRef {
  /** The workflow's counter of jobs for this work, from 0: a new round is a new job. */
  readonly round: number;
}

export interface StartedProcessingJob extends StartedJob {
  /** S3 key of the folder that the job writes. */
  readonly folder: string;
}

export interface ReadPreparedInput extends CycleRef {
  readonly folder: string;
}

export const createProcessingActivities = (dependencies: ProcessingDependencies) => ({
  /**
   * Creates the job, or adopts the one that an earlier attempt created. Throws as startTrainingJob does. The cycle's
   * workflow is signalled `jobEnded` by the watcher.
   */
  async startProcessingJob(input: StartCycleJobInput): Promise<StartedProcessingJob> {
    const { job, folder } = await planJob(dependencies, input);
    const started = await startJob(dependencies, processingJobs(dependencies), job);
    return { ...started, folder };
  },

  /** One Describe: how the job ended, with the reason if it failed; null while it runs. */
  async findEndedProcessingJob({ jobName }: { jobName: string }): Promise<JobEnded | null> {
    const seen = await describeProcessingJob(dependencies.sagemaker, jobName);
    return processingJobs(dependencies).endOf(jobName, seen);
  },

  /**
   * Counts and hashes what was prepared, for the plan to go by; from then on it is what the cycle trains on. Throws
   * PreparationFailed when something is missing. Heartbeats.
   */
  async readPrepared(input: ReadPreparedInput): Promise<void> {
    let customers = 0;
    await withHeartbeat(
      async () => {
        const cycle = await readCycle(dependencies.ledger, input);
        const count = (done: number) => (customers += done);
        await readPrepared(dependencies, cycle, input.folder, count);
      },
      () => ({ customers }),
    );
  },
});
export type ProcessingActivities = ReturnType<typeof createProcessingActivities>;

async function planJob(
  { ledger, account, region, bucket, roleArn }: ProcessingDependencies,
  input: StartCycleJobInput,
): Promise<{
  job: NewJob<CreateProcessingJobRequest> & { readonly spec: FleetSpec };
  folder: string;
}> {
  const cycle = await readCycle(ledger, input);
  const plan = {
    spec: cycle.spec,
    preparation: preparationOf(cycle),
    cycle: cycle.cycle,
    round: input.round,
    ...{ region, bucket, roleArn },
    dataHash: await exportedHash(ledger, input),
  };
  const request = processingJobRequest(plan);
  const job = {
    spec: cycle.spec,
    kind: "processing" as const,
    slots: 1,
    account,
    region,
    fleet: cycle.fleet,
    cycle: cycle.cycle,
    customerKey: CYCLE_KEY,
    round: input.round,
    jobName: request.ProcessingJobName,
    requestHash: hashOf(request) ?? "",
    request,
    workflowId: cycle.workflowId,
  };
  return { job, folder: preparedFolder(plan) };
}

const processingJobs = ({
  ledger,
  sagemaker,
}: ProcessingDependencies): KindOfJob<
  CreateProcessingJobRequest,
  DescribeProcessingJobResponse
> => ({
  called: "processing job",
  create: (request) => sagemaker.send(new CreateProcessingJobCommand(request)),
  describe: (jobName) => describeProcessingJob(sagemaker, jobName),
  arnOf: (job) => job.ProcessingJobArn,
  statusOf: (job) => job.ProcessingJobStatus,
  endOf: (jobName, job) => endOfCycleJob(ledger, jobName, job && seen(job)),
});

/** What the script itself said of its failure comes first. */
const seen = (job: DescribeProcessingJobResponse): SeenJob => ({
  status: job.ProcessingJobStatus,
  failureReason: job.ExitMessage || job.FailureReason,
  begun: job.ProcessingStartTime,
  ended: job.ProcessingEndTime,
});

function preparationOf({ fleet, cycle, spec: { preparation } }: Cycle): Preparation {
  if (preparation !== undefined) return preparation;
  throw permanent(FAILURES.specInvalid, {
    message: `the spec of cycle ${cycle} of fleet "${fleet}" has no preparation`,
    hint: "run the cycle again: it was opened with another fleet file than it was started with",
  });
}
