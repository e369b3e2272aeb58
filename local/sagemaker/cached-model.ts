/** What is known of one model of a multi-model container, and which of them goes first when memory runs short. */
import { createHash } from "node:crypto";

export interface ModelFiles {
  readonly folder: string;
  readonly bytes: number;
}

export interface ModelMetrics {
  readonly targetModel: string;
  readonly loaded: boolean;
  /** Times that the object was read from S3. */
  readonly downloads: number;
  readonly loads: number;
  /** Invocations that found the model in memory. */
  readonly hits: number;
  readonly unloads: number;
  /** What the model counts for against the memory limit. */
  readonly memoryBytes: number;
}

export interface CachedModel {
  readonly targetModel: string;
  /** What the container calls it: opaque, and safe as a folder's name whatever the key is. */
  readonly name: string;
  files: ModelFiles | null;
  loaded: boolean;
  /** The load under way, shared by all who wait for it. */
  loading: Promise<void> | null;
  unloading: Promise<void> | null;
  inUse: number;
  lastUsed: number;
  memoryBytes: number;
  downloads: number;
  loads: number;
  hits: number;
  unloads: number;
}

export function createCachedModel(targetModel: string): CachedModel {
  return {
    targetModel,
    name: createHash("sha256").update(targetModel).digest("hex").slice(0, 32),
    files: null,
    loaded: false,
    loading: null,
    unloading: null,
    inUse: 0,
    lastUsed: 0,
    memoryBytes: 0,
    downloads: 0,
    loads: 0,
    hits: 0,
    unloads: 0,
  };
}

export function isIdle(model: CachedModel): boolean {
  return model.inUse === 0 && model.loading === null && model.unloading === null;
}

export function usedBytes(models: Iterable<CachedModel>): number {
  let used = 0;
  for (const model of models) used += model.memoryBytes;
  return used;
}

export function leastRecentlyUsed(models: Iterable<CachedModel>): CachedModel | undefined {
  let oldest: CachedModel | undefined;
  for (const model of models) {
    if (!model.loaded || !isIdle(model)) continue;
    if (oldest === undefined || model.lastUsed < oldest.lastUsed) oldest = model;
  }
  return oldest;
}

export function metricsOf(model: CachedModel): ModelMetrics {
  const { targetModel, loaded, downloads, loads, hits, unloads, memoryBytes } = model;
  return { targetModel, loaded, downloads, loads, hits, unloads, memoryBytes };
}
