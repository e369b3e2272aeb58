/** Rejects a model package version that was approved before, and asks whether somebody else has. */
import {
  DescribeModelPackageCommand,
  UpdateModelPackageCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import type { Decision } from "../workflows/messages.js";
import { messageOf } from "./application-failure.js";
import { line } from "./model-package-request.js";

/** A version that somebody has deleted from the registry is rejected enough. */
export async function rejectInRegistry(
  sagemaker: SageMakerClient,
  modelPackageArn: string,
  { by, note }: Decision,
): Promise<void> {
  try {
    await sagemaker.send(
      new UpdateModelPackageCommand({
        ModelPackageArn: modelPackageArn,
        ModelApprovalStatus: "Rejected",
        ApprovalDescription: line(note === undefined ? by : `${by}: ${note}`, 1024),
      }),
    );
  } catch (error) {
    if (!isUnknown(error)) throw error;
    log.warn("model package not in the registry", { modelPackageArn, because: messageOf(error) });
  }
}

/** A version that has been replaced is watched by nobody, so this is asked before it serves again. */
export async function isRejectedInRegistry(
  sagemaker: SageMakerClient,
  modelPackageArn: string,
): Promise<boolean> {
  try {
    const { ModelApprovalStatus } = await sagemaker.send(
      new DescribeModelPackageCommand({ ModelPackageName: modelPackageArn }),
    );
    return ModelApprovalStatus === "Rejected";
  } catch (error) {
    if (!isUnknown(error)) throw error;
    return false; // Tidied away is not rejected: the ledger has its approval.
  }
}

const isUnknown = (error: unknown): boolean =>
  error instanceof Error && /does not exist|could not find/i.test(error.message);
