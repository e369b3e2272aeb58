/** Receives a cycle's rows customer by customer: uploads the splits, and notes what each customer has. */
import { createHash } from "node:crypto";
import { LIMITS } from "../../fleet/limits.js";
import { customerKey, type Channel } from "../../fleet/names.js";
import {
  ChannelObjects,
  CustomerObject,
  type CustomerObjects,
  type ObjectsDestination,
} from "./customer-objects.js";
import { fieldValue, type RowSink } from "./row-splitter.js";

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

export interface DatasetDestination extends ObjectsDestination {
  readonly fleet: string;
  readonly cycle: string;
  /** One object for each customer, and not one for each of its channels. */
  readonly oneObject: boolean;
  /** Customers with fewer rows are skipped by the plan, so their bytes would never be read. */
  readonly minimumRows: number;
  /** Keys of customers whose data of this cycle must stay as it is. */
  readonly keep: ReadonlySet<string>;
}

interface Open {
  readonly customer: string;
  readonly customerKey: string;
  readonly objects: CustomerObjects;
  readonly rows: Record<Channel, number>;
  /** Released in this cycle already: counted, but written nowhere. */
  readonly keep: boolean;
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
    open.objects.append(channel, chunk, start, end);
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
    await open?.objects.settle();
  }

  /** Customers that are on their way since the last call. */
  takeFinished(): CustomerDataset[] {
    const taken = this.finished;
    this.finished = [];
    return taken;
  }

  private opened(customer: string): Open {
    const { fleet, cycle, oneObject } = this.destination;
    const key = customerKey(customer);
    const Objects = oneObject ? CustomerObject : ChannelObjects;
    return {
      customer,
      customerKey: key,
      objects: new Objects(this.destination, { fleet, cycle, customerKey: key }),
      rows: { train: 0, validation: 0, test: 0 },
      keep: this.destination.keep.has(key),
      invalidRows: 0,
      verification: [],
    };
  }

  private async finish(customer: Open): Promise<void> {
    if (customer.keep) return;
    const { rows } = customer;
    const usable = rows.train + rows.validation + rows.test;
    const { objects } = customer;
    const all = createHash("sha256");
    for (const digest of objects.digests()) all.update(digest);
    const wanted = usable >= this.destination.minimumRows || objects.isSending;
    if (wanted && usable > 0) await objects.end();
    else objects.discard();
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
