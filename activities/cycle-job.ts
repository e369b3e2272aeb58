/** How jobs that work for a whole cycle end, and how they are stopped. */
import {
  StopProcessingJobCommand,
  StopTrainingJobCommand,
  StopTransformJobCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { CYCLE_KEY } from "../fleet/names.js";
import type { JobEnded } from "../workflows/messages.js";
import { FORGOTTEN, isEnd, isNotFound } from "./describe-job.js";
import { recordTimedCost } from "./job-cost.js";
import type { CycleRef } from "./ledger/cycles.js";
import { dismissJob, openJobs, recordEnded } from "./ledger/jobs.js";

/** What the Describe answers of processing and transform jobs have in common, under names of one kind. */
export interface SeenJob {
  readonly status: string | undefined;
  readonly failureReason: string | undefined;
  readonly begun: Date | undefined;
  readonly ended: Date | undefined;
}

/** Records how the job ended; null while it runs. `seen` is null when SageMaker does not know it any more. */
export async function endOfCycleJob(
  ledger: pg.Pool,
  jobName: string,
  seen: SeenJob | null,
): Promise<JobEnded | null> {
  const status = seen === null ? "Failed" : seen.status;
  if (status === undefined || !isEnd(status)) return null;
  const failureReason = seen === null ? FORGOTTEN : seen.failureReason || undefined;
  const end = { jobName, status, ...(failureReason === undefined ? {} : { failureReason }) };
  await recordEnded(ledger, { ...end, billableSeconds: seen === null ? undefined : seconds(seen) });
  await recordTimedCost(ledger, jobName, seen);
  return end;
}

function seconds({ begun, ended }: SeenJob): number | undefined {
  if (begun === undefined || ended === undefined) return undefined;
  return Math.round((ended.getTime() - begun.getTime()) / 1000);
}

export interface CycleJobDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
}

export const createCycleJobActivities = ({ ledger, sagemaker }: CycleJobDependencies) => ({
  /** Stops what the ledger does not know as ended; as stopTrainingJob, an ended job is no error. */
  async stopCycleJobs(cycle: CycleRef): Promise<void> {
    for (const kind of ["processing", "training", "transform"] as const)
      for (const { jobName } of await openJobs(ledger, kind, { ...cycle, customerKey: CYCLE_KEY }))
        try {
          await stop(sagemaker, kind, jobName);
        } catch (error) {
          if (isNotFound(error)) await dismissJob(ledger, jobName);
          else if (!(error instanceof Error && error.name === "ValidationException")) throw error;
        }
  },
});
export type CycleJobActivities = ReturnType<typeof createCycleJobActivities>;

function stop(
  sagemaker: SageMakerClient,
  kind: "processing" | "training" | "transform",
  name: string,
): Promise<unknown> {
  switch (kind) {
    case "processing":
      return sagemaker.send(new StopProcessingJobCommand({ ProcessingJobName: name }));
    case "training":
      return sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: name }));
    case "transform":
      return sagemaker.send(new StopTransformJobCommand({ TransformJobName: name }));
  }
}
