/** Single training jobs of the ensemble's script, and what they took. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  CreateTrainingJobCommand,
  DescribeTrainingJobCommand,
  type DescribeTrainingJobResponse,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { containerImage } from "../../fleet/images.js";

export interface JobPlace {
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
  readonly codeKey: string;
  /** Key of the folder that holds one folder for each channel. */
  readonly prefix: string;
}

export interface Trained {
  readonly wallSeconds: number;
  readonly downloadSeconds: number;
}

const POLL_MS = 20;
const CHANNELS = ["train", "validation", "test", "schema"];

/** `models` as the script takes them: `catboost,xgboost`, or one of the two. */
export async function train(
  sagemaker: SageMakerClient,
  { region, bucket, roleArn, codeKey, prefix }: JobPlace,
  models: string,
): Promise<Trained> {
  const TrainingJobName = `bench-ensemble-${randomUUID()}`;
  const started = performance.now();
  await sagemaker.send(
    new CreateTrainingJobCommand({
      TrainingJobName,
      AlgorithmSpecification: {
        TrainingImage: containerImage({ framework: "scikit-learn" }, region),
        TrainingInputMode: "File",
      },
      HyperParameters: {
        models,
        num_round: "200",
        sagemaker_program: "train.py",
        sagemaker_submit_directory: `s3://${bucket}/${codeKey}`,
      },
      InputDataConfig: CHANNELS.map((ChannelName) => ({
        ChannelName,
        DataSource: {
          S3DataSource: {
            S3DataType: "S3Prefix" as const,
            S3Uri: `s3://${bucket}/${prefix}${ChannelName}/`,
          },
        },
      })),
      OutputDataConfig: { S3OutputPath: `s3://${bucket}/bench/ensemble/output/` },
      ResourceConfig: { InstanceType: "ml.m5.large", InstanceCount: 1, VolumeSizeInGB: 10 },
      RoleArn: roleArn,
      StoppingCondition: { MaxRuntimeInSeconds: 1800 },
    }),
  );
  for (;;) {
    const job = await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName }));
    if (job.TrainingJobStatus === "Failed") throw new Error(job.FailureReason);
    if (job.TrainingJobStatus === "Completed")
      return {
        wallSeconds: (performance.now() - started) / 1000,
        downloadSeconds: secondsOf(job, "Downloading"),
      };
    await delay(POLL_MS);
  }
}

function secondsOf({ SecondaryStatusTransitions }: DescribeTrainingJobResponse, status: string) {
  const phase = SecondaryStatusTransitions?.find((one) => one.Status === status);
  if (phase?.StartTime === undefined || phase.EndTime === undefined) return 0;
  return (phase.EndTime.getTime() - phase.StartTime.getTime()) / 1000;
}
