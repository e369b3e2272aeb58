/** One look at a job that works for a whole cycle: a processing job or a transform job. */
import {
  DescribeProcessingJobCommand,
  DescribeTransformJobCommand,
  type DescribeProcessingJobResponse,
  type DescribeTransformJobResponse,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { isNotFound } from "./describe-job.js";

/** Null when there is no such job. */
export const describeProcessingJob = (
  sagemaker: SageMakerClient,
  ProcessingJobName: string,
): Promise<DescribeProcessingJobResponse | null> =>
  sagemaker.send(new DescribeProcessingJobCommand({ ProcessingJobName })).catch(noneIfUnknown);

/** Null when there is no such job. */
export const describeTransformJob = (
  sagemaker: SageMakerClient,
  TransformJobName: string,
): Promise<DescribeTransformJobResponse | null> =>
  sagemaker.send(new DescribeTransformJobCommand({ TransformJobName })).catch(noneIfUnknown);

function noneIfUnknown(error: unknown): null {
  if (isNotFound(error)) return null;
  throw error;
}
