/** The life of one transform job: its model comes up on every instance, and each takes its share of objects. */
import { join } from "node:path";
import { listObjects } from "./channels.js";
import type { ServerConfig } from "./config.schema.js";
import { JobFailure } from "./job-failure.js";
import type { JobFamily, JobRun } from "./job-runs.js";
import type { Objects } from "./objects.js";
import type { PythonHost } from "./python-host.js";
import type { Slots } from "./slots.js";
import type { Store } from "./store.js";
import { planContainers, startModel } from "./transform-model.js";
import type { TransformModel } from "./transform-model.js";
import { transformShare } from "./transform-objects.js";
import { batchEnvironment, settingsOf } from "./transform-settings.js";

export interface TransformLifeParts {
  readonly config: ServerConfig;
  readonly store: Store;
  readonly objects: Objects;
  readonly python: () => Promise<PythonHost>;
  /** Jobs whose containers run. */
  readonly cores: Slots;
}

type TransformRun = JobRun<"transform-job">;

export const transformFamily = (parts: TransformLifeParts): JobFamily<"transform-job"> => ({
  kind: "transform-job",
  words: {
    status: (TransformJobStatus) => ({ TransformJobStatus }),
    started: (at) => ({ TransformStartTime: at }),
    ended: (at, FailureReason) => ({
      TransformEndTime: at,
      ...(FailureReason !== undefined && { FailureReason }),
    }),
  },
  hasStarted: ({ TransformStartTime }) => TransformStartTime !== undefined,
  live: (run) => liveTransformJob(parts, run),
});

async function liveTransformJob(parts: TransformLifeParts, run: TransformRun): Promise<void> {
  const { job, ending } = run;
  const releaseCore = await parts.cores.acquire(ending.signal);
  const models: TransformModel[] = [];
  try {
    const containers = await planContainers(parts.store, run.key, job.ModelName);
    const count = job.TransformResources.InstanceCount;
    for (let instance = 1; instance <= count; instance++)
      models.push(
        await startModel({
          containers,
          environment: batchEnvironment(job),
          region: parts.config.region,
          objects: parts.objects,
          python: await parts.python(),
          folder: join(run.folder, `instance-${instance}`),
          onLine: (line) => run.log.write(count > 1 ? `[instance-${instance}] ${line}` : line),
          signal: ending.signal,
        }),
      );
    // Input and output are read and written as the model's role too.
    const objects = parts.objects.as(containers[0]?.role);
    await transformAll(objects, run, models);
  } finally {
    await Promise.all(models.map((model) => model.close()));
    releaseCore();
  }
}

/** Every object goes to one instance; one that fails does not keep the others from being transformed. */
async function transformAll(
  objects: Objects,
  { job, folder, log, ending }: TransformRun,
  models: readonly TransformModel[],
): Promise<void> {
  const inputs = await listObjects(objects, {
    ChannelName: "input",
    DataSource: { S3DataSource: job.TransformInput.DataSource.S3DataSource },
  });
  const settings = settingsOf(job, await models[0]?.executionParameters());
  const shares = models.map((model, instance) =>
    transformShare(
      {
        ...{ objects, job, settings, model, signal: ending.signal },
        folder: join(folder, `objects-${instance + 1}`),
      },
      inputs.filter((_, index) => index % models.length === instance),
    ),
  );
  // All of them end before the folders and containers that they use are taken away.
  const settled = await Promise.allSettled(shares);
  const failures = new Map(
    settled.flatMap((share) => (share.status === "fulfilled" ? [...share.value] : [])),
  );
  for (const [url, reason] of failures) log.write(`${url}: ${reason}`);
  for (const share of settled) if (share.status === "rejected") throw share.reason;
  const [first] = failures;
  if (first === undefined) return;
  const [url, reason] = first;
  const [kind = "ClientError", text = reason] = splitReason(reason);
  throw new JobFailure(
    `${kind}: ${failures.size} of ${inputs.length} objects failed, the others are stored. ${url}: ${text}`,
  );
}

/** `ClientError: what happened` in its two parts. */
function splitReason(reason: string): string[] {
  const at = reason.indexOf(": ");
  return at < 0 ? [] : [reason.slice(0, at), reason.slice(at + 2)];
}
