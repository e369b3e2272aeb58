/** The life of one training job, from its first instance to its last upload. */
import { rm } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import type { ResourceKey } from "./arns.js";
import type { ServerConfig } from "./config.schema.js";
import { openLog } from "./container-log.js";
import type { Log } from "./container-log.js";
import { imageKind } from "./container-image.js";
import type { FaultInjector } from "./faults.js";
import { internalServerError, JobFailure } from "./job-failure.js";
import { createMetricScanner, readMetricDefinitions } from "./metrics.js";
import type { Metric } from "./metrics.js";
import type { Objects } from "./objects.js";
import type { PythonHost } from "./python-host.js";
import type { Slots } from "./slots.js";
import { uploadArtifacts } from "./training-artifacts.js";
import { defaultMaxRuntimeSeconds } from "./training-checks.js";
import { runContainers } from "./training-containers.js";
import { fetchInputs, jobFolder, layOutHosts, logFile } from "./training-files.js";
import type { Ending, TrainingProgress } from "./training-progress.js";
import type { TrainingJob } from "./training-status.js";

export interface TrainingLifeParts {
  readonly config: ServerConfig;
  readonly objects: Objects;
  readonly faults: FaultInjector;
  readonly python: () => Promise<Pick<PythonHost, "train">>;
  /** Jobs that hold an instance: they download, train and upload. */
  readonly instances: Slots;
  /** Jobs whose script runs. */
  readonly cores: Slots;
  readonly onUnexpected: (error: unknown, key: ResourceKey) => void;
}

/** Why a job has to end before its script does. */
export type EndRequest = "stop" | "max-runtime" | "shutdown";

export interface TrainingLife {
  readonly key: ResourceKey<"training-job">;
  readonly progress: TrainingProgress;
  /** Aborted with an EndRequest as its reason. */
  readonly ending: AbortController;
  /** Told every value of every metric, as the script prints it. */
  readonly onMetric: (metric: Metric) => void;
}

/** What a life writes beside its status. */
interface Records {
  readonly log: Log;
  readonly metrics: ReturnType<typeof createMetricScanner>;
}

/** Rejects only when the store refuses what it is told: every other trouble becomes the job's status. */
export async function liveTrainingJob(parts: TrainingLifeParts, life: TrainingLife): Promise<void> {
  const { stateDir } = parts.config;
  const { MetricDefinitions = [] } = life.progress.job().AlgorithmSpecification ?? {};
  const metrics = createMetricScanner(readMetricDefinitions(MetricDefinitions), life.onMetric);
  const log = openLog(logFile(stateDir, life.key), { append: false });
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
    release?.();
    await log.close();
    await rm(jobFolder(stateDir, life.key), { recursive: true, force: true });
  }
}

/** What somebody asked for comes before what the script made of it. */
function endingOf(life: TrainingLife, metrics: Metric[], failure?: string): Ending {
  const { signal } = life.ending;
  if (signal.aborted && signal.reason === "max-runtime")
    return { status: "Stopped", because: "MaxRuntimeExceeded", metrics };
  if (signal.aborted) return { status: "Stopped", because: "Stopped", metrics };
  return failure === undefined
    ? { status: "Completed", metrics }
    : { status: "Failed", reason: failure };
}

/** Returns why the job failed. SageMaker tries again after faults of its own only, and if asked to. */
async function runAttempts(
  parts: TrainingLifeParts,
  life: TrainingLife,
  records: Records,
): Promise<string | undefined> {
  const { MaximumRetryAttempts: retries = 0 } = life.progress.job().RetryStrategy ?? {};
  for (let retry = 0; ; retry++) {
    try {
      await runAttempt(parts, life, records);
      return undefined;
    } catch (error) {
      if (life.ending.signal.aborted) throw error;
      if (!(error instanceof JobFailure)) parts.onUnexpected(error, life.key);
      const failure = error instanceof JobFailure ? error : new JobFailure(internalServerError);
      if (!failure.isInternal || retry === retries) return failure.message;
      await life.progress.enter("Restarting");
    }
  }
}

async function runAttempt(
  { config, objects, faults, python, cores }: TrainingLifeParts,
  { key, progress, ending }: TrainingLife,
  { log, metrics }: Records,
): Promise<void> {
  const { signal } = ending;
  await progress.enter("Starting");
  const { slowStartSeconds = 0 } = faults.current();
  if (slowStartSeconds > 0) await pause(slowStartSeconds * 1000, undefined, { signal });
  const injected = faults.failureOf(key.name);
  if (injected !== undefined) throw new JobFailure(injected);
  const job = progress.job();
  checkImage(job.AlgorithmSpecification?.TrainingImage ?? "");

  const hosts = await layOutHosts(jobFolder(config.stateDir, key), job);
  await progress.enter("Downloading", { TrainingStartTime: Date.now() / 1000 });
  await fetchInputs(objects, job, hosts, signal);

  const releaseCore = await cores.acquire(signal);
  const limit = stopAfterMaxRuntime(job, ending);
  try {
    await progress.enter("Training");
    await runContainers({ host: await python(), config, job, hosts, signal }, (line, host) => {
      log.write(hosts.length > 1 ? `[${host.name}] ${line}` : line);
      metrics.scan(line, Date.now() / 1000);
    });
  } finally {
    clearTimeout(limit);
    releaseCore();
  }
  if (signal.reason === "shutdown") return;
  await progress.enter("Uploading");
  await uploadArtifacts(objects, job, hosts, log.write);
}

/** AWS counts running time, not the wait for capacity: here, from the start of the script. */
function stopAfterMaxRuntime(job: TrainingJob, ending: AbortController): NodeJS.Timeout {
  const { MaxRuntimeInSeconds = defaultMaxRuntimeSeconds } = job.StoppingCondition ?? {};
  const longestTimerMs = 2 ** 31 - 1; // Node's; a little under 25 days.
  const ms = Math.min(MaxRuntimeInSeconds * 1000, longestTimerMs);
  return setTimeout(() => ending.abort("max-runtime" satisfies EndRequest), ms);
}

function checkImage(image: string): void {
  if (imageKind(image) === "unknown")
    throw new JobFailure(
      `ClientError: Cannot pull algorithm container ${image}. Either the image does not exist or its ` +
        "permissions are incorrect. (The local SageMaker server runs sagemaker-xgboost and sagemaker-scikit-learn.)",
    );
}
