/** How an activity reaches a stage: the clients of its account and region, and where its things are there. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import type { StageSpec } from "../fleet/spec.schema.js";

export interface StageClients {
  readonly account: string;
  readonly region: string;
  /** The stage's own bucket, without `s3://`. */
  readonly bucket: string;
  /** What SageMaker assumes there. */
  readonly roleArn: string;
  readonly s3: S3Client;
  /** Behind the account's budget of calls. */
  readonly sagemaker: SageMakerClient;
  readonly runtime: SageMakerRuntimeClient;
}

/**
 * Returns the stage's clients; ask for them in each activity, and keep them no longer than that. Throws
 * AccountMismatch (not retryable) when the credentials are of another account than the spec names, AccessDenied
 * when the stage's role may not be assumed, and SpecInvalid when a stage elsewhere lacks its bucket or role.
 */
export type StageAccess = (stage: StageSpec) => Promise<StageClients>;
