/** The small object that tells clients which endpoint to call for a customer, and for which model. */
import { DeleteObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { s3Keys } from "../fleet/names.js";
import type { ServingAddress } from "../fleet/serving.js";
import type { StageRef } from "./ledger/publications.js";
import type { ArtifactStore } from "./served-artifacts.js";

export interface PointedVersion {
  readonly customerKey: string;
  readonly version: number;
  readonly address: Pick<ServingAddress, "endpointName" | "targetModel">;
  readonly modelPackageArn: string | undefined;
}

export async function putPointer(
  { s3, bucket }: ArtifactStore,
  place: StageRef,
  { customerKey, version, address, modelPackageArn }: PointedVersion,
): Promise<void> {
  const { endpointName: endpoint, targetModel } = address;
  const publishedAt = new Date().toISOString();
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: s3Keys.pointer({ ...place, customerKey }),
      Body: JSON.stringify({ endpoint, targetModel, version, modelPackageArn, publishedAt }),
      ContentType: "application/json",
    }),
  );
}

/** From now on the customer has no model. */
export async function deletePointer(
  { s3, bucket }: ArtifactStore,
  place: StageRef,
  customerKey: string,
): Promise<void> {
  const Key = s3Keys.pointer({ ...place, customerKey });
  await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
}
