/** Keeps one host's checkpoint folder and its copy in S3 alike while the script runs, in one direction. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createCheckpointFiles } from "./checkpoint-files.js";
import type { FileToUpload } from "./checkpoint-files.js";
import type { CheckpointPlace } from "./checkpoint-place.js";
import { inParallel } from "./in-parallel.js";
import type { Objects } from "./objects.js";

export interface CheckpointSync {
  /** From now on the folder is looked at about every second. */
  begin(): Promise<void>;
  /** Nobody writes any more: the last look, after which S3 has what the folder has. Rejects when it can't. */
  finish(): Promise<void>;
  /** The machine is gone, and with it what was not uploaded yet. */
  abandon(): Promise<void>;
}

export interface CheckpointSyncOptions {
  readonly objects: Objects;
  readonly place: CheckpointPlace;
  /** The host's own folder. */
  readonly folder: string;
  readonly onUploaded: () => void;
  /** Told of trouble that the next look may get over. */
  readonly warn: (line: string) => void;
}

const betweenLooksMs = 1_000;

/** A look may take this share of the time at most: a folder of very many files is looked at less often. */
const lookingShare = 0.2;

/** Uploads at a time for one host: enough to hide the store's latency for small files. */
const parallelUploads = 8;

export function createCheckpointSync(options: CheckpointSyncOptions): CheckpointSync {
  const { objects, place, folder, onUploaded, warn } = options;
  const files = createCheckpointFiles(folder);
  const ending = new AbortController();
  let isAbandoned = false;
  let looking: Promise<void> = Promise.resolve();

  const upload = async (file: FileToUpload): Promise<void> => {
    if (isAbandoned) return;
    const location = { bucket: place.bucket, key: place.prefix + file.name };
    try {
      await objects.writeFile(location, join(folder, file.name), file.stamp.size);
    } catch (error) {
      if (isMissingFile(error)) return; // Removed since the look: the next one will tell.
      throw error;
    }
    files.uploaded(file);
    onUploaded();
  };

  /** Returns how long it took to see what is to be done. */
  const look = async (last: boolean): Promise<number> => {
    const startedMs = performance.now();
    const { toUpload, gone } = await files.find({ last });
    const tookMs = performance.now() - startedMs;
    await inParallel(toUpload, parallelUploads, upload);
    if (gone.length > 0 && !isAbandoned) {
      await objects.remove(
        place.bucket,
        gone.map((name) => place.prefix + name),
      );
      files.deleted(gone);
    }
    return tookMs;
  };

  const keepLooking = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      const tookMs = await look(false).catch((error: unknown) => {
        warn(`checkpoints are not uploaded for now: ${messageOf(error)}`);
        return 0;
      });
      const restMs = Math.max(betweenLooksMs, tookMs / lookingShare);
      await pause(restMs, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  };
  const stopLooking = async (): Promise<void> => {
    ending.abort();
    await looking;
  };

  return {
    async begin() {
      await files.knowAll();
      looking = keepLooking();
    },
    async finish() {
      await stopLooking();
      await look(true);
    },
    async abandon() {
      isAbandoned = true;
      await stopLooking();
    },
  };
}

const isMissingFile = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT";

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
