/** Finds which awaited jobs have ended, with as few pages of ListTrainingJobs as will do. */
import {
  ListTrainingJobsCommand,
  type SageMakerClient,
  type TrainingJobSummary,
} from "@aws-sdk/client-sagemaker";
import { LIMITS } from "../fleet/limits.js";
import type { JobEnded } from "../workflows/messages.js";
import { isEnd } from "./describe-job.js";
import type { AwaitedJob } from "./ledger/watched-jobs.js";

/** Up to when everything has been read, by SageMaker's clock. */
export interface ListedUntil {
  readonly lastModified: Date;
}

export interface ListedJobs {
  readonly ended: readonly { readonly job: AwaitedJob; readonly end: JobEnded }[];
  readonly until: ListedUntil | undefined;
}

/** Lists are eventually consistent, and clocks differ: every list looks back this far. Seconds. */
const OVERLAP = 60;

/**
 * Newest first, and only what changed since the last round. Stops when every awaited job was seen, or when the
 * page has reached jobs that are older than every awaited one. A page can hold fewer jobs than asked for, even
 * none, and not be the last: only a missing token ends the list.
 */
export async function listEndedJobs(
  sagemaker: SageMakerClient,
  awaited: readonly AwaitedJob[],
  listed: ListedUntil | undefined,
): Promise<ListedJobs> {
  const unseen = new Map(awaited.map((job) => [job.jobName, job]));
  const oldest = Math.min(...awaited.map((job) => job.since.getTime())) - OVERLAP * 1000;
  const ended: { job: AwaitedJob; end: JobEnded }[] = [];
  let lastModified = listed?.lastModified;
  let token: string | undefined;
  do {
    const page = await sagemaker.send(
      new ListTrainingJobsCommand({
        SortBy: "CreationTime",
        SortOrder: "Descending",
        MaxResults: LIMITS.listPageSize,
        LastModifiedTimeAfter: changedAfter(listed, oldest),
        NextToken: token,
      }),
    );
    const summaries = page.TrainingJobSummaries ?? [];
    for (const summary of summaries) {
      lastModified = latest(lastModified, summary.LastModifiedTime);
      const job = unseen.get(summary.TrainingJobName ?? "");
      if (job === undefined) continue;
      unseen.delete(job.jobName);
      const end = endOf(summary, job);
      if (end !== undefined) ended.push({ job, end });
    }
    const last = summaries.at(-1)?.CreationTime;
    token = last !== undefined && last.getTime() < oldest ? undefined : page.NextToken;
  } while (token !== undefined && unseen.size > 0);
  return { ended, until: lastModified === undefined ? undefined : { lastModified } };
}

function changedAfter(listed: ListedUntil | undefined, oldest: number): Date {
  if (listed === undefined) return new Date(oldest);
  return new Date(listed.lastModified.getTime() - OVERLAP * 1000);
}

function endOf({ TrainingJobStatus: status }: TrainingJobSummary, job: AwaitedJob) {
  if (status === undefined || !isEnd(status)) return undefined;
  return { jobName: job.jobName, status };
}

function latest(one: Date | undefined, other: Date | undefined): Date | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one > other ? one : other;
}
