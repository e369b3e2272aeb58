/** The end of a log file, without reading the whole of it. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const chunkBytes = 64 * 1024;

/** The last lines, oldest first; of what stands after `fromOffset` only. Empty when there is no such file. */
export function lastLines(file: string, count: number, fromOffset = 0): string[] {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    return [];
  }
  try {
    const size = fstatSync(descriptor).size;
    let start = size;
    let text = Buffer.alloc(0);
    // One line break more than lines: the first line read may be cut.
    while (start > fromOffset && newlines(text) <= count) {
      const length = Math.min(chunkBytes, start - fromOffset);
      start -= length;
      const chunk = Buffer.alloc(length);
      const read = readSync(descriptor, chunk, 0, length, start);
      text = Buffer.concat([chunk.subarray(0, read), text]);
    }
    const lines = text.toString("utf8").split("\n");
    if (lines.at(-1) === "") lines.pop();
    return count > 0 ? lines.slice(-count) : [];
  } finally {
    closeSync(descriptor);
  }
}

function newlines(text: Buffer): number {
  return text.reduce((sum, byte) => (byte === 10 ? sum + 1 : sum), 0);
}
