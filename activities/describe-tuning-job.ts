/** Looks at a tuning job in SageMaker: its state, and the training jobs it has made. */
import {
  DescribeHyperParameterTuningJobCommand,
  ListTrainingJobsForHyperParameterTuningJobCommand,
  type DescribeHyperParameterTuningJobResponse,
  type HyperParameterTrainingJobSummary,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { LIMITS } from "../fleet/limits.js";
import { isNotFound } from "./describe-job.js";

/** Null when there is no such job. */
export async function describeTuningJob(
  sagemaker: SageMakerClient,
  tuningJobName: string,
): Promise<DescribeHyperParameterTuningJobResponse | null> {
  try {
    return await sagemaker.send(
      new DescribeHyperParameterTuningJobCommand({ HyperParameterTuningJobName: tuningJobName }),
    );
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

/** In pages, oldest first. Not by objective: sorted by it, SageMaker leaves out the jobs that have none. */
export async function* trialPages(
  sagemaker: SageMakerClient,
  tuningJobName: string,
): AsyncGenerator<HyperParameterTrainingJobSummary[]> {
  let token: string | undefined;
  do {
    const page = await sagemaker.send(
      new ListTrainingJobsForHyperParameterTuningJobCommand({
        HyperParameterTuningJobName: tuningJobName,
        SortBy: "CreationTime",
        SortOrder: "Ascending",
        MaxResults: LIMITS.listPageSize,
        NextToken: token,
      }),
    );
    yield page.TrainingJobSummaries ?? [];
    token = page.NextToken;
  } while (token !== undefined);
}
