/** A stage's bucket: there, of the stage's account, keeping versions, closed to the public. */
import type { S3Client } from "@aws-sdk/client-s3";
import { ClientError } from "./errors.js";
import type { OpenStage } from "./stage-connections.js";

export interface BucketStep {
  readonly kind: "bucket" | "bucket-versioning" | "bucket-public-access";
  readonly name: string;
}

/** What is missing of it. Throws ClientError when the bucket is somebody else's. */
export async function missingOfBucket({ s3 }: OpenStage, name: string): Promise<BucketStep[]> {
  const { HeadBucketCommand } = await import("@aws-sdk/client-s3");
  const there = await s3.send(new HeadBucketCommand({ Bucket: name })).then(
    () => true,
    (error: unknown) => {
      if (statusOf(error) === 404) return false;
      if (statusOf(error) !== 403) throw error;
      throw new ClientError(
        `the bucket ${name} is another account's, or the stage's role may not see it`,
        `choose another name (bucket of the stage), or allow the role s3:ListBucket on ${name}`,
        { cause: error },
      );
    },
  );
  const all = ["bucket", "bucket-versioning", "bucket-public-access"] as const;
  const isMissing = {
    bucket: async () => !there,
    "bucket-versioning": async () => !there || !(await keepsVersions(s3, name)),
    "bucket-public-access": async () => isOpen(s3, name, there),
  };
  const missing: BucketStep[] = [];
  for (const kind of all) if (await isMissing[kind]()) missing.push({ kind, name });
  return missing;
}

export async function applyBucketStep({ s3, region }: OpenStage, step: BucketStep): Promise<void> {
  const commands = await import("@aws-sdk/client-s3");
  const { name: Bucket } = step;
  switch (step.kind) {
    case "bucket": {
      // AWS refuses its oldest region by name.
      const isDefault = region === "us-east-1";
      const LocationConstraint =
        commands.BucketLocationConstraint[region as keyof typeof commands.BucketLocationConstraint];
      const place = isDefault ? {} : { CreateBucketConfiguration: { LocationConstraint } };
      await s3.send(new commands.CreateBucketCommand({ Bucket, ...place })).catch(unlessOwned);
      return;
    }
    case "bucket-versioning": {
      const VersioningConfiguration = { Status: "Enabled" as const };
      await s3.send(new commands.PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
      return;
    }
    case "bucket-public-access": {
      const put = new commands.PutPublicAccessBlockCommand({
        Bucket,
        PublicAccessBlockConfiguration: CLOSED,
      });
      await s3.send(put).catch(unlessNotOffered);
    }
  }
}

const CLOSED = {
  BlockPublicAcls: true,
  IgnorePublicAcls: true,
  BlockPublicPolicy: true,
  RestrictPublicBuckets: true,
} as const;

async function keepsVersions(s3: S3Client, Bucket: string): Promise<boolean> {
  const { GetBucketVersioningCommand } = await import("@aws-sdk/client-s3");
  return (await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status === "Enabled";
}

/** AWS closes every new bucket by itself; a store that does not know of it has nothing to close. */
async function isOpen(s3: S3Client, Bucket: string, there: boolean): Promise<boolean> {
  if (!there) return false;
  const { GetPublicAccessBlockCommand } = await import("@aws-sdk/client-s3");
  try {
    const { PublicAccessBlockConfiguration: closed = {} } = await s3.send(
      new GetPublicAccessBlockCommand({ Bucket }),
    );
    return !Object.keys(CLOSED).every((name) =>
      Object.entries(closed).some(([key, value]) => key === name && value === true),
    );
  } catch (error) {
    if (statusOf(error) === 501) return false;
    if (error instanceof Error && error.name === "NoSuchPublicAccessBlockConfiguration")
      return true;
    throw error;
  }
}

function unlessOwned(error: unknown): void {
  if (!(error instanceof Error) || error.name !== "BucketAlreadyOwnedByYou") throw error;
}

function unlessNotOffered(error: unknown): void {
  if (statusOf(error) !== 501) throw error;
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("$metadata" in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== "object" || metadata === null || !("httpStatusCode" in metadata))
    return undefined;
  return typeof metadata.httpStatusCode === "number" ? metadata.httpStatusCode : undefined;
}
