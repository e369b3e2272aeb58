/** Brings what all of a stage's containers share to where they may read it: code, and a pipeline's preprocessor. */
import { FAILURES } from "../fleet/errors.js";
import { s3Keys } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { permanent } from "./application-failure.js";
import { copyObject, type CopyStore } from "./copy-object.js";
import { parseS3Uri } from "./s3-uri.js";

export interface StageStore extends CopyStore {
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
 * that is there is the same. In the home account's own bucket there is nothing to do. Throws SpecInvalid when it is
 * gone, and AccessDenied as `copyObject` does.
 */
export async function copyToStage(store: StageStore, uri: string): Promise<string> {
  const { bucket, homeBucket } = store;
  if (bucket === homeBucket) return uri;
  const { key } = parseS3Uri(uri);
  if (await copyObject(store, uri, { Key: key })) return `s3://${bucket}/${key}`;
  throw permanent(FAILURES.specInvalid, {
    message: `${uri}, which all of the stage's models need, is gone`,
    hint: "put it back from an earlier version of the bucket's object",
  });
}
