/** Takes an S3 URI apart. */

export interface S3Object {
  readonly bucket: string;
  readonly key: string;
}

export function parseS3Uri(uri: string): S3Object {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
  if (bucket === undefined || key === undefined) throw new Error(`"${uri}" is no S3 URI`);
  return { bucket, key };
}

/** S3 says it in several ways: for a HEAD, for a GET and as the source of a copy. */
export const isMissingObject = (error: unknown): boolean =>
  error instanceof Error && (error.name === "NoSuchKey" || error.name === "NotFound");
