/** What the life of a training job is given, what it is told, and what it leaves beside its status. */
import type { ResourceKey } from "./arns.js";
import type { ServerConfig } from "./config.schema.js";
import type { Log } from "./container-log.js";
import type { FaultInjector } from "./faults.js";
import type { createMetricScanner, Metric } from "./metrics.js";
import type { Objects } from "./objects.js";
import type { PythonHost } from "./python-host.js";
import type { Slots } from "./slots.js";
import type { TrainingProgress } from "./training-progress.js";

export interface TrainingLifeParts {
  readonly config: ServerConfig;
  readonly objects: Objects;
  readonly faults: FaultInjector;
  readonly python: () => Promise<Pick<PythonHost, "train">>;
  /** Jobs that hold instances, however many: they download, train and upload. */
  readonly instances: Slots;
  /** Scripts that run, one per host. */
  readonly cores: Slots;
  readonly onUnexpected: (error: unknown, key: ResourceKey) => void;
}

/** Why a job has to end before its script does. */
export type EndRequest = "stop" | "max-runtime" | "max-wait" | "shutdown";

export interface TrainingLife {
  readonly key: ResourceKey<"training-job">;
  readonly progress: TrainingProgress;
  /** Aborted with an EndRequest as its reason. */
  readonly ending: AbortController;
  /** Told every value of every metric, as the script prints it. */
  readonly onMetric: (metric: Metric) => void;
}

export interface Records {
  readonly log: Log;
  readonly metrics: ReturnType<typeof createMetricScanner>;
}
