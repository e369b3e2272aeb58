/** Copies an object into a stage's bucket, and tells one that is gone from one that the stage may not read. */
import {
  CopyObjectCommand,
  HeadObjectCommand,
  type CopyObjectCommandInput,
  type S3Client,
} from "@aws-sdk/client-s3";
import { FAILURES } from "../fleet/errors.js";
import { messageOf, permanent } from "./application-failure.js";
import { isMissingObject, parseS3Uri } from "./s3-uri.js";

export interface CopyStore {
  readonly s3: S3Client;
  /** The stage's. */
  readonly bucket: string;
  /** Of the account where the training jobs leave what they made. */
  readonly homeS3: S3Client;
}

/**
 * Within S3, with the stage's credentials. False when the source is gone; then nothing has changed. Throws AccessDenied
 * when it is there and the stage may not read it, or may not write.
 */
export async function copyObject(
  { s3, bucket, homeS3 }: CopyStore,
  uri: string,
  target: Omit<CopyObjectCommandInput, "Bucket" | "CopySource">,
): Promise<boolean> {
  const source = parseS3Uri(uri);
  const CopySource = [source.bucket, ...source.key.split("/")].map(encodeURIComponent).join("/");
  try {
    await s3.send(new CopyObjectCommand({ ...target, Bucket: bucket, CopySource }));
    return true;
  } catch (error) {
    if (isMissingObject(error)) return false;
    if (source.bucket === bucket || !isDenied(error)) throw error;
    // Whoever may not list a bucket is not told that an object is not there (S3 API, GetObject). Its owner is.
    const get = new HeadObjectCommand({ Bucket: source.bucket, Key: source.key });
    const isGone = await homeS3.send(get).then(
      () => false,
      (reason: unknown) => {
        if (isMissingObject(reason)) return true;
        throw reason;
      },
    );
    if (isGone) return false;
    throw permanent(FAILURES.accessDenied, {
      message: `the stage's role may not copy ${uri} to s3://${bucket}/${target.Key ?? ""}: ${messageOf(error)}`,
      hint:
        "modelfleet accounts plan FLEET.ts tells what the bucket policies lack, and " +
        "modelfleet iam worker-policy FLEET.ts --stage STAGE what the role itself must be allowed",
      cause: error,
    });
  }
}

const isDenied = (error: unknown): boolean =>
  error instanceof Error && error.name === "AccessDenied";
