/** Receives a cycle's rows customer by customer: uploads the splits, and notes what each customer has. */
import { createHash, type Hash } from "node:crypto";
import type { S3Client } from "@aws-sdk/client-s3";
import { LIMITS } from "../../fleet/limits.js";
import { CHANNELS, customerKey, s3Keys, type Channel } from "../../fleet/names.js";
import type { BufferPool } from "./buffer-pool.js";
import { ObjectWriter } from "./object-writer.js";
import { fieldValue, type RowSink } from "./row-splitter.js";
import type { UploadWindow } from "./upload-window.js";

/** What one customer's dataset came to; a row of the ledger's `customers`. */
export interface CustomerDataset {
  readonly customer: string;
  readonly customerKey: string;
  readonly rows: Readonly<Record<Channel, number>>;
  readonly invalidRows: number;
  /** sha256 over the sha256 digests of train, validation and test; null without rows. */
  readonly dataHash: string | null;
  /** The first held-out rows, without the target. */
  readonly verification: readonly string[];
}

export interface DatasetDestination {
  readonly fleet: string;
  readonly cycle: string;
  readonly s3: S3Client;
  readonly bucket: string;
  readonly window: UploadWindow;
  readonly buffers: BufferPool;
  /** Customers with fewer rows are skipped by the plan, so their bytes would never be read. */
  readonly minimumRows: number;
  /** Keys of customers whose data of this cycle must stay as it is. */
  readonly keep: ReadonlySet<string>;
}

interface Open {
  readonly customer: string;
  readonly customerKey: string;
  readonly writers: Record<Channel, ObjectWriter>;
  readonly rows: Record<Channel, number>;
  /** By split, since one may be sent before the one before it has ended. */
  readonly hashes: Record<Channel, Hash>;
  /** Released in this cycle already: counted, but written nowhere. */
  readonly keep: boolean;
  /** Large enough to be sent before the customer's end. */
  sending: boolean;
  invalidRows: number;
  readonly verification: string[];
}

export class DatasetWriter implements RowSink {
  rows = 0;
  invalidRows = 0;
  rowsWithoutCustomer = 0;
  customers = 0;
  private open: Open | undefined;
  private ended: Open[] = [];
  private finished: CustomerDataset[] = [];
  private readonly destination: DatasetDestination;

  constructor(destination: DatasetDestination) {
    this.destination = destination;
  }

  customer(raw: Buffer): void {
    this.end();
    this.customers++;
    this.open = this.opened(fieldValue(raw));
  }

  row(channel: Channel, chunk: Buffer, start: number, end: number): void {
    const { open } = this;
    if (open === undefined) return;
    this.rows++;
    open.rows[channel]++;
    if (open.keep) return;
    open.writers[channel].append(chunk, start, end);
    if (channel === "test" && open.verification.length < LIMITS.verificationRows)
      open.verification.push(withoutTarget(chunk.toString("utf8", start, end - 1)));
  }

  invalidRow(): void {
    this.invalidRows++;
    if (this.open !== undefined) this.open.invalidRows++;
  }

  rowWithoutCustomer(): void {
    this.rowsWithoutCustomer++;
  }

  /** No rows of the current customer will follow. */
  end(): void {
    if (this.open !== undefined) this.ended.push(this.open);
    this.open = undefined;
  }

  /** Between chunks: sends what has ended, and parts of what is large. */
  async settle(): Promise<void> {
    const { ended, open } = this;
    this.ended = [];
    for (const customer of ended) await this.finish(customer);
    if (open === undefined) return;
    for (const channel of CHANNELS) {
      const writer = open.writers[channel];
      if (!writer.isLarge) continue;
      open.sending = true;
      open.hashes[channel].update(writer.pending);
      await writer.flush();
    }
  }

  /** Customers that are on their way since the last call. */
  takeFinished(): CustomerDataset[] {
    const taken = this.finished;
    this.finished = [];
    return taken;
  }

  private opened(customer: string): Open {
    const { fleet, cycle, s3, bucket, window, buffers } = this.destination;
    const key = customerKey(customer);
    const writer = (channel: Channel) =>
      new ObjectWriter({
        s3,
        bucket,
        window,
        buffers,
        key: s3Keys.rows({ fleet, cycle, customerKey: key, channel }),
      });
    return {
      customer,
      customerKey: key,
      writers: { train: writer("train"), validation: writer("validation"), test: writer("test") },
      rows: { train: 0, validation: 0, test: 0 },
      hashes: {
        train: createHash("sha256"),
        validation: createHash("sha256"),
        test: createHash("sha256"),
      },
      keep: this.destination.keep.has(key),
      sending: false,
      invalidRows: 0,
      verification: [],
    };
  }

  private async finish(customer: Open): Promise<void> {
    if (customer.keep) return;
    const { rows } = customer;
    const usable = rows.train + rows.validation + rows.test;
    const wanted = usable >= this.destination.minimumRows || customer.sending;
    const all = createHash("sha256");
    for (const channel of CHANNELS) {
      all.update(customer.hashes[channel].update(customer.writers[channel].pending).digest());
      const writer = customer.writers[channel];
      if (wanted && rows[channel] > 0) await writer.end();
      else writer.discard();
    }
    this.finished.push({
      customer: customer.customer,
      customerKey: customer.customerKey,
      rows,
      invalidRows: customer.invalidRows,
      dataHash: usable === 0 ? null : all.digest("hex"),
      verification: customer.verification,
    });
  }
}

/** The target is a number, so the first comma ends it. */
const withoutTarget = (line: string): string => line.slice(line.indexOf(",") + 1);
