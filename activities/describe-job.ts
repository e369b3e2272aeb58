/** One look at a training job in SageMaker. */
import {
  DescribeTrainingJobCommand,
  type DescribeTrainingJobResponse,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";

/** Null when there is no such job. */
export async function describeJob(
  sagemaker: SageMakerClient,
  jobName: string,
): Promise<DescribeTrainingJobResponse | null> {
  try {
    return await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: jobName }));
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

/** The reason of a job that has vanished: SageMaker's own fault, so that another round is tried. */
export const FORGOTTEN = "InternalServerError: SageMaker does not know the job any more";

/** For jobs SageMaker says it with a ValidationException, although its model declares ResourceNotFound. */
export function isNotFound(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === "ResourceNotFound") return true;
  return (
    error.name === "ValidationException" &&
    /^(Requested resource not found|Could not find|.*does not exist)/i.test(error.message)
  );
}

/** TrainingJobStatus and HyperParameterTuningJobStatus values after which nothing happens any more. */
export const isEnd = (status: string | undefined): boolean =>
  status === "Completed" || status === "Failed" || status === "Stopped";
