/** Puts a fleet's packed sources where training jobs fetch them; the key is their hash, so once is enough. */
import type { S3Client } from "@aws-sdk/client-s3";
import { s3Keys } from "../fleet/names.js";
import type { Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import type { LoadedFleet } from "./fleet-file.js";
import { setting } from "./settings.js";
import type { SourceArchive } from "./source-archive.js";

/** Returns whether anything had to be uploaded. */
export async function uploadCode(connections: Connections, loaded: LoadedFleet): Promise<boolean> {
  const s3 = await connections.s3();
  const bucket = setting(connections.environment, "MODELFLEET_BUCKET");
  let uploaded = false;
  for (const source of loaded.sources) {
    const key = s3Keys.code(loaded.spec.name, source.hash);
    uploaded = (await uploadUnlessThere(s3, { bucket, key }, source)) || uploaded;
  }
  const { preparation } = loaded.spec;
  const prepares = loaded.sources.find(({ hash }) => hash === preparation?.sourceHash);
  if (preparation !== undefined && prepares !== undefined) {
    const folder = s3Keys.codeFiles(loaded.spec.name, prepares.hash);
    const last = preparation.entryPoint;
    uploaded = (await uploadFilesUnlessThere(s3, { bucket, folder, last }, prepares)) || uploaded;
  }
  return uploaded;
}

/** Processing jobs unpack nothing. When the file `last` is there, the others are. */
async function uploadFilesUnlessThere(
  s3: S3Client,
  { bucket, folder, last }: { readonly bucket: string; readonly folder: string; last: string },
  source: SourceArchive,
): Promise<boolean> {
  const single = (path: string) => ({
    bytes: async () => source.contents(path) ?? Buffer.alloc(0),
    contentType: "text/plain",
  });
  if (await isThere(s3, { bucket, key: folder + last })) return false;
  for (const path of source.files)
    if (path !== last) await uploadUnlessThere(s3, { bucket, key: folder + path }, single(path));
  return uploadUnlessThere(s3, { bucket, key: folder + last }, single(last));
}

interface Place {
  readonly bucket: string;
  readonly key: string;
}

async function isThere(s3: S3Client, { bucket, key }: Place): Promise<boolean> {
  const { HeadObjectCommand } = await import("@aws-sdk/client-s3");
  return s3
    .send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
    .then(() => true)
    .catch(absent);
}

async function uploadUnlessThere(
  s3: S3Client,
  { bucket: Bucket, key: Key }: Place,
  {
    bytes,
    contentType = "application/gzip",
  }: Pick<SourceArchive, "bytes"> & { readonly contentType?: string },
): Promise<boolean> {
  const { PutObjectCommand } = await import("@aws-sdk/client-s3");
  try {
    if (await isThere(s3, { bucket: Bucket, key: Key })) return false;
    const Body = await bytes();
    await s3.send(new PutObjectCommand({ Bucket, Key, Body, ContentType: contentType }));
    return true;
  } catch (error) {
    throw new ClientError(
      `the training code could not be uploaded to s3://${Bucket}/${Key}: ${messageOf(error)}`,
      "modelfleet doctor checks the bucket and your rights to it",
      { cause: error },
    );
  }
}

/** Without the right to list the bucket, S3 says Forbidden for what is not there: the upload will tell. */
function absent(error: unknown): false {
  const name = error instanceof Error ? error.name : "";
  if (name === "NotFound" || name === "NoSuchKey" || name === "403") return false;
  throw error;
}
