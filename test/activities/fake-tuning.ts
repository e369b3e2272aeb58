/** SageMaker's tuning operations in memory, so that tests decide how each search goes and what is refused. */
import {
  CreateHyperParameterTuningJobCommand,
  DescribeHyperParameterTuningJobCommand,
  ListHyperParameterTuningJobsCommand,
  ListTagsCommand,
  ListTrainingJobsForHyperParameterTuningJobCommand,
  StopHyperParameterTuningJobCommand,
  type CreateHyperParameterTuningJobRequest,
  type HyperParameterTrainingJobSummary,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";

export interface FakeTrial {
  /** Null: it never printed the objective. */
  readonly value: number | null;
  readonly failureReason?: string;
}

interface FakeJob {
  readonly request: CreateHyperParameterTuningJobRequest;
  readonly created: Date;
  modified: Date;
  status: string;
  trials: readonly FakeTrial[];
}

export interface FakeTuning {
  readonly client: SageMakerClient;
  /** Names of the operations called, in order. */
  readonly calls: string[];
  /** Requests of the jobs that were created, in order. */
  created(): CreateHyperParameterTuningJobRequest[];
  request(tuningJobName: string): CreateHyperParameterTuningJobRequest;
  end(tuningJobName: string, trials: readonly FakeTrial[], status?: string): void;
  forget(tuningJobName: string): void;
  setStatus(tuningJobName: string, status: string): void;
  /** Asked before each creation: what it returns is thrown. */
  refuse: (request: CreateHyperParameterTuningJobRequest) => Error | undefined;
}

export function createFakeTuning(): FakeTuning {
  const jobs = new Map<string, FakeJob>();
  const calls: string[] = [];
  const known = (name: string | undefined): FakeJob => {
    const job = jobs.get(name ?? "");
    if (job !== undefined) return job;
    throw awsError("ResourceNotFound", "Amazon SageMaker can't find a tuning job with this name");
  };
  const fake: FakeTuning = {
    client: { send: async (command: object) => answer(command) } as unknown as SageMakerClient,
    calls,
    created: () => [...jobs.values()].map((job) => job.request),
    request: (name) => known(name).request,
    end: (name, trials, status = "Completed") => {
      Object.assign(known(name), { status, trials, modified: new Date() });
    },
    forget: (name) => jobs.delete(name),
    setStatus: (name, status) => Object.assign(known(name), { status, modified: new Date() }),
    refuse: () => undefined,
  };

  const answer = (command: object): object => {
    calls.push(command.constructor.name.replace(/Command$/, ""));
    if (command instanceof CreateHyperParameterTuningJobCommand) return create(command.input);
    if (command instanceof DescribeHyperParameterTuningJobCommand) {
      const name = command.input.HyperParameterTuningJobName ?? "";
      return description(name, known(name));
    }
    if (command instanceof ListTagsCommand)
      return { Tags: known(command.input.ResourceArn?.split("/")[1]).request.Tags };
    if (command instanceof StopHyperParameterTuningJobCommand) {
      const job = known(command.input.HyperParameterTuningJobName);
      if (job.status !== "InProgress")
        throw awsError("ValidationException", `The request was rejected: status ${job.status}.`);
      job.status = "Stopping";
      return {};
    }
    if (command instanceof ListHyperParameterTuningJobsCommand) return list(command.input);
    if (command instanceof ListTrainingJobsForHyperParameterTuningJobCommand)
      return trialPage(command.input);
    throw new Error(`the fake has no ${command.constructor.name}`);
  };
  const create = (request: CreateHyperParameterTuningJobRequest): object => {
    const name = request.HyperParameterTuningJobName ?? "";
    if (jobs.has(name)) throw awsError("ResourceInUse", `${name} is used`);
    const refusal = fake.refuse(request);
    if (refusal !== undefined) throw refusal;
    for (const parent of request.WarmStartConfig?.ParentHyperParameterTuningJobs ?? [])
      if (!jobs.has(parent.HyperParameterTuningJobName ?? ""))
        throw awsError("ValidationException", "a parent tuning job was not found");
    const now = new Date();
    jobs.set(name, { request, created: now, modified: now, status: "InProgress", trials: [] });
    return { HyperParameterTuningJobArn: arnOf(name) };
  };
  const list = ({
    LastModifiedTimeAfter: after,
  }: {
    LastModifiedTimeAfter?: Date | undefined;
  }) => ({
    HyperParameterTuningJobSummaries: [...jobs]
      .filter(([, job]) => after === undefined || job.modified > after)
      .map(([name, job]) => ({
        HyperParameterTuningJobName: name,
        HyperParameterTuningJobStatus: job.status,
        CreationTime: job.created,
        LastModifiedTime: job.modified,
      }))
      .reverse(),
  });
  /** Two a page, so that pages are read on. */
  const trialPage = (input: {
    HyperParameterTuningJobName: string | undefined;
    NextToken?: string | undefined;
  }): object => {
    const name = input.HyperParameterTuningJobName ?? "";
    const from = Number(input.NextToken ?? 0);
    const all = summaries(name, known(name).trials);
    const page = { TrainingJobSummaries: all.slice(from, from + 2) };
    return from + 2 < all.length ? { ...page, NextToken: String(from + 2) } : page;
  };
  return fake;
}

export const awsError = (name: string, message: string): Error =>
  Object.assign(new Error(message), { name });

const arnOf = (name: string): string =>
  `arn:aws:sagemaker:us-east-1:111111111111:hyper-parameter-tuning-job/${name}`;

function description(name: string, { request, status, trials }: FakeJob): object {
  const values = summaries(name, trials).filter((trial) => trial.ObjectiveStatus === "Succeeded");
  const best = values.sort((one, other) => valueOf(one) - valueOf(other))[0];
  return {
    ...request,
    HyperParameterTuningJobArn: arnOf(name),
    HyperParameterTuningJobStatus: status,
    TrainingJobStatusCounters: {
      Completed: trials.filter((trial) => trial.failureReason === undefined).length,
      NonRetryableError: trials.filter((trial) => trial.failureReason !== undefined).length,
    },
    ObjectiveStatusCounters: { Succeeded: values.length, Failed: trials.length - values.length },
    ...(best === undefined ? {} : { BestTrainingJob: best }),
  };
}

function summaries(name: string, trials: readonly FakeTrial[]): HyperParameterTrainingJobSummary[] {
  return trials.map(({ value, failureReason }, index) => ({
    TrainingJobName: trialName(name, index + 1),
    TrainingJobArn: `arn:${name}/${index}`,
    CreationTime: new Date(1000 * index),
    TrainingStartTime: new Date(1000 * index),
    TrainingEndTime: new Date(1000 * index + 30_000),
    TrainingJobStatus: failureReason === undefined ? "Completed" : "Failed",
    TunedHyperParameters: { x: String(index / 10) },
    ObjectiveStatus: value === null ? "Failed" : "Succeeded",
    ...(failureReason === undefined ? {} : { FailureReason: failureReason }),
    ...(value === null
      ? {}
      : {
          FinalHyperParameterTuningJobObjectiveMetric: {
            MetricName: "validation:rmse",
            Value: value,
          },
        }),
  }));
}

const valueOf = (trial: HyperParameterTrainingJobSummary): number =>
  trial.FinalHyperParameterTuningJobObjectiveMetric?.Value ?? Infinity;

/** As SageMaker names them. */
export const trialName = (tuningJobName: string, number: number): string =>
  `${tuningJobName}-${String(number).padStart(3, "0")}-0123abcd`;
