/** Where a training job keeps its checkpoints: a folder of S3, and one below each host's /opt/ml. */
import { posix } from "node:path";
import { s3Location } from "./arns.js";
import { validationError } from "./errors.js";
import type { TrainingJob } from "./training-status.js";

export interface CheckpointPlace {
  readonly bucket: string;
  /** Ends in `/`, or is empty: unlike a channel's, it is a folder and not a string prefix. */
  readonly prefix: string;
  /** Relative to the host's /opt/ml, which is `SAGEMAKER_BASE_DIR` to a script. */
  readonly folder: string;
}

/** CheckpointConfig.LocalPath, when the request does not say. */
const defaultLocalPath = "/opt/ml/checkpoints/";

/** Undefined for a job without checkpoints. Throws a ValidationException for a folder that cannot be had. */
export function checkpointPlace({
  CheckpointConfig,
}: Pick<TrainingJob, "CheckpointConfig">): CheckpointPlace | undefined {
  if (CheckpointConfig === undefined) return undefined;
  const { S3Uri, LocalPath = defaultLocalPath } = CheckpointConfig;
  const { bucket, key } = s3Location(S3Uri);
  const folder = posix.relative("/opt/ml", posix.normalize(LocalPath));
  if (!LocalPath.startsWith("/") || folder === "" || folder.startsWith(".."))
    throw validationError(
      `CheckpointConfig.LocalPath ${LocalPath} is not a folder below /opt/ml: ` +
        "the local SageMaker server has no containers, and so no other folders of theirs.",
    );
  return { bucket, prefix: key === "" || key.endsWith("/") ? key : `${key}/`, folder };
}
