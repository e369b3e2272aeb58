/**
 * The models of one multi-model container: brought to the disk and into memory when first asked for, the
 * least recently used unloaded when memory runs short. As on AWS, an object that was fetched once is never
 * looked at in S3 again: overwriting it changes nothing here, which is why artifact keys carry a version.
 */
import { setTimeout as delay } from "node:timers/promises";
import {
  createCachedModel,
  isIdle,
  leastRecentlyUsed,
  metricsOf,
  usedBytes,
} from "./cached-model.js";
import type { CachedModel, ModelFiles, ModelMetrics } from "./cached-model.js";
import type { ContainerRequest, ContainerResponse } from "./container-client.js";
import { modelNotReady } from "./runtime-error.js";
import type { RuntimeError } from "./runtime-error.js";

export interface ModelCacheOptions {
  /** Brings the artifact to the disk and returns its folder and unpacked size. */
  readonly fetchModel: (model: { targetModel: string; name: string }) => Promise<ModelFiles>;
  readonly deleteFiles: (name: string) => Promise<void>;
  readonly send: (request: ContainerRequest) => Promise<ContainerResponse>;
  /** Turns the container's refusal to load into the error that callers get. */
  readonly loadError: (status: number, message: string) => RuntimeError;
  readonly memoryLimitBytes: number;
  readonly diskLimitBytes: number;
  /** How long one request waits for a load; the load goes on. */
  readonly loadWaitMs: number;
  readonly loadTimeoutMs: number;
}

export class ModelCache {
  readonly #options: ModelCacheOptions;
  readonly #models = new Map<string, CachedModel>();
  #clock = 0;
  /** Counts container processes: a load that began in an earlier one has loaded nothing. */
  #generation = 0;

  constructor(options: ModelCacheOptions) {
    this.#options = options;
  }

  /** Runs `use` with the container's name of a loaded model, which stays loaded meanwhile. */
  async withModel<T>(targetModel: string, use: (name: string) => Promise<T>): Promise<T> {
    const model = this.#models.get(targetModel) ?? createCachedModel(targetModel);
    this.#models.set(targetModel, model);
    model.lastUsed = ++this.#clock;
    // Counted before any wait, so that what is asked for is not what gets unloaded.
    model.inUse += 1;
    try {
      if (model.loaded) model.hits += 1;
      // Once more when it was unloaded in between, or the container was started again.
      while (!model.loaded) {
        model.loading ??= this.#load(model);
        await this.#withinLoadWait(model.loading, targetModel);
      }
      return await use(model.name);
    } finally {
      model.inUse -= 1;
      this.#tidyUpAfter(model);
    }
  }

  metrics(): ModelMetrics[] {
    return [...this.#models.values()].map(metricsOf);
  }

  /** A new process has replaced the container's: the files are still there, nothing is loaded. */
  forgetLoaded(): void {
    this.#generation += 1;
    for (const model of this.#models.values()) {
      model.loaded = false;
      model.memoryBytes = 0;
    }
  }

  async #load(model: CachedModel): Promise<void> {
    try {
      await model.unloading;
      if (model.files === null) {
        model.files = await this.#options.fetchModel(model);
        model.downloads += 1;
        await this.#trimDisk();
      }
      const generation = this.#generation;
      model.memoryBytes = model.files.bytes; // Reserved now, corrected when the container has measured.
      const measured = await this.#loadIntoContainer(model.name, model.files);
      if (generation !== this.#generation) return;
      model.memoryBytes = Math.max(model.files.bytes, measured);
      model.loaded = true;
      model.loads += 1;
      this.#trimMemory();
    } finally {
      model.loading = null;
      if (!model.loaded) model.memoryBytes = 0;
      if (model.inUse === 0) this.#tidyUpAfter(model); // Everybody has stopped waiting.
    }
  }

  async #loadIntoContainer(name: string, files: ModelFiles): Promise<number> {
    this.#trimMemory();
    for (;;) {
      const response = await this.#options.send({
        method: "POST",
        path: "/models",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model_name: name, url: files.folder }),
        timeoutMs: this.#options.loadTimeoutMs,
      });
      if (response.status === 200) return residentBytes(response.body);
      if (response.status === 409) return 0; // An earlier load got through, its answer did not.
      const isFull = response.status === 507;
      const victim = isFull ? leastRecentlyUsed(this.#models.values()) : undefined;
      if (victim === undefined) {
        throw this.#options.loadError(response.status, response.body.toString("utf8"));
      }
      await this.#unload(victim);
    }
  }

  /** Unloads idle models until the rest fits. Those in use stay, whatever they weigh. */
  #trimMemory(): void {
    while (usedBytes(this.#models.values()) > this.#options.memoryLimitBytes) {
      const victim = leastRecentlyUsed(this.#models.values());
      if (victim === undefined) return;
      void this.#unload(victim);
    }
  }

  #unload(model: CachedModel): Promise<void> {
    model.loaded = false;
    model.memoryBytes = 0;
    model.unloads += 1;
    const path = `/models/${model.name}`;
    model.unloading = this.#options
      .send({ method: "DELETE", path, timeoutMs: this.#options.loadTimeoutMs })
      .then(
        () => {},
        () => {}, // The container is gone, and the model with it.
      )
      .finally(() => (model.unloading = null));
    return model.unloading;
  }

  async #trimDisk(): Promise<void> {
    let onDisk = 0;
    for (const model of this.#models.values()) onDisk += model.files?.bytes ?? 0;
    const idle = [...this.#models.values()]
      .filter((model) => isIdle(model) && !model.loaded && model.files !== null)
      .sort((a, b) => a.lastUsed - b.lastUsed);
    for (const model of idle) {
      if (onDisk <= this.#options.diskLimitBytes) return;
      onDisk -= model.files?.bytes ?? 0;
      this.#models.delete(model.targetModel);
      await this.#options.deleteFiles(model.name);
    }
  }

  #tidyUpAfter(model: CachedModel): void {
    this.#trimMemory();
    // A name that never led to a file leaves no trace: unknown names must not pile up.
    if (model.files === null && isIdle(model)) this.#models.delete(model.targetModel);
  }

  async #withinLoadWait(loading: Promise<void>, targetModel: string): Promise<void> {
    const timer = new AbortController();
    const late = delay(this.#options.loadWaitMs, undefined, { signal: timer.signal }).then(() => {
      throw modelNotReady(targetModel);
    });
    try {
      await Promise.race([loading, late]);
    } finally {
      timer.abort();
    }
  }
}

/** Our model server measures what a load added to its process; a real container says nothing. */
function residentBytes(body: Buffer): number {
  const answer: unknown = JSON.parse(body.toString("utf8"));
  const isObject = typeof answer === "object" && answer !== null && "residentBytes" in answer;
  return isObject && typeof answer.residentBytes === "number" ? answer.residentBytes : 0;
}
