/** A training job as it is when it has just been created, by whomever. */
import { arnOf } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import type { InstanceCounts } from "./documents.js";
import type { TrainingRequest } from "./training-checks.js";
import { enter } from "./training-status.js";
import type { TrainingJob } from "./training-status.js";

export function newTrainingJob(
  key: ResourceKey<"training-job">,
  request: TrainingRequest,
  createdAt: number,
): TrainingJob {
  const { Tags, SessionChainingConfig, ...described } = request;
  return {
    ...described,
    TrainingJobArn: arnOf(key),
    ModelArtifacts: { S3ModelArtifacts: modelArtifactsUrl(request) },
    TrainingJobStatus: "InProgress",
    CreationTime: createdAt,
    ...enter({}, "Pending", createdAt),
  };
}

/** Filled in from the start, although nothing is there before the upload. */
function modelArtifactsUrl({ OutputDataConfig, TrainingJobName }: TrainingRequest): string {
  const folder = `${OutputDataConfig.S3OutputPath.replace(/\/$/, "")}/${TrainingJobName}/output`;
  return OutputDataConfig.CompressionType === "NONE"
    ? `${folder}/model/`
    : `${folder}/model.tar.gz`;
}

/** The instances that a job holds while it has not ended. */
export function instancesOf({ ResourceConfig }: Pick<TrainingJob, "ResourceConfig">) {
  const { InstanceType, InstanceCount = 1, InstanceGroups = [] } = ResourceConfig ?? {};
  const counts: Record<string, number> = {};
  const groups = [{ InstanceType, InstanceCount }, ...InstanceGroups];
  for (const group of groups)
    if (group.InstanceType !== undefined)
      counts[group.InstanceType] = (counts[group.InstanceType] ?? 0) + (group.InstanceCount ?? 1);
  return counts satisfies InstanceCounts;
}
