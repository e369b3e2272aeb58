/** Writes one object to S3 as its bytes come: in one PUT if it is small, else in parts. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import type { BufferPool } from "./buffer-pool.js";
import type { UploadWindow } from "./upload-window.js";

/** S3 takes parts of 5 MiB and more, and 10,000 of them: objects of up to 48 GiB. */
export const PART_BYTES = 5 * 1024 * 1024;
const NOTHING = Buffer.alloc(0);

export interface ObjectDestination {
  readonly s3: S3Client;
  readonly bucket: string;
  readonly key: string;
  readonly window: UploadWindow;
  readonly buffers: BufferPool;
}

export class ObjectWriter {
  private buffer: Buffer = NOTHING;
  private used = 0;
  private multipart: Multipart | undefined;
  private readonly destination: ObjectDestination;

  constructor(destination: ObjectDestination) {
    this.destination = destination;
  }

  /** Never waits; call `flush` between chunks, or the buffer grows without bound. */
  append(chunk: Buffer, start: number, end: number): void {
    const needed = this.used + end - start;
    if (needed > this.buffer.length) this.grow(needed);
    chunk.copy(this.buffer, this.used, start, end);
    this.used = needed;
  }

  /** The bytes that are not on their way yet. */
  get pending(): Buffer {
    return this.buffer.subarray(0, this.used);
  }

  get isLarge(): boolean {
    return this.used >= PART_BYTES;
  }

  /** Sends what has gathered as a part of its own. */
  async flush(): Promise<void> {
    this.multipart ??= await Multipart.create(this.destination);
    const { buffer, pending } = this;
    this.buffer = NOTHING;
    this.used = 0;
    await this.multipart.upload(pending, buffer);
  }

  /** Sends the rest. The object is there once the upload window has drained. */
  async end(): Promise<void> {
    const { buffer, pending: rest } = this;
    if (this.multipart !== undefined) return this.multipart.complete(rest, buffer);
    const { s3, bucket, key, window, buffers } = this.destination;
    await window.start(rest.length, async () => {
      await s3.send(
        new PutObjectCommand({ Bucket: bucket, Key: key, Body: rest, ContentType: "text/csv" }),
      );
      // Answered with success: it was read to its end. After a failure it may still be on its way.
      buffers.give(buffer);
    });
  }

  /** For an object that is not written after all. */
  discard(): void {
    this.destination.buffers.give(this.buffer);
    this.buffer = NOTHING;
    this.used = 0;
  }

  private grow(needed: number): void {
    const { buffers } = this.destination;
    const larger = buffers.take(needed);
    this.buffer.copy(larger, 0, 0, this.used);
    buffers.give(this.buffer);
    this.buffer = larger;
  }
}

class Multipart {
  private readonly etags: (string | undefined)[] = [];
  private readonly parts: Promise<void>[] = [];
  private readonly destination: ObjectDestination;
  private readonly uploadId: string;

  private constructor(destination: ObjectDestination, uploadId: string) {
    this.destination = destination;
    this.uploadId = uploadId;
  }

  static async create(destination: ObjectDestination): Promise<Multipart> {
    const { s3, bucket, key } = destination;
    const { UploadId } = await s3.send(
      new CreateMultipartUploadCommand({ Bucket: bucket, Key: key, ContentType: "text/csv" }),
    );
    if (UploadId === undefined) throw new Error(`S3 gave no upload id for s3://${bucket}/${key}`);
    return new Multipart(destination, UploadId);
  }

  /** `body` is a part of `buffer`, which is given back once S3 has it. */
  async upload(body: Buffer, buffer: Buffer): Promise<void> {
    const { s3, bucket, key, window, buffers } = this.destination;
    const index = this.etags.push(undefined) - 1;
    await window.start(body.length, () => {
      const part = s3
        .send(
          new UploadPartCommand({
            Bucket: bucket,
            Key: key,
            UploadId: this.uploadId,
            PartNumber: index + 1,
            Body: body,
          }),
        )
        .then(({ ETag }) => {
          this.etags[index] = ETag;
          buffers.give(buffer);
        });
      part.catch(() => undefined); // Told to the window, and again to `finish`.
      this.parts.push(part);
      return part;
    });
  }

  /** The completion waits for the parts within the window, so that `drain` covers it. */
  async complete(rest: Buffer, buffer: Buffer): Promise<void> {
    if (rest.length > 0) await this.upload(rest, buffer);
    await this.destination.window.start(0, () => this.finish());
  }

  private async finish(): Promise<void> {
    const { s3, bucket, key } = this.destination;
    const upload = { Bucket: bucket, Key: key, UploadId: this.uploadId };
    try {
      await Promise.all(this.parts);
      const Parts = this.etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
      await s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
    } catch (error) {
      // Parts without an end are billed for ever.
      await s3.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
      throw error;
    }
  }
}
