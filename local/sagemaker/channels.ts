/** Input channels: which objects of S3 each host of a job gets, and their download. */
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, dirname, join, normalize } from "node:path";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { s3Location } from "./arns.js";
import type { S3Location } from "./arns.js";
import { inParallel } from "./in-parallel.js";
import { JobFailure } from "./job-failure.js";
import { isList } from "./json.js";
import type { Objects } from "./objects.js";
import type { TrainingJob } from "./training-status.js";

export type Channel = NonNullable<TrainingJob["InputDataConfig"]>[number];

/** An object and the path it gets below the channel's folder. */
export interface InputObject {
  readonly location: S3Location;
  readonly path: string;
}

/** Downloads at a time for one channel, or for checkpoints: enough to hide the store's latency for small files. */
export const parallelDownloads = 8;

/** Fills `<folder of host>/<channel>` for every host, in the order of the hosts. */
export async function downloadChannel(
  objects: Objects,
  channel: Channel,
  hostFolders: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const found = await listObjects(objects, channel);
  const isSharded = channel.DataSource.S3DataSource?.S3DataDistributionType === "ShardedByS3Key";
  for (const [host, folder] of hostFolders.entries()) {
    const root = join(folder, channel.ChannelName);
    await mkdir(root, { recursive: true });
    // AWS does not publish its rule; it only promises about 1/n of the objects to each of n hosts.
    const share = isSharded
      ? found.filter((_, index) => index % hostFolders.length === host)
      : found;
    await downloadAll(objects, share, root, signal);
  }
}

/** The objects of a channel, in the order in which hosts share them. */
export async function listObjects(objects: Objects, channel: Channel): Promise<InputObject[]> {
  const { S3Uri = "", S3DataType } = channel.DataSource.S3DataSource ?? {};
  const location = s3Location(S3Uri);
  if (S3DataType === "ManifestFile") return readManifest(objects, channel, location);
  const found: InputObject[] = [];
  for await (const key of objects.keysUnder(location)) {
    if (key.endsWith("/")) continue; // A folder's marker holds no data.
    // The prefix is a string, not a folder: it is cut off wherever it ends.
    const path = key.slice(location.key.length).replace(/^\/+/, "") || basename(key);
    found.push({ location: { bucket: location.bucket, key }, path });
  }
  return found;
}

/** A manifest is `[{"prefix": "s3://bucket/…"}, "key", …]`; the keys are below the prefix. */
async function readManifest(
  objects: Objects,
  channel: Channel,
  location: S3Location,
): Promise<InputObject[]> {
  const bad = (why: string) =>
    new JobFailure(`ClientError: Manifest of channel ${channel.ChannelName} ${why}`);
  const manifest: unknown = JSON.parse(await text(await objects.read(location)));
  const [head, ...keys] = isList(manifest) ? manifest : [];
  const prefix: unknown =
    typeof head === "object" && head !== null && "prefix" in head && head.prefix;
  if (typeof prefix !== "string") throw bad('does not begin with {"prefix": "s3://…"}.');
  const { bucket, key } = s3Location(prefix);
  return keys.map((relative) => {
    if (typeof relative !== "string") throw bad("lists something that is no key.");
    return { location: { bucket, key: key + relative }, path: relative };
  });
}

async function downloadAll(
  objects: Objects,
  share: readonly InputObject[],
  root: string,
  signal: AbortSignal,
): Promise<void> {
  await inParallel(share, parallelDownloads, async (object) => {
    signal.throwIfAborted();
    await downloadObject(objects, object, root, signal);
  });
}

/** Throws JobFailure for an object that cannot be read, or whose path leads out of the folder. */
export async function downloadObject(
  objects: Objects,
  { location, path }: InputObject,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  const url = `s3://${location.bucket}/${location.key}`;
  const file = pathWithin(root, path);
  if (file === undefined)
    throw new JobFailure(`ClientError: Data download failed: ${url} leads out of its folder.`);
  try {
    await mkdir(dirname(file), { recursive: true });
    await pipeline(await objects.read(location), createWriteStream(file), { signal });
  } catch (error) {
    const name = error instanceof Error && "code" in error ? error.code : undefined;
    if (name === "EEXIST" || name === "ENOTDIR" || name === "EISDIR")
      throw new JobFailure(`ClientError: Data download failed: ${url} is a file and a folder.`);
    if (
      error instanceof Error &&
      ["NoSuchKey", "AccessDenied", "NoSuchBucket"].includes(error.name)
    )
      throw new JobFailure(
        `ClientError: Data download failed: cannot read ${url} (${error.name}).`,
      );
    throw error;
  }
}

/** The path of a key inside a folder; undefined for one that climbs out. */
export function pathWithin(folder: string, key: string): string | undefined {
  const relative = normalize(key);
  const climbsOut = relative === ".." || relative.startsWith("../") || relative.startsWith("/");
  return climbsOut || key.includes("\0") ? undefined : join(folder, relative);
}
