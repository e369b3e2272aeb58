/** Writes one object to S3 as its bytes come: in one PUT if it is small, else in parts. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import type { UploadWindow } from "./upload-window.js";

/** S3 takes parts of 5 MiB and more, and 10,000 of them: objects of up to 48 GiB. */
export const PART_BYTES = 5 * 1024 * 1024;
const FIRST_BUFFER_BYTES = 16 * 1024;
const NOTHING = Buffer.alloc(0);

export interface ObjectDestination {
  readonly s3: S3Client;
  readonly bucket: string;
  readonly key: string;
  readonly window: UploadWindow;
}

export class ObjectWriter {
  private buffer = NOTHING;
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
    const part = this.pending;
    this.buffer = NOTHING;
    this.used = 0;
    await this.multipart.upload(part);
  }

  /** Sends the rest. The object is there once the upload window has drained. */
  async end(): Promise<void> {
    const rest = this.pending;
    if (this.multipart !== undefined) return this.multipart.complete(rest);
    const { s3, bucket, key, window } = this.destination;
    await window.start(rest.length, async () => {
      await s3.send(
        new PutObjectCommand({ Bucket: bucket, Key: key, Body: rest, ContentType: "text/csv" }),
      );
    });
  }

  private grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(
      Math.max(needed, this.buffer.length * 2, FIRST_BUFFER_BYTES),
    );
    this.buffer.copy(larger, 0, 0, this.used);
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

  async upload(body: Buffer): Promise<void> {
    const { s3, bucket, key, window } = this.destination;
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
        .then(({ ETag }) => void (this.etags[index] = ETag));
      part.catch(() => undefined); // Told to the window, and again to `finish`.
      this.parts.push(part);
      return part;
    });
  }

  /** The completion waits for the parts within the window, so that `drain` covers it. */
  async complete(rest: Buffer): Promise<void> {
    if (rest.length > 0) await this.upload(rest);
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
