/** Cuts a stream of COPY rows, bytes in and bytes out, into customers and splits. */
import { CHANNELS, type Channel } from "../../fleet/names.js";

const NEWLINE = 0x0a;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const QUOTE = 0x22;

/** What a row turned out to be: the split it goes to, or why it goes nowhere. */
export interface RowSink {
  /** Rows of another customer follow; raw is the CSV field as it came, quotes and all. */
  customer(raw: Buffer): void;
  /** One CSV line with its newline: `chunk[start, end)`, valid during the call only. */
  row(channel: Channel, chunk: Buffer, start: number, end: number): void;
  /** The target is NULL, NaN or infinite. */
  invalidRow(): void;
  rowWithoutCustomer(): void;
}

/** Rows of `copyQuery` in CSV. Everything is synchronous, so the caller decides when to wait for its sink. */
export class RowSplitter {
  /** The current customer's raw field with the comma that ends it; undefined before the first. */
  private current: Buffer | undefined;
  /** Reused for every chunk: a new one each would leave garbage faster than it is collected. */
  private buffer = Buffer.alloc(0);
  /** Bytes at the buffer's start of a row whose end has not come yet. */
  private rest = 0;
  private readonly channelOf: (place: number) => Channel;
  private readonly sink: RowSink;

  constructor(o: { shares: { validation: number; test: number }; sink: RowSink }) {
    this.channelOf = splitOf(o.shares);
    this.sink = o.sink;
  }

  push(received: Buffer): void {
    const chunk = this.afterRest(received);
    let start = 0;
    let quote = nextIndex(chunk, QUOTE, 0);
    for (;;) {
      let newline = nextIndex(chunk, NEWLINE, start);
      // A newline within quotes belongs to a value. Quotes are rare, so only rows that have one are looked at.
      if (quote < newline) {
        newline = rowEnd(chunk, start);
        quote = nextIndex(chunk, QUOTE, newline);
      }
      if (newline >= chunk.length) break;
      this.row(chunk, start, newline + 1);
      start = newline + 1;
    }
    this.rest = chunk.length - start;
    this.buffer.copyWithin(0, start, chunk.length);
  }

  /** Call once after the last chunk. */
  end(): void {
    if (this.rest > 0) throw new Error("the warehouse's stream ended within a row");
  }

  private afterRest(received: Buffer): Buffer {
    const length = this.rest + received.length;
    if (length > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * length);
      this.buffer.copy(larger, 0, 0, this.rest);
      this.buffer = larger;
    }
    received.copy(this.buffer, this.rest);
    return this.buffer.subarray(0, length);
  }

  private row(chunk: Buffer, start: number, end: number): void {
    let at = start;
    const negative = chunk[at] === MINUS;
    if (negative) at++;
    let place = 0;
    for (let digit = chunk[at]; digit !== undefined && digit !== COMMA; digit = chunk[++at])
      place = place * 10 + (digit - ZERO);
    at = this.customer(chunk, at + 1, end);
    if (at < 0) return this.sink.rowWithoutCustomer();
    if (!isUsable(chunk, at)) return this.sink.invalidRow();
    this.sink.row(this.channelOf(negative ? -place : place), chunk, at, end);
  }

  /** Tells the sink when the customer changes; returns where the target starts, or -1 for a NULL customer. */
  private customer(chunk: Buffer, start: number, end: number): number {
    if (this.current !== undefined && startsWith(chunk, start, this.current))
      return start + this.current.length;
    if (chunk[start] === COMMA) return -1;
    const comma = fieldEnd(chunk, start, end);
    // A copy: the next chunk writes over this one.
    this.current = Buffer.from(chunk.subarray(start, comma + 1));
    this.sink.customer(this.current.subarray(0, -1));
    return comma + 1;
  }
}

/** Which split a place falls to: the first share of all places trains, the last one tests. */
export function splitOf(shares: {
  readonly validation: number;
  readonly test: number;
}): (place: number) => Channel {
  const [train, validation, test] = CHANNELS;
  const range = 2 ** 64;
  const toValidation = (1 - shares.validation - shares.test - 0.5) * range;
  const toTest = (1 - shares.test - 0.5) * range;
  return (place) => (place < toValidation ? train : place < toTest ? validation : test);
}

/** The value of a raw CSV field. */
export function fieldValue(raw: Buffer): string {
  const text = raw.toString("utf8");
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
}

/** Postgres prints a finite number with a digit first or after its sign; NULL is empty; then NaN and Infinity. */
function isUsable(chunk: Buffer, at: number): boolean {
  const first = chunk[at] === MINUS ? chunk[at + 1] : chunk[at];
  return first !== undefined && first >= ZERO && first <= NINE;
}

function nextIndex(chunk: Buffer, byte: number, from: number): number {
  const found = chunk.indexOf(byte, from);
  return found < 0 ? chunk.length : found;
}

/** The newline that ends the row, outside of quotes; the chunk's length when it is not there yet. */
function rowEnd(chunk: Buffer, start: number): number {
  let quotes = 0;
  for (let at = start; at < chunk.length; at++) {
    if (chunk[at] === QUOTE) quotes++;
    else if (chunk[at] === NEWLINE && quotes % 2 === 0) return at;
  }
  return chunk.length;
}

/** The comma that ends the field, outside of quotes. A doubled quote is two: the count stays right. */
function fieldEnd(chunk: Buffer, start: number, end: number): number {
  let quotes = 0;
  for (let at = start; at < end; at++) {
    if (chunk[at] === QUOTE) quotes++;
    else if (chunk[at] === COMMA && quotes % 2 === 0) return at;
  }
  throw new Error("the warehouse's stream has a row with too few fields");
}

function startsWith(chunk: Buffer, start: number, prefix: Buffer): boolean {
  for (let index = 0; index < prefix.length; index++)
    if (chunk[start + index] !== prefix[index]) return false;
  return true;
}
