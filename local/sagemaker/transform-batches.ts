/** Cuts an object into the bodies of requests, however large it is: no more than one of them is in memory. */
import { JobFailure } from "./job-failure.js";

export interface BatchRules {
  /** Records end at line feeds; otherwise the object is one record. */
  readonly isSplit: boolean;
  /** One record to a request, or as many as fit. */
  readonly strategy: "SingleRecord" | "MultiRecord";
  readonly maxBytes: number;
}

const lineFeed = 10;

/** What is read at a time when each record is sent alone. */
const readBytes = 64 * 1024;

/** Each batch is whole records, line feeds included. Throws JobFailure for a record over the limit. */
export async function* batchesOf(
  source: AsyncIterable<Buffer>,
  { isSplit, strategy, maxBytes }: BatchRules,
): AsyncGenerator<Buffer> {
  const isSingle = strategy === "SingleRecord";
  const target = isSplit && isSingle ? Math.min(readBytes, maxBytes) : maxBytes;
  let rest: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    rest.push(chunk);
    size += chunk.length;
    while (size > target) {
      const read = Buffer.concat(rest);
      const cut = isSplit ? lastCut(read, target, maxBytes) : -1;
      if (cut < 0 && size > maxBytes) throw tooLarge(isSplit, maxBytes);
      rest = [read.subarray(Math.max(cut, 0))];
      size = read.length - Math.max(cut, 0);
      if (cut < 0) break; // A long record: its end is still to come.
      yield* isSingle ? records(read.subarray(0, cut)) : [read.subarray(0, cut)];
    }
  }
  if (size === 0) return;
  const last = Buffer.concat(rest);
  yield* isSplit && isSingle ? records(last) : [last];
}

/** The end of the last record within the target, or of the first one beyond it; -1 when there is none in the limit. */
function lastCut(read: Buffer, target: number, maxBytes: number): number {
  const within = read.lastIndexOf(lineFeed, target - 1);
  if (within >= 0) return within + 1;
  const beyond = read.indexOf(lineFeed, target);
  return beyond >= 0 && beyond < maxBytes ? beyond + 1 : -1;
}

function* records(lines: Buffer): Generator<Buffer> {
  for (let start = 0; start < lines.length;) {
    const feed = lines.indexOf(lineFeed, start);
    const end = feed < 0 ? lines.length : feed + 1;
    yield lines.subarray(start, end);
    start = end;
  }
}

const tooLarge = (isSplit: boolean, maxBytes: number) =>
  new JobFailure(
    `ClientError: ${isSplit ? "a record" : "the object, which is not split,"} is over MaxPayloadInMB ` +
      `(${maxBytes / 1024 / 1024} MB)`,
  );
