/** Puts a fleet's packed sources where training jobs fetch them; the key is their hash, so once is enough. */
import { s3Keys } from "../fleet/names.js";
import type { Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import type { LoadedFleet } from "./fleet-file.js";
import { setting } from "./settings.js";

/** Returns whether anything had to be uploaded. */
export async function uploadCode(connections: Connections, loaded: LoadedFleet): Promise<boolean> {
  const { HeadObjectCommand, PutObjectCommand } = await import("@aws-sdk/client-s3");
  const s3 = await connections.s3();
  const Bucket = setting(connections.environment, "MODELFLEET_BUCKET");
  const Key = s3Keys.code(loaded.spec.name, loaded.source.hash);
  try {
    const there = await s3
      .send(new HeadObjectCommand({ Bucket, Key }))
      .then(() => true)
      .catch(absent);
    if (there) return false;
    await s3.send(
      new PutObjectCommand({
        Bucket,
        Key,
        Body: await loaded.source.bytes(),
        ContentType: "application/gzip",
      }),
    );
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
