/** Goes through the objects under a prefix, and deletes them by the page. */
import { DeleteObjectsCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";

export interface ListedObject {
  readonly key: string;
  readonly size: number;
  readonly modified: Date | undefined;
}

/** At most a thousand each, as S3 gives them. */
export async function* objectPages(
  s3: S3Client,
  Bucket: string,
  Prefix: string,
): AsyncGenerator<ListedObject[]> {
  let ContinuationToken: string | undefined;
  do {
    const token = ContinuationToken === undefined ? {} : { ContinuationToken };
    const page = await s3.send(new ListObjectsV2Command({ Bucket, Prefix, ...token }));
    yield (page.Contents ?? []).map(({ Key = "", Size = 0, LastModified }) => ({
      ...{ key: Key, size: Size, modified: LastModified },
    }));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
}

/** Of one page: S3 takes a thousand at a time. In a versioned bucket they stay as noncurrent versions. */
export async function deleteObjects(
  s3: S3Client,
  Bucket: string,
  objects: readonly ListedObject[],
): Promise<void> {
  const Objects = objects.map(({ key: Key }) => ({ Key }));
  if (Objects.length === 0) return;
  const { Errors = [] } = await s3.send(
    new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
  );
  const [first] = Errors;
  if (first !== undefined)
    throw new Error(
      `s3://${Bucket}/${first.Key ?? ""} was not deleted: ${first.Message ?? first.Code ?? "S3 gave no reason"}`,
    );
}
