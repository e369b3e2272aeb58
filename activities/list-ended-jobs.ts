/** Finds which awaited jobs of one kind have ended, with as few pages of SageMaker's list as will do. */
import {
  ListHyperParameterTuningJobsCommand,
  ListProcessingJobsCommand,
  ListTrainingJobsCommand,
  ListTransformJobsCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { LIMITS } from "../fleet/limits.js";
import type { JobEnded } from "../workflows/messages.js";
import { isEnd } from "./describe-job.js";
import type { JobKind } from "./ledger/jobs.js";
import type { AwaitedJob } from "./ledger/watched-jobs.js";

/** Up to when everything has been read, by SageMaker's clock. */
export interface ListedUntil {
  readonly lastModified: Date;
}

export interface EndedJob {
  readonly job: AwaitedJob;
  readonly end: JobEnded;
}

export interface ListedJobs {
  readonly ended: readonly EndedJob[];
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
  kind: JobKind,
  awaited: readonly AwaitedJob[],
  listed: ListedUntil | undefined,
): Promise<ListedJobs> {
  const unseen = new Map(awaited.map((job) => [job.jobName, job]));
  const oldest = Math.min(...awaited.map((job) => job.since.getTime())) - OVERLAP * 1000;
  const ended: EndedJob[] = [];
  let lastModified = listed?.lastModified;
  let token: string | undefined;
  do {
    const changedAfter = changedAfterOf(listed, oldest);
    const page = await readPage[kind](sagemaker, { changedAfter, token });
    for (const summary of page.summaries) {
      lastModified = latest(lastModified, summary.modified);
      const job = unseen.get(summary.name ?? "");
      if (job === undefined) continue;
      unseen.delete(job.jobName);
      const { status } = summary;
      if (status !== undefined && isEnd(status))
        ended.push({ job, end: { jobName: job.jobName, status } });
    }
    const last = page.summaries.at(-1)?.created;
    token = last !== undefined && last.getTime() < oldest ? undefined : page.token;
  } while (token !== undefined && unseen.size > 0);
  return { ended, until: lastModified === undefined ? undefined : { lastModified } };
}

interface PageRequest {
  readonly changedAfter: Date;
  readonly token: string | undefined;
}

interface Page {
  readonly summaries: readonly {
    readonly name: string | undefined;
    readonly status: string | undefined;
    readonly created: Date | undefined;
    readonly modified: Date | undefined;
  }[];
  readonly token: string | undefined;
}

const listOptions = ({ changedAfter, token }: PageRequest) =>
  ({
    SortBy: "CreationTime",
    SortOrder: "Descending",
    MaxResults: LIMITS.listPageSize,
    LastModifiedTimeAfter: changedAfter,
    NextToken: token,
  }) as const;

const readPage: Readonly<
  Record<JobKind, (sagemaker: SageMakerClient, request: PageRequest) => Promise<Page>>
> = {
  training: async (sagemaker, request) => {
    const page = await sagemaker.send(new ListTrainingJobsCommand(listOptions(request)));
    const summaries = (page.TrainingJobSummaries ?? []).map((job) => ({
      name: job.TrainingJobName,
      status: job.TrainingJobStatus,
      created: job.CreationTime,
      modified: job.LastModifiedTime,
    }));
    return { summaries, token: page.NextToken };
  },
  tuning: async (sagemaker, request) => {
    const command = new ListHyperParameterTuningJobsCommand(listOptions(request));
    const page = await sagemaker.send(command);
    const summaries = (page.HyperParameterTuningJobSummaries ?? []).map((job) => ({
      name: job.HyperParameterTuningJobName,
      status: job.HyperParameterTuningJobStatus,
      created: job.CreationTime,
      modified: job.LastModifiedTime,
    }));
    return { summaries, token: page.NextToken };
  },
  processing: async (sagemaker, request) => {
    const page = await sagemaker.send(new ListProcessingJobsCommand(listOptions(request)));
    const summaries = (page.ProcessingJobSummaries ?? []).map((job) => ({
      name: job.ProcessingJobName,
      status: job.ProcessingJobStatus,
      created: job.CreationTime,
      modified: job.LastModifiedTime,
    }));
    return { summaries, token: page.NextToken };
  },
  transform: async (sagemaker, request) => {
    const page = await sagemaker.send(new ListTransformJobsCommand(listOptions(request)));
    const summaries = (page.TransformJobSummaries ?? []).map((job) => ({
      name: job.TransformJobName,
      status: job.TransformJobStatus,
      created: job.CreationTime,
      modified: job.LastModifiedTime,
    }));
    return { summaries, token: page.NextToken };
  },
};

function changedAfterOf(listed: ListedUntil | undefined, oldest: number): Date {
  if (listed === undefined) return new Date(oldest);
  return new Date(listed.lastModified.getTime() - OVERLAP * 1000);
}

function latest(one: Date | undefined, other: Date | undefined): Date | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one > other ? one : other;
}
