/** Where a lineage is read: below a prefix in S3, or in a folder of this machine. */
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { GetObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { SpecError } from "../../fleet/errors.js";
import {
  LINEAGE_MANIFEST,
  parseLineageManifest,
  type LineageManifest,
} from "../../fleet/lineage.schema.js";
import { isMissingObject } from "../s3-uri.js";

export interface LineageFiles {
  /** As a person would name it. */
  readonly place: string;
  /** Undefined when there is no such file. */
  readonly open: (name: string) => Promise<Readable | undefined>;
}

export const s3Files = (s3: S3Client, bucket: string, prefix: string): LineageFiles => ({
  place: `s3://${bucket}/${prefix}`,
  open: async (name) => {
    try {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: prefix + name }));
      return Body instanceof Readable ? Body : undefined;
    } catch (error) {
      if (isMissingObject(error)) return undefined;
      throw error;
    }
  },
});

export const folderFiles = (folder: string): LineageFiles => ({
  place: folder,
  open: async (name) => {
    const stream = createReadStream(join(folder, name));
    return new Promise((resolve, reject) => {
      stream.once("open", () => resolve(stream));
      stream.once("error", (error: NodeJS.ErrnoException) =>
        error.code === "ENOENT" ? resolve(undefined) : reject(error),
      );
    });
  },
});

/** `from`: an S3 URI of a folder, or a path; each may also name the manifest in it. */
export function lineageFiles(s3: S3Client, from: string): LineageFiles {
  const place = from.endsWith(`/${LINEAGE_MANIFEST}`)
    ? from.slice(0, -LINEAGE_MANIFEST.length)
    : from;
  if (!place.startsWith("s3://")) return folderFiles(place);
  const [, bucket, prefix] = /^s3:\/\/([^/]+)\/(.+)$/.exec(place) ?? [];
  if (bucket === undefined || prefix === undefined)
    throw new SpecError(`"${from}" names no folder in S3`, "give it as s3://BUCKET/FOLDER/");
  return s3Files(s3, bucket, prefix.endsWith("/") ? prefix : `${prefix}/`);
}

/** A manifest is small: one that is not is none. */
const MANIFEST_BYTES = 4_000_000;

/** Undefined when there is none. Throws SpecError for one that is not as we write it. */
export async function readManifest(files: LineageFiles): Promise<LineageManifest | undefined> {
  const stream = await files.open(LINEAGE_MANIFEST);
  if (stream === undefined) return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MANIFEST_BYTES)
      throw new SpecError(
        `${files.place}${LINEAGE_MANIFEST} is larger than any manifest`,
        "give a lineage that modelfleet export has written",
      );
    chunks.push(chunk);
  }
  return parseLineageManifest(
    Buffer.concat(chunks).toString("utf8"),
    `${files.place}${LINEAGE_MANIFEST}`,
  );
}
