/** The artifacts that a stage's endpoint can load: put there, looked at, taken away. */
import { DeleteObjectCommand, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { s3Keys } from "../fleet/names.js";
import { copyObject, type CopyStore } from "./copy-object.js";
import type { StageRef } from "./ledger/publications.js";
import { isMissingObject } from "./s3-uri.js";

export interface ArtifactStore {
  readonly s3: S3Client;
  readonly bucket: string;
}

/** Where an endpoint's models are: a stage's, or of a pipeline those of one generation of its preprocessor. */
export interface ModelFolder extends StageRef {
  readonly generation?: number | null;
}

export interface ServedArtifact {
  readonly targetModel: string;
  readonly version: number;
  /** What the training job left. */
  readonly artifactUri: string;
}

/** On the object itself, since a stable name does not tell which version it holds. */
const VERSION_KEY = "modelfleet-version";

/** False when the source is gone; then nothing has changed. Throws AccessDenied as `copyObject` does. */
export const copyArtifact = (
  store: CopyStore,
  place: ModelFolder,
  { targetModel, version, artifactUri }: ServedArtifact,
): Promise<boolean> =>
  copyObject(store, artifactUri, {
    Key: s3Keys.artifact({ ...place, targetModel }),
    MetadataDirective: "REPLACE",
    Metadata: { [VERSION_KEY]: String(version) },
    ContentType: "application/gzip",
  });

/** The version that the endpoint would load under this name; null when there is no such object. */
export async function heldVersion(
  { s3, bucket }: ArtifactStore,
  place: ModelFolder,
  targetModel: string,
): Promise<number | null> {
  const Key = s3Keys.artifact({ ...place, targetModel });
  try {
    const { Metadata } = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key }));
    return Number(Metadata?.[VERSION_KEY] ?? NaN);
  } catch (error) {
    if (isMissingObject(error)) return null;
    throw error;
  }
}

/** What the training job left stays where it is; this was a copy. */
export async function removeArtifact(
  { s3, bucket }: ArtifactStore,
  place: ModelFolder,
  targetModel: string,
): Promise<void> {
  const Key = s3Keys.artifact({ ...place, targetModel });
  await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
}
