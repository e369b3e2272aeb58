/** One attempt of a training job: instances, inputs and checkpoints, the scripts, the upload. */
import { setTimeout as pause } from "node:timers/promises";
import { bringCheckpoints } from "./checkpoints.js";
import type { Checkpoints } from "./checkpoints.js";
import { imageKind } from "./container-image.js";
import { JobFailure } from "./job-failure.js";
import { uploadArtifacts } from "./training-artifacts.js";
import { defaultMaxRuntimeSeconds } from "./training-checks.js";
import { runContainers } from "./training-containers.js";
import { watchForDisruption } from "./training-disruption.js";
import { fetchInputs, jobFolder, layOutHosts } from "./training-files.js";
import type { Host } from "./training-files.js";
import type {
  EndRequest,
  Records,
  TrainingLife,
  TrainingLifeParts,
} from "./training-life-parts.js";
import { longTimer, secondsIn } from "./training-status.js";
import type { TrainingJob } from "./training-status.js";

interface Attempt extends Records {
  /** The instances were kept by a warm pool. */
  readonly isWarm: boolean;
}

/**
 * Throws JobFailure when the job failed, SpotInterruption when its capacity was taken back, and whatever
 * else was in the way; a job that was asked to end returns, or throws because it had to stop waiting.
 */
export async function runAttempt(
  parts: TrainingLifeParts,
  life: TrainingLife,
  attempt: Attempt,
): Promise<void> {
  const { config, faults } = parts;
  const { key, progress, ending } = life;
  const { signal } = ending;
  await progress.enter("Starting");
  const { slowStartSeconds = 0 } = attempt.isWarm ? {} : faults.current();
  if (slowStartSeconds > 0) await pause(slowStartSeconds * 1000, undefined, { signal });
  const injected = faults.failureOf(key.name);
  if (injected !== undefined) throw new JobFailure(injected);
  const job = progress.job();
  checkImage(job.AlgorithmSpecification?.TrainingImage ?? "");

  const objects = parts.objects.as(job.RoleArn);
  const hosts = await layOutHosts(jobFolder(config.stateDir, key), job);
  const { TrainingStartTime = Date.now() / 1000 } = job;
  await progress.enter("Downloading", { TrainingStartTime });
  const warn = attempt.log.write;
  const [checkpoints] = await Promise.all([
    bringCheckpoints({ objects, job, hosts, signal, warn }),
    fetchInputs(objects, job, hosts, signal),
  ]);
  await train(parts, life, { ...attempt, hosts, checkpoints });
  if (signal.reason === "shutdown") return;
  await progress.enter("Uploading");
  await uploadArtifacts(objects, job, hosts, warn);
}

/** Runs the scripts of all hosts; how they ended comes before trouble with the last upload of checkpoints. */
async function train(
  parts: TrainingLifeParts,
  { progress, ending }: TrainingLife,
  run: Records & { readonly hosts: readonly Host[]; readonly checkpoints: Checkpoints },
): Promise<void> {
  const { hosts, checkpoints, log, metrics } = run;
  const { config, faults } = parts;
  const { signal } = ending;
  const job = progress.job();
  // All of them together, since the hosts of a job may wait for one another.
  const releaseCores = await parts.cores.acquire(signal, hosts.length);
  const limit = stopAfterMaxRuntime(job, ending);
  const watch = watchForDisruption({ faults, job, hosts, uploaded: checkpoints.uploaded });
  const lastSync = () =>
    signal.reason === "shutdown" ? checkpoints.abandon() : checkpoints.finish(watch.lost());
  try {
    await checkpoints.begin();
    await progress.enter("Training");
    const host = await parts.python();
    const { disrupted } = watch;
    await runContainers({ host, config, job, hosts, signal, disrupted }, (line, { name }) => {
      log.write(hosts.length > 1 ? `[${name}] ${line}` : line);
      metrics.scan(line, Date.now() / 1000);
    });
  } catch (error) {
    await lastSync().catch((trouble: unknown) => log.write(String(trouble)));
    throw error;
  } finally {
    clearTimeout(limit);
    watch.close();
    releaseCores();
  }
  await lastSync();
}

/** AWS counts running time, of all attempts together, and no wait for capacity: here, the time of the script. */
function stopAfterMaxRuntime(job: TrainingJob, ending: AbortController): NodeJS.Timeout {
  const { MaxRuntimeInSeconds = defaultMaxRuntimeSeconds } = job.StoppingCondition ?? {};
  const left = MaxRuntimeInSeconds - secondsIn(job, ["Training"], Date.now() / 1000);
  return longTimer(left, () => ending.abort("max-runtime" satisfies EndRequest));
}

function checkImage(image: string): void {
  if (imageKind(image) === "unknown")
    throw new JobFailure(
      `ClientError: Cannot pull algorithm container ${image}. Either the image does not exist or its ` +
        "permissions are incorrect. (The local SageMaker server runs sagemaker-xgboost and sagemaker-scikit-learn.)",
    );
}
