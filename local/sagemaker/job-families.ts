/** Processing and transform jobs, put together: their operations, and those of them that have not ended. */
import { createJobRuns } from "./job-runs.js";
import type { JobRunParts } from "./job-runs.js";
import { createProcessingJobOperations } from "./processing-jobs.js";
import type { ProcessingJobParts } from "./processing-jobs.js";
import { processingFamily } from "./processing-life.js";
import { createTransformJobOperations } from "./transform-jobs.js";
import { transformFamily } from "./transform-life.js";
import type { TransformLifeParts } from "./transform-life.js";

/** Both lives and both families of operations take the same: the larger of each is named here. */
export type JobFamilyParts = JobRunParts & TransformLifeParts & Omit<ProcessingJobParts, "runs">;

export function createJobFamilies(parts: JobFamilyParts) {
  const processing = createJobRuns(processingFamily(parts), parts);
  const transform = createJobRuns(transformFamily(parts), parts);
  return {
    operations: {
      ...createProcessingJobOperations({ ...parts, runs: processing }),
      ...createTransformJobOperations({ ...parts, runs: transform }),
    },

    /** After a start of the server: what waited goes on waiting, what ran has lost its instance. */
    async resume(): Promise<void> {
      await processing.resume();
      await transform.resume();
    },

    async close(): Promise<void> {
      await Promise.all([processing.close(), transform.close()]);
    },
  };
}
