/** Where the rows of one customer go: an object for each channel, or one for all of them. */
import { createHash, type Hash } from "node:crypto";
import type { S3Client } from "@aws-sdk/client-s3";
import { CHANNELS, s3Keys, type Channel, type DatasetKey } from "../../fleet/names.js";
import type { BufferPool } from "./buffer-pool.js";
import { ObjectWriter } from "./object-writer.js";
import type { UploadWindow } from "./upload-window.js";

export interface ObjectsDestination {
  readonly s3: S3Client;
  readonly bucket: string;
  readonly window: UploadWindow;
  readonly buffers: BufferPool;
}

/** Rows come in the order of the channels. */
export interface CustomerObjects {
  /** One CSV line with its newline: `chunk[start, end)`. Never waits. */
  append(channel: Channel, chunk: Buffer, start: number, end: number): void;
  /** Between chunks: sends parts of what is large. */
  settle(): Promise<void>;
  /** A part has been sent: the object is written, whatever becomes of its customer. */
  readonly isSending: boolean;
  /** Sends the rest. */
  end(): Promise<void>;
  discard(): void;
  /** Of each channel's bytes, which are the same however they are kept; call before `end` or `discard`. */
  digests(): Buffer[];
}

type ByChannel<T> = Readonly<Record<Channel, T>>;

const byChannel = <T>(make: (channel: Channel) => T): ByChannel<T> => ({
  train: make("train"),
  validation: make("validation"),
  test: make("test"),
});

const hashes = (): ByChannel<Hash> => byChannel(() => createHash("sha256"));

/** `data/<customer>/<channel>/data.csv`: what one training job for each customer reads. */
export class ChannelObjects implements CustomerObjects {
  isSending = false;
  private readonly writers: ByChannel<ObjectWriter>;
  private readonly filled = new Set<Channel>();
  private readonly hashes = hashes();

  constructor(destination: ObjectsDestination, key: DatasetKey) {
    this.writers = byChannel(
      (channel) => new ObjectWriter({ ...destination, key: s3Keys.rows({ ...key, channel }) }),
    );
  }

  append(channel: Channel, chunk: Buffer, start: number, end: number): void {
    this.filled.add(channel);
    this.writers[channel].append(chunk, start, end);
  }

  async settle(): Promise<void> {
    for (const channel of CHANNELS) {
      const writer = this.writers[channel];
      if (!writer.isLarge) continue;
      this.isSending = true;
      this.hashes[channel].update(writer.pending);
      await writer.flush();
    }
  }

  async end(): Promise<void> {
    for (const channel of CHANNELS)
      if (this.filled.has(channel)) await this.writers[channel].end();
      else this.writers[channel].discard();
  }

  discard(): void {
    for (const channel of CHANNELS) this.writers[channel].discard();
  }

  digests(): Buffer[] {
    return CHANNELS.map((channel) =>
      this.hashes[channel].update(this.writers[channel].pending).digest(),
    );
  }
}

/** What stands before a row in `customers/<customer>.csv`. */
const PREFIXES = byChannel((channel) => Buffer.from(`${channel},`));

/** Rows are hashed by this many bytes: a call for each row would cost more than the hash itself. */
const STAGE_BYTES = 64 * 1024;

/** `customers/<customer>.csv`, each row after its channel: what a sharded job deals out by the object. */
export class CustomerObject implements CustomerObjects {
  isSending = false;
  private readonly writer: ObjectWriter;
  private readonly buffers: BufferPool;
  private readonly hashes = hashes();
  private channel: Channel = "train";
  /** Rows of `channel` that are not hashed yet. */
  private stage: Buffer | undefined;
  private staged = 0;

  constructor(destination: ObjectsDestination, key: DatasetKey) {
    this.writer = new ObjectWriter({ ...destination, key: s3Keys.customerRows(key) });
    this.buffers = destination.buffers;
  }

  append(channel: Channel, chunk: Buffer, start: number, end: number): void {
    const prefix = PREFIXES[channel];
    this.writer.append(prefix, 0, prefix.length);
    this.writer.append(chunk, start, end);
    if (channel !== this.channel) this.hashStaged();
    this.channel = channel;
    if (this.staged + end - start > STAGE_BYTES) this.hashStaged();
    if (end - start > STAGE_BYTES) this.hashes[channel].update(chunk.subarray(start, end));
    else {
      this.stage ??= this.buffers.take(STAGE_BYTES);
      this.staged += chunk.copy(this.stage, this.staged, start, end);
    }
  }

  async settle(): Promise<void> {
    if (!this.writer.isLarge) return;
    this.isSending = true;
    await this.writer.flush();
  }

  end(): Promise<void> {
    return this.writer.end();
  }

  discard(): void {
    this.writer.discard();
  }

  digests(): Buffer[] {
    this.hashStaged();
    if (this.stage !== undefined) this.buffers.give(this.stage);
    this.stage = undefined;
    return CHANNELS.map((channel) => this.hashes[channel].digest());
  }

  /** The hash has read the bytes when `update` returns: the buffer is free again. */
  private hashStaged(): void {
    if (this.stage !== undefined && this.staged > 0)
      this.hashes[this.channel].update(this.stage.subarray(0, this.staged));
    this.staged = 0;
  }
}
