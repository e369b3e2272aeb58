/** Which jobs may use which kept instances, and which job's instances are kept (Developer Guide, train-warm-pools). */
import type { Scope } from "./arns.js";
import type { TrainingJob } from "./training-status.js";

/** What must be equal for one job to use another's instances; image, code and data may differ. */
export function matchKey({ account, region }: Scope, job: TrainingJob): string {
  const { InstanceType, InstanceCount, VolumeSizeInGB, VolumeKmsKeyId } = job.ResourceConfig ?? {};
  const { SecurityGroupIds = [], Subnets = [] } = job.VpcConfig ?? {};
  return JSON.stringify([
    ...[account, region, job.RoleArn, InstanceType, InstanceCount, VolumeSizeInGB, VolumeKmsKeyId],
    ...[[...SecurityGroupIds].sort(), [...Subnets].sort()],
    job.EnableInterContainerTrafficEncryption ?? false,
    job.EnableNetworkIsolation ?? false,
  ]);
}

/** Spot capacity is not kept. A search's instances are the tuning job's, and none of them are kept here. */
export function mayUsePool(job: TrainingJob): boolean {
  return job.EnableManagedSpotTraining !== true && job.TuningJobArn === undefined;
}

/** Seconds for which the instances of a job that ended like this are kept; 0 for those that are not. */
export function keptSeconds(job: TrainingJob): number {
  const { KeepAlivePeriodInSeconds = 0 } = job.ResourceConfig ?? {};
  const wasLaunched = job.TrainingStartTime !== undefined;
  // What may have hurt the machines, a fault of the platform's own, ends with them.
  const isSound = !/^(InternalServerError|CapacityError)/.test(job.FailureReason ?? "");
  return mayUsePool(job) && wasLaunched && isSound ? KeepAlivePeriodInSeconds : 0;
}
