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
import { microsecondsSince, timed } from "./variant-metrics.js";
import type { VariantMeter } from "./variant-metrics.js";

export interface ModelCacheOptions {
  /** Brings the artifact to the disk and returns its folder and unpacked size. */
  readonly fetchModel: (model: { targetModel: string; name: string }) => Promise<ModelFiles>;
  readonly deleteFiles: (name: string) => Promise<void>;
  readonly send: (request: ContainerRequest) => Promise<ContainerResponse>;
  /** Turns the container's refusal to load into the error that callers get. */
  readonly loadError: (status: number, message: string) => RuntimeError;
  readonly memoryLimitBytes: number;
  readonly diskLimitBytes: number;
  /** False: a model leaves memory and disk after its invocation (ModelCacheSetting Disabled). */
  readonly keepsModels: boolean;
  /** How long one request waits for a load; the load goes on. */
  readonly loadWaitMs: number;
  readonly loadTimeoutMs: number;
  readonly meter: VariantMeter;
}

export class ModelCache {
  readonly #options: ModelCacheOptions;
  readonly #models = new Map<string, CachedModel>();
  #clock = 0;
  /** Counts container processes: a load that began in an earlier one has loaded nothing. */
  #generation = 0;
  /** Those whose load found no memory and nothing idle to unload: woken when a model is let go. */
  readonly #waitingForRoom = new Map<CachedModel, () => void>();

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
      this.#options.meter.sample("ModelCacheHit", model.loaded ? 1 : 0);
      if (model.loaded) model.hits += 1;
      else await this.#untilLoaded(model);
      return await use(model.name);
    } finally {
      model.inUse -= 1;
      this.#tidyUpAfter(model);
    }
  }

  loadedCount(): number {
    let count = 0;
    for (const model of this.#models.values()) if (model.loaded) count += 1;
    return count;
  }

  memoryBytes(): number {
    return usedBytes(this.#models.values());
  }

  diskBytes(): number {
    let bytes = 0;
    for (const model of this.#models.values()) bytes += model.files?.bytes ?? 0;
    return bytes;
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
    this.#tellLoaded();
    this.#wakeWaiting();
  }

  async #untilLoaded(model: CachedModel): Promise<void> {
    const since = performance.now();
    try {
      // Once more when it was unloaded in between, or the container was started again.
      while (!model.loaded) {
        model.loading ??= this.#load(model);
        await this.#withinLoadWait(model.loading, model.targetModel);
      }
    } finally {
      this.#options.meter.sample("ModelLoadingWaitTime", microsecondsSince(since));
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
      const measured = await this.#loadIntoContainer(model, model.files);
      if (generation !== this.#generation) return;
      model.memoryBytes = Math.max(model.files.bytes, measured);
      model.loaded = true;
      model.loads += 1;
      this.#tellLoaded();
      this.#trimMemory();
    } finally {
      model.loading = null;
      if (!model.loaded) {
        model.memoryBytes = 0;
        this.#wakeWaiting(); // What waited for this one has to look again.
      }
      if (model.inUse === 0) this.#tidyUpAfter(model); // Everybody has stopped waiting.
    }
  }

  async #loadIntoContainer(model: CachedModel, files: ModelFiles): Promise<number> {
    this.#trimMemory();
    for (;;) {
      const response = await timed(this.#options.meter, "ModelLoadingTime", () =>
        this.#options.send({
          method: "POST",
          path: "/models",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ model_name: model.name, url: files.folder }),
          timeoutMs: this.#options.loadTimeoutMs,
        }),
      );
      if (response.status === 200) return residentBytes(response.body);
      if (response.status === 409) return 0; // An earlier load got through, its answer did not.
      const madeRoom = response.status === 507 && (await this.#makeRoomFor(model));
      if (!madeRoom) throw this.#options.loadError(response.status, response.body.toString("utf8"));
    }
  }

  /**
   * The container has no memory left (507): something idle goes, or the load waits for a model to be let
   * go. False when no other model is there: this one does not fit at all.
   */
  async #makeRoomFor(model: CachedModel): Promise<boolean> {
    const victim = leastRecentlyUsed(this.#models.values());
    if (victim !== undefined) {
      await this.#unload(victim);
      return true;
    }
    const others = [...this.#models.values()].filter((other) => other !== model);
    if (!others.some((other) => this.#takesRoom(other))) return false;
    await new Promise<void>((resolve) => this.#waitingForRoom.set(model, resolve));
    return true;
  }

  /** What the container holds, is about to hold, or has not let go of yet. Two that both wait hold nothing. */
  #takesRoom(model: CachedModel): boolean {
    const { loaded, loading, unloading } = model;
    return loaded || unloading !== null || (loading !== null && !this.#waitingForRoom.has(model));
  }

  #wakeWaiting(): void {
    const waiting = [...this.#waitingForRoom.values()];
    this.#waitingForRoom.clear();
    for (const wake of waiting) wake();
  }

  #tellLoaded(): void {
    this.#options.meter.gauge("LoadedModelCount", this.loadedCount());
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
    this.#tellLoaded();
    const { send, loadTimeoutMs: timeoutMs, meter } = this.#options;
    const path = `/models/${model.name}`;
    return this.#leave(model, async () => {
      // When the container is gone, the model is gone with it.
      await timed(meter, "ModelUnloadingTime", () =>
        send({ method: "DELETE", path, timeoutMs }),
      ).catch(() => undefined);
      if (!this.#options.keepsModels) await this.#deleteFiles(model);
    });
  }

  /** Nobody loads the model before this is done. */
  #leave(model: CachedModel, step: () => Promise<void>): Promise<void> {
    const left = step().catch(() => undefined); // What stays on the disk is found there again.
    model.unloading = left.then(() => {
      model.unloading = null;
      this.#wakeWaiting();
      if (model.files === null && isIdle(model)) this.#models.delete(model.targetModel);
    });
    return model.unloading;
  }

  async #deleteFiles(model: CachedModel): Promise<void> {
    await this.#options.deleteFiles(model.name);
    model.files = null;
  }

  async #trimDisk(): Promise<void> {
    let onDisk = this.diskBytes();
    const idle = [...this.#models.values()]
      .filter((model) => isIdle(model) && !model.loaded && model.files !== null)
      .sort((a, b) => a.lastUsed - b.lastUsed);
    for (const model of idle) {
      if (onDisk <= this.#options.diskLimitBytes) return;
      if (!isIdle(model) || model.loaded) continue; // Somebody has asked for it meanwhile.
      onDisk -= model.files?.bytes ?? 0;
      await this.#leave(model, () => this.#deleteFiles(model));
    }
  }

  #tidyUpAfter(model: CachedModel): void {
    if (!this.#options.keepsModels && model.loaded && isIdle(model)) void this.#unload(model);
    this.#trimMemory();
    if (model.inUse === 0) this.#wakeWaiting();
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
