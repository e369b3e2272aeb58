/** Training jobs that do nothing at once: what is measured with them is everything else. */
import { createGzip } from "node:zlib";
import { buffer } from "node:stream/consumers";
import tar from "tar-stream";
import { s3Location } from "./arns.js";
import type { FaultInjector } from "./faults.js";
import type { Objects } from "./objects.js";
import type { TrainingProgress } from "./training-progress.js";
import type { TrainingJob } from "./training-status.js";

const metricPrefix = "metric:";

/** Metrics come from hyperparameters `metric:<name>`; a tiny model only if `artifact` is `true`. */
export async function runNoopJob(
  { objects, faults }: { objects: Objects; faults: FaultInjector },
  progress: TrainingProgress,
): Promise<void> {
  const job = progress.job();
  const reason = faults.failureOf(job.TrainingJobName);
  if (reason !== undefined) return progress.end({ status: "Failed", reason });
  if (job.HyperParameters?.["artifact"] === "true")
    await objects
      .as(job.RoleArn)
      .write(s3Location(job.ModelArtifacts?.S3ModelArtifacts ?? ""), await tinyModel());
  await progress.end({ status: "Completed", metrics: metricsOf(job) });
}

function metricsOf({ HyperParameters = {} }: TrainingJob): TrainingJob["FinalMetricDataList"] {
  const Timestamp = Date.now() / 1000;
  return Object.entries(HyperParameters)
    .filter(([name]) => name.startsWith(metricPrefix))
    .map(([name, value]) => ({
      MetricName: name.slice(metricPrefix.length),
      Value: Number(value),
      Timestamp,
    }))
    .filter(({ Value }) => Number.isFinite(Value));
}

let packed: Promise<Buffer> | undefined;

function tinyModel(): Promise<Buffer> {
  packed ??= packTinyModel();
  return packed;
}

async function packTinyModel(): Promise<Buffer> {
  const pack = tar.pack();
  pack.entry({ name: "noop.txt" }, "this model does nothing\n");
  pack.finalize();
  const gzip = pack.pipe(createGzip());
  return buffer(gzip);
}
