/** Buffers that have been uploaded, for the rows that come next. */

/** Smaller ones would be outgrown by nearly every customer. */
const SMALLEST_BYTES = 16 * 1024;

/**
 * Rows come faster than garbage is collected: with a new buffer for every object the process grows by what it has
 * uploaded lately. Sizes are powers of two, so that most of what is given back fits what is asked for.
 */
export class BufferPool {
  private readonly free = new Map<number, Buffer[]>();
  private bytes = 0;
  private readonly keepBytes: number;

  /** Keeps at most so many bytes of buffers that nobody uses. */
  constructor(keepBytes: number) {
    this.keepBytes = keepBytes;
  }

  /** A buffer of at least so many bytes, with anything in it. */
  take(bytes: number): Buffer {
    const size = Math.max(SMALLEST_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
    const buffer = this.free.get(size)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size);
    this.bytes -= size;
    return buffer;
  }

  /** Only what nobody reads or writes any more. */
  give(buffer: Buffer): void {
    const size = buffer.length;
    if (size === 0 || this.bytes + size > this.keepBytes) return;
    this.bytes += size;
    const others = this.free.get(size);
    if (others === undefined) this.free.set(size, [buffer]);
    else others.push(buffer);
  }
}
