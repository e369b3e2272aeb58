/** Cuts a stream of CSV into its rows. */

const NEWLINE = 0x0a;
const QUOTE = 0x22;

/** Each with its newline, which the last may lack. A newline within quotes belongs to a value; blank lines are none. */
export async function* csvLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rowEnd(bytes, start); end >= 0; end = rowEnd(bytes, start)) {
      if (end - start > 1) yield bytes.subarray(start, end);
      start = end;
    }
    rest = bytes.subarray(start);
  }
  if (rest.toString("utf8").trim() !== "") yield rest;
}

/** Just after the newline that ends the row; -1 while it is not there. */
function rowEnd(bytes: Buffer, start: number): number {
  let newline = bytes.indexOf(NEWLINE, start);
  let quote = bytes.indexOf(QUOTE, start);
  for (let quotes = 0; newline >= 0; newline = bytes.indexOf(NEWLINE, newline + 1)) {
    for (; quote >= 0 && quote < newline; quote = bytes.indexOf(QUOTE, quote + 1)) quotes++;
    if (quotes % 2 === 0) return newline + 1;
  }
  return -1;
}
