/** The activities of preparation and pipelines without the outside world: every job ends well, at once. */
import type { createCycleJobActivities } from "../../activities/cycle-job.js";
import type { createPreprocessorActivities } from "../../activities/preprocessor.js";
import type { createProcessingActivities } from "../../activities/processing.js";
import type { createTransformActivities } from "../../activities/transform.js";
import type { JobEnded } from "../../workflows/messages.js";

export type PreparationActivities = ReturnType<typeof createCycleJobActivities> &
  ReturnType<typeof createPreprocessorActivities> &
  ReturnType<typeof createProcessingActivities> &
  ReturnType<typeof createTransformActivities>;

export const completed = (jobName: string): { jobName: string; ended: JobEnded } => ({
  jobName,
  ended: { jobName, status: "Completed" },
});

export const fakePreparation = (): PreparationActivities => ({
  startProcessingJob: async ({ round }) => ({ ...completed(`prepare-${round}`), folder: "made/" }),
  findEndedProcessingJob: async () => null,
  readPrepared: async () => {},
  startPreprocessorJob: async ({ round }) => ({ kind: "fits", ...completed(`fit-${round}`) }),
  keepPreprocessor: async () => ({ generation: 1 }),
  planTransforms: async ({ generation }) => ({
    generation,
    folder: "made/",
    parts: ["train", "validation", "test"].map((part) => ({
      ...{ part, generation, rowsUri: `s3://bucket/${part}.manifest`, objects: 2, folder: "made/" },
    })),
  }),
  startTransformJob: async ({ part, round }) => completed(`${part}-${round}`),
  findEndedTransformJob: async () => null,
  keepTransformed: async () => {},
  stopCycleJobs: async () => {},
});
