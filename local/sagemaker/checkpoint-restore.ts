/** Brings what is in S3 to the checkpoint folder of every host, before its script starts. */
import { constants, copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { downloadObject, parallelDownloads, pathWithin } from "./channels.js";
import type { CheckpointPlace } from "./checkpoint-place.js";
import { inParallel } from "./in-parallel.js";
import { JobFailure } from "./job-failure.js";
import type { Objects } from "./objects.js";

/**
 * Every host gets everything, as on AWS. Fetched once and copied to the other hosts' folders. Throws
 * JobFailure for what cannot be read, or would land outside of the folder.
 */
export async function restoreCheckpoints(
  objects: Objects,
  { bucket, prefix }: CheckpointPlace,
  folders: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const [first = "", ...others] = folders;
  await inParallel(keysOf(objects, bucket, prefix), parallelDownloads, async (key) => {
    signal.throwIfAborted();
    const path = key.slice(prefix.length);
    await downloadObject(objects, { location: { bucket, key }, path }, first, signal);
    for (const folder of others) await copyWithin(path, first, folder);
  });
}

async function* keysOf(objects: Objects, bucket: string, prefix: string): AsyncGenerator<string> {
  try {
    for await (const key of objects.keysUnder({ bucket, key: prefix }))
      if (!key.endsWith("/")) yield key; // A folder's marker holds no data.
  } catch (error) {
    const name = error instanceof Error ? error.name : String(error);
    if (!["NoSuchBucket", "AccessDenied"].includes(name)) throw error;
    throw new JobFailure(`ClientError: Cannot list the checkpoints in s3://${bucket}: ${name}.`);
  }
}

async function copyWithin(path: string, from: string, to: string): Promise<void> {
  const [source, target] = [pathWithin(from, path), pathWithin(to, path)];
  if (source === undefined || target === undefined) return; // The download has refused it already.
  await mkdir(dirname(target), { recursive: true });
  // A copy, no link: each host changes its own. File systems that can share the blocks until then.
  await copyFile(source, target, constants.COPYFILE_FICLONE);
}

/** The folders of the hosts, made. */
export async function makeCheckpointFolders(
  { folder }: CheckpointPlace,
  baseDirs: readonly string[],
): Promise<string[]> {
  const folders = baseDirs.map((baseDir) => join(baseDir, folder));
  for (const each of folders) await mkdir(each, { recursive: true });
  return folders;
}
