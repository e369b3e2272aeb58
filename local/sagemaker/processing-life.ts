/** The life of one processing job, from its first instance to its last upload. */
import { setTimeout as pause } from "node:timers/promises";
import type { ServerConfig } from "./config.schema.js";
import { imageKind } from "./container-image.js";
import { JobFailure } from "./job-failure.js";
import type { JobFamily, JobRun } from "./job-runs.js";
import type { Objects } from "./objects.js";
import { runProcessingContainers } from "./processing-containers.js";
import { fetchInputs, layOutHosts } from "./processing-folders.js";
import type { ProcessingHost } from "./processing-folders.js";
import { createOutputFiles, exitMessage } from "./processing-outputs.js";
import type { OutputFiles } from "./processing-outputs.js";
import type { PythonHost } from "./python-host.js";
import type { Slots } from "./slots.js";

export interface ProcessingLifeParts {
  readonly config: ServerConfig;
  readonly objects: Objects;
  readonly python: () => Promise<Pick<PythonHost, "process">>;
  /** Jobs whose containers run. */
  readonly cores: Slots;
}

type ProcessingRun = JobRun<"processing-job">;

/** AWS API, ProcessingStoppingCondition: a job that does not say runs for one day. */
const defaultMaxRuntimeSeconds = 24 * 60 * 60;

/** How often the folders of Continuous outputs are looked at. */
const uploadEveryMs = 1_000;

export const processingFamily = (parts: ProcessingLifeParts): JobFamily<"processing-job"> => ({
  kind: "processing-job",
  words: {
    status: (ProcessingJobStatus, LastModifiedTime) => ({ ProcessingJobStatus, LastModifiedTime }),
    started: (at) => ({ ProcessingStartTime: at, LastModifiedTime: at }),
    ended: (at, FailureReason) => ({
      ProcessingEndTime: at,
      ...(FailureReason !== undefined && { FailureReason }),
    }),
  },
  hasStarted: ({ ProcessingStartTime }) => ProcessingStartTime !== undefined,
  live: (run) => liveProcessingJob(parts, run),
});

async function liveProcessingJob(parts: ProcessingLifeParts, run: ProcessingRun): Promise<void> {
  const { job, log, ending } = run;
  const { ImageUri } = job.AppSpecification;
  const kind = imageKind(ImageUri);
  if (kind === "noop") return;
  if (kind === "unknown")
    throw new JobFailure(
      `ClientError: Cannot pull processing container ${ImageUri}. Either the image does not exist or its ` +
        "permissions are incorrect. (The local SageMaker server runs sagemaker-xgboost and sagemaker-scikit-learn.)",
    );
  const hosts = await layOutHosts(run.folder, job);
  const objects = parts.objects.as(job.RoleArn);
  await fetchInputs(objects, job, hosts, ending.signal);
  const outputs = createOutputFiles(objects, job, hosts, log.write);
  const finished = new AbortController();
  const uploading = uploadContinuously(outputs, finished.signal, log.write);
  try {
    await runOnCore(parts, run, hosts);
    if (!ending.signal.aborted) await outputs.upload("EndOfJob");
  } finally {
    finished.abort();
    await uploading;
    if (ending.signal.reason !== "shutdown") await outputs.upload("Continuous");
    await tellExitMessage(run, hosts);
  }
}

async function runOnCore(
  { config, python, cores }: ProcessingLifeParts,
  { job, log, ending }: ProcessingRun,
  hosts: readonly ProcessingHost[],
): Promise<void> {
  const releaseCore = await cores.acquire(ending.signal);
  const limit = stopAfterMaxRuntime(job.StoppingCondition?.MaxRuntimeInSeconds, ending);
  try {
    await runProcessingContainers({
      ...{ config, job, hosts },
      python: await python(),
      signal: ending.signal,
      onLine: (line, host) => log.write(hosts.length > 1 ? `[${host.name}] ${line}` : line),
    });
  } finally {
    clearTimeout(limit);
    releaseCore();
  }
}

function stopAfterMaxRuntime(
  seconds = defaultMaxRuntimeSeconds,
  ending: AbortController,
): NodeJS.Timeout {
  return setTimeout(() => ending.abort("max-runtime"), seconds * 1000);
}

async function uploadContinuously(
  outputs: OutputFiles,
  finished: AbortSignal,
  warn: (line: string) => void,
): Promise<void> {
  while (!finished.aborted) {
    await pause(uploadEveryMs, undefined, { signal: finished }).catch(() => undefined);
    if (finished.aborted) return;
    // The upload at the end is the one that must succeed.
    await outputs.upload("Continuous").catch((error: unknown) => warn(`upload: ${String(error)}`));
  }
}

/** In every status that is the last, Describe shows what the containers wrote to say why. */
async function tellExitMessage(
  { progress }: ProcessingRun,
  hosts: readonly ProcessingHost[],
): Promise<void> {
  const ExitMessage = await exitMessage(hosts);
  if (ExitMessage !== undefined) progress.tellAtEnd({ ExitMessage });
}
