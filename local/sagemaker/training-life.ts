/** The life of one training job, from its first instance to its last upload. */
import { openLog } from "./container-log.js";
import { internalServerError, JobFailure, SpotInterruption } from "./job-failure.js";
import { createMetricScanner, readMetricDefinitions } from "./metrics.js";
import type { Metric } from "./metrics.js";
import { removeFolder } from "./remove-folder.js";
import { runAttempt } from "./training-attempt.js";
import { jobFolder, logFile } from "./training-files.js";
import type {
  EndRequest,
  Records,
  TrainingLife,
  TrainingLifeParts,
} from "./training-life-parts.js";
import type { Ending } from "./training-progress.js";
import { longTimer } from "./training-status.js";

/** Rejects only when the store refuses what it is told: every other trouble becomes the job's status. */
export async function liveTrainingJob(parts: TrainingLifeParts, life: TrainingLife): Promise<void> {
  const { stateDir } = parts.config;
  const { MetricDefinitions = [] } = life.progress.job().AlgorithmSpecification ?? {};
  const metrics = createMetricScanner(readMetricDefinitions(MetricDefinitions), life.onMetric);
  const log = openLog(logFile(stateDir, life.key), { append: false });
  const maxWait = stopAfterMaxWait(life);
  let release: (() => void) | undefined;
  try {
    release = await parts.instances.acquire(life.ending.signal);
    const failure = await runAttempts(parts, life, { log, metrics });
    if (failure !== undefined) log.write(failure);
    await life.progress.end(endingOf(life, metrics.final(), failure));
  } catch (error) {
    if (!life.ending.signal.aborted) throw error;
    await life.progress.end(endingOf(life, metrics.final()));
  } finally {
    clearTimeout(maxWait);
    release?.();
    await log.close();
    await removeFolder(jobFolder(stateDir, life.key));
  }
}

/** How long a spot job may take altogether, the waiting for capacity included. */
function stopAfterMaxWait({ progress, ending }: TrainingLife): NodeJS.Timeout | undefined {
  const { CreationTime, StoppingCondition } = progress.job();
  const { MaxWaitTimeInSeconds } = StoppingCondition ?? {};
  if (MaxWaitTimeInSeconds === undefined) return undefined;
  return longTimer(CreationTime + MaxWaitTimeInSeconds - Date.now() / 1000, () => {
    progress.stopping().catch(() => undefined); // If this cannot be written, the end will tell.
    ending.abort("max-wait" satisfies EndRequest);
  });
}

/** What somebody asked for comes before what the script made of it. */
function endingOf(
  { ending: { signal } }: TrainingLife,
  metrics: Metric[],
  failure?: string,
): Ending {
  if (signal.aborted) return { status: "Stopped", because: stepAfter(signal.reason), metrics };
  return failure === undefined
    ? { status: "Completed", metrics }
    : { status: "Failed", reason: failure };
}

function stepAfter(reason: unknown): "Stopped" | "MaxRuntimeExceeded" | "MaxWaitTimeExceeded" {
  if (reason === ("max-runtime" satisfies EndRequest)) return "MaxRuntimeExceeded";
  return reason === ("max-wait" satisfies EndRequest) ? "MaxWaitTimeExceeded" : "Stopped";
}

/**
 * Returns why the job failed. SageMaker tries again after faults of its own only, and if asked to; after an
 * interruption of spot capacity always. What was saved as a checkpoint is there again.
 */
async function runAttempts(
  parts: TrainingLifeParts,
  life: TrainingLife,
  records: Records,
): Promise<string | undefined> {
  const { progress, ending, key } = life;
  let retries = progress.job().RetryStrategy?.MaximumRetryAttempts ?? 0;
  // A warm pool's instances are up; those that come after a loss are not.
  let isWarm = progress.job().WarmPoolStatus?.Status === "InUse";
  for (;;) {
    try {
      await runAttempt(parts, life, { ...records, isWarm });
      return undefined;
    } catch (error) {
      if (ending.signal.aborted) throw error;
      isWarm = false;
      if (error instanceof SpotInterruption) {
        await progress.enter("Interrupted");
        continue;
      }
      if (!(error instanceof JobFailure)) parts.onUnexpected(error, key);
      const failure = error instanceof JobFailure ? error : new JobFailure(internalServerError);
      if (!failure.isInternal || retries-- === 0) return failure.message;
      await progress.enter("Restarting");
    }
  }
}
