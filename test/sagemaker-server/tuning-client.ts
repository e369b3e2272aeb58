/** What tests of tuning jobs do with the API again and again. */
import {
  CreateHyperParameterTuningJobCommand,
  DescribeHyperParameterTuningJobCommand,
  DescribeTrainingJobCommand,
  paginateListTrainingJobsForHyperParameterTuningJob,
} from "@aws-sdk/client-sagemaker";
import type {
  DescribeHyperParameterTuningJobCommandOutput,
  HyperParameterTrainingJobSummary,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { expect, vi } from "vitest";
import { aTuningJob } from "./requests.js";

type Description = DescribeHyperParameterTuningJobCommandOutput;

export function tuningClient(client: () => SageMakerClient) {
  const describeJob = (name: string) =>
    client().send(
      new DescribeHyperParameterTuningJobCommand({ HyperParameterTuningJobName: name }),
    );

  /** Waits until the job says so; a job that ended otherwise shows how. */
  const until = (name: string, wanted: Partial<Description>): Promise<Description> =>
    vi.waitFor(
      async () => {
        const job = await describeJob(name);
        expect(job).toMatchObject(wanted);
        return job;
      },
      { timeout: 90_000, interval: 50 },
    );

  const start = async (...request: Parameters<typeof aTuningJob>): Promise<string> => {
    const job = aTuningJob(...request);
    await client().send(new CreateHyperParameterTuningJobCommand(job));
    return job.HyperParameterTuningJobName;
  };

  return {
    describeJob,
    until,
    start,

    async completed(...request: Parameters<typeof aTuningJob>): Promise<Description> {
      return until(await start(...request), { HyperParameterTuningJobStatus: "Completed" });
    },

    /** Its training jobs, in the order of their numbers. */
    async trials(name: string): Promise<HyperParameterTrainingJobSummary[]> {
      const found: HyperParameterTrainingJobSummary[] = [];
      const pages = paginateListTrainingJobsForHyperParameterTuningJob(
        { client: client(), pageSize: 100 },
        { HyperParameterTuningJobName: name },
      );
      for await (const { TrainingJobSummaries = [] } of pages) found.push(...TrainingJobSummaries);
      return found;
    },

    describeTrainingJob: (name: string | undefined) =>
      client().send(new DescribeTrainingJobCommand({ TrainingJobName: name })),
  };
}

/** The tuned value of each training job, as a number. */
export const tunedValues = (
  trials: readonly HyperParameterTrainingJobSummary[],
  name = "metric:rmse",
): number[] => trials.map(({ TunedHyperParameters }) => Number(TunedHyperParameters?.[name]));
