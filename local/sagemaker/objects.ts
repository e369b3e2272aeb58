/** The object store as the server sees it: one pooled client, objects read and written as streams. */
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { Agent } from "node:http";
import { Readable } from "node:stream";
import type { S3Location } from "./arns.js";
import type { ServerConfig } from "./config.schema.js";
import { mintForRole } from "./session-credentials.js";

export interface Objects extends ReturnType<typeof openObjects> {
  /** The same store, as a role sees it: what its account's buckets and other buckets' policies let it do. */
  as(roleArn: string | undefined): Objects;
}

/** Two cores download and upload for a few jobs at a time: more sockets would only wait. */
const maxSockets = 64;

/** Read whole and sent at once; more goes in parts. A few of these are under way at a time. */
const smallFileBytes = 1024 * 1024;

/** AWS, DeleteObjects. */
const deletedAtATime = 1000;

export function createObjects(config: Pick<ServerConfig, "s3" | "region">): Objects {
  const { endpoint, accessKeyId, secretAccessKey, sessionKey } = config.s3;
  const settings = {
    endpoint,
    region: config.region,
    forcePathStyle: true,
    requestHandler: { httpAgent: new Agent({ keepAlive: true, maxSockets }) },
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  } as const;
  const byRole = new Map<string, Objects>();
  const open = (credentials: S3ClientConfig["credentials"] & {}): Objects => ({
    ...openObjects(new S3Client({ ...settings, credentials })),
    as: (roleArn) => {
      if (sessionKey === undefined || roleArn === undefined) return own;
      const known = byRole.get(roleArn) ?? open(async () => sessionOf(sessionKey, roleArn));
      byRole.set(roleArn, known);
      return known;
    },
  });
  const own = open({ accessKeyId, secretAccessKey });
  const close = () => [own, ...byRole.values()].forEach((each) => each.close());
  return { ...own, close };
}

/** AWS renews what a role has for its jobs and endpoints as often as it takes; the SDK asks for it in time. */
const sessionSeconds = 60 * 60;

function sessionOf(sessionKey: string, arn: string) {
  const { expiresAt, ...keys } = mintForRole(sessionKey, arn, sessionSeconds);
  return { ...keys, expiration: new Date(expiresAt * 1000) };
}

function openObjects(client: S3Client) {
  return {
    async exists({ bucket, key }: S3Location): Promise<boolean> {
      if (key === "") return false;
      const head = client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
      return head.then(() => true, falseWhenMissing);
    },

    /** Is there an object whose key begins like this? */
    async someUnder({ bucket, key }: S3Location): Promise<boolean> {
      const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: key, MaxKeys: 1 });
      return client.send(list).then(({ KeyCount = 0 }) => KeyCount > 0, falseWhenMissing);
    },

    /** The keys that begin like this, in the order of their UTF-8 bytes, page by page. */
    async *keysUnder({ bucket, key }: S3Location): AsyncGenerator<string> {
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: key,
            ...(token !== undefined && { ContinuationToken: token }),
          }),
        );
        for (const { Key } of page.Contents ?? []) if (Key !== undefined) yield Key;
        token = page.NextContinuationToken;
      } while (token !== undefined);
    },

    /** Rejects with an error named NoSuchKey when there is no such object. */
    async read({ bucket, key }: S3Location): Promise<Readable> {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      if (!(Body instanceof Readable)) throw new Error(`no body in s3://${bucket}/${key}`);
      return Body;
    },

    async write({ bucket, key }: S3Location, body: Readable | Buffer): Promise<void> {
      const params = { Bucket: bucket, Key: key, Body: body };
      await new Upload({ client, params, queueSize: 2 }).done();
    },

    ...createFileWrites(client),

    close: () => client.destroy(),
  };
}

/** What keeps a folder and its copy in the store alike. */
function createFileWrites(client: S3Client) {
  return {
    /** Uploads a file: a small one from memory, so that the SDK can send it again after a fault. */
    async writeFile({ bucket, key }: S3Location, path: string, sizeBytes: number): Promise<void> {
      const place = { Bucket: bucket, Key: key };
      if (sizeBytes > smallFileBytes) {
        const params = { ...place, Body: createReadStream(path) };
        return void (await new Upload({ client, params, queueSize: 2 }).done());
      }
      await client.send(new PutObjectCommand({ ...place, Body: await readFile(path) }));
    },

    /** Deletes objects of one bucket; one that is not there is no error. */
    async remove(bucket: string, keys: readonly string[]): Promise<void> {
      for (let start = 0; start < keys.length; start += deletedAtATime) {
        const Objects = keys.slice(start, start + deletedAtATime).map((Key) => ({ Key }));
        const { Errors: [refused] = [] } = await client.send(
          new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
        );
        if (refused !== undefined)
          throw new Error(`cannot delete s3://${bucket}/${refused.Key}: ${refused.Message}`);
      }
    },
  };
}

/** A missing bucket, a missing object and one that we may not see are the same to the caller. */
function falseWhenMissing(error: unknown): false {
  if (error instanceof S3ServiceException) {
    // The answer to a HEAD has no body that would name the error.
    const { httpStatusCode } = error.$metadata;
    if (httpStatusCode === 403 || httpStatusCode === 404) return false;
  }
  throw error;
}
