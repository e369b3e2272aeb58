/** Makes the stack's bucket, with versioning on, unless it is there. */
import {
  CreateBucketCommand,
  GetBucketVersioningCommand,
  PutBucketVersioningCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { KeyPair } from "./stack-file.js";

export interface BucketOptions {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly keys: KeyPair;
}

export async function ensureVersionedBucket(options: BucketOptions): Promise<void> {
  const { bucket: Bucket } = options;
  const client = new S3Client({
    endpoint: options.endpoint,
    region: options.region,
    credentials: { ...options.keys }, // The SDK writes its own marks into the object it is given.
    forcePathStyle: true,
    maxAttempts: 1, // The caller probes until it succeeds.
  });
  try {
    const status = await versioningStatus(client, Bucket);
    if (status === "Enabled") return;
    if (status === "no bucket") await client.send(new CreateBucketCommand({ Bucket }));
    const VersioningConfiguration = { Status: "Enabled" as const };
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  } finally {
    client.destroy();
  }
}

async function versioningStatus(client: S3Client, Bucket: string): Promise<string | undefined> {
  try {
    return (await client.send(new GetBucketVersioningCommand({ Bucket }))).Status;
  } catch (error) {
    if (error instanceof Error && error.name === "NoSuchBucket") return "no bucket";
    throw error;
  }
}
