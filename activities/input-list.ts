/** Writes which objects a job of the whole cycle reads: SageMaker's ManifestFile. */
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { sha256Hex } from "../fleet/canonical-json.js";
import { s3Keys } from "../fleet/names.js";
import type { CycleRef } from "./ledger/cycles.js";

export interface ListDestination {
  readonly s3: S3Client;
  readonly bucket: string;
}

/** Returns its URI, which is named after what it holds: the same list is the same object. */
export async function writeInputList(
  { s3, bucket }: ListDestination,
  { fleet, cycle }: CycleRef,
  { folder, paths }: { readonly folder: string; readonly paths: readonly string[] },
): Promise<string> {
  const text = `[${[{ prefix: `s3://${bucket}/${folder}` }, ...paths].map((one) => JSON.stringify(one)).join(",\n")}]\n`;
  const key = s3Keys.inputList(fleet, cycle, sha256Hex(text));
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: text,
      ContentType: "application/json",
    }),
  );
  return `s3://${bucket}/${key}`;
}
