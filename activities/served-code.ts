/** Brings what all of a stage's containers share to where they may read it: code, and a pipeline's preprocessor. */
import { CopyObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { s3Keys } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { parseS3Uri } from "./s3-uri.js";

export interface StageStore {
  readonly s3: S3Client;
  /** The stage's. */
  readonly bucket: string;
  readonly homeBucket: string;
}

/** The code that a version is served by. */
export async function copyCode(store: StageStore, { name, training }: FleetSpec): Promise<void> {
  const hashes = [
    training.sourceHash,
    ...(training.kind === "pipeline" ? [training.preprocessor.sourceHash] : []),
  ];
  for (const hash of hashes)
    await copyToStage(store, `s3://${store.homeBucket}/${s3Keys.code(name, hash)}`);
}

/**
 * Returns where the object is in the stage's bucket: under the same key, which is made of its content or its job, so a copy
 * that is there is the same. In the home account's own bucket there is nothing to do.
 */
export async function copyToStage(
  { s3, bucket, homeBucket }: StageStore,
  uri: string,
): Promise<string> {
  if (bucket === homeBucket) return uri;
  const source = parseS3Uri(uri);
  const CopySource = [source.bucket, ...source.key.split("/")].map(encodeURIComponent).join("/");
  await s3.send(new CopyObjectCommand({ Bucket: bucket, Key: source.key, CopySource }));
  return `s3://${bucket}/${source.key}`;
}
