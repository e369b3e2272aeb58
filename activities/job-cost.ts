/** Reads what an ended job is billed for from SageMaker's own answers, and records it. */
import type { DescribeTrainingJobResponse, SageMakerClient } from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { describeProcessingJob, describeTransformJob } from "./describe-cycle-job.js";
import { describeJob, isEnd } from "./describe-job.js";
import { recordCost, unsettledJobs, type UnsettledJob } from "./ledger/costs.js";
import type { JobsPlace } from "./ledger/jobs.js";

/**
 * A training job that ended, or null for one that SageMaker knows nothing of. BillableTimeInSeconds has what spot
 * capacity saves in it already; a job that never started is billed nothing. Source: DescribeTrainingJob.
 */
export async function recordTrainingCost(
  ledger: pg.Pool,
  jobName: string,
  job: DescribeTrainingJobResponse | null,
): Promise<void> {
  if (job === null) return recordCost(ledger, { jobName, billableSeconds: null });
  const { BillableTimeInSeconds, WarmPoolStatus } = job;
  const pool = WarmPoolStatus;
  await recordCost(ledger, {
    jobName,
    billableSeconds:
      BillableTimeInSeconds ?? between(job.TrainingStartTime, job.TrainingEndTime) ?? 0,
    ...(pool === undefined
      ? {}
      : {
          warmPool: {
            seconds: pool.ResourceRetainedBillableTimeInSeconds ?? 0,
            open: pool.Status === "Available" || pool.Status === "InUse",
          },
        }),
  });
}

/** Of a processing or transform job, which tell when they began and ended and no billable time. */
export async function recordTimedCost(
  ledger: pg.Pool,
  jobName: string,
  job: { readonly begun: Date | undefined; readonly ended: Date | undefined } | null,
): Promise<void> {
  const billableSeconds = job === null ? null : (between(job.begun, job.ended) ?? 0);
  await recordCost(ledger, { jobName, billableSeconds });
}

function between(begun: Date | undefined, ended: Date | undefined): number | undefined {
  if (begun === undefined || ended === undefined) return undefined;
  return Math.max(0, Math.round((ended.getTime() - begun.getTime()) / 1000));
}

export interface JobCostDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
}

/** Jobs looked at in one round of the watcher: what others wait for goes first. */
const JOBS_A_ROUND = 5;

/**
 * Looks at a few jobs that ended without anybody reading what they cost: stopped ones, and warm pools. Throws what a look
 * failed with, after the others.
 */
export async function settleCosts(
  dependencies: JobCostDependencies,
  place: JobsPlace,
): Promise<void> {
  const jobs = await unsettledJobs(dependencies.ledger, { ...place, limit: JOBS_A_ROUND });
  const looks = await Promise.allSettled(jobs.map((job) => settle(dependencies, job)));
  // Tried again with the next round.
  for (const look of looks) if (look.status === "rejected") throw look.reason;
}

async function settle(
  { ledger, sagemaker }: JobCostDependencies,
  { kind, jobName }: UnsettledJob,
): Promise<void> {
  switch (kind) {
    case "training": {
      const job = await describeJob(sagemaker, jobName);
      if (job === null || isEnd(job.TrainingJobStatus))
        await recordTrainingCost(ledger, jobName, job);
      return;
    }
    case "processing": {
      const job = await describeProcessingJob(sagemaker, jobName);
      if (job !== null && !isEnd(job.ProcessingJobStatus)) return;
      const { ProcessingStartTime: begun, ProcessingEndTime: end } = job ?? {};
      await recordTimedCost(ledger, jobName, job && { begun, ended: end });
      return;
    }
    case "transform": {
      const job = await describeTransformJob(sagemaker, jobName);
      if (job !== null && !isEnd(job.TransformJobStatus)) return;
      const { TransformStartTime: begun, TransformEndTime: end } = job ?? {};
      await recordTimedCost(ledger, jobName, job && { begun, ended: end });
      return;
    }
    case "tuning":
      return;
  }
}
