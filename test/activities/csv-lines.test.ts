/** Rows out of a stream of CSV, wherever its chunks are cut. */
import { expect, test } from "vitest";
import { csvLines } from "../../activities/csv-lines.js";

async function linesOf(text: string, chunkBytes: number): Promise<string[]> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  }
  const lines: string[] = [];
  for await (const line of csvLines(chunks())) lines.push(line.toString());
  return lines;
}

test.each([1, 2, 3, 1000])("in chunks of %i bytes", async (chunkBytes) => {
  expect(await linesOf('1,a\n\n2,"b\nc, ""d"""\n3,é', chunkBytes)).toEqual([
    "1,a\n",
    '2,"b\nc, ""d"""\n',
    "3,é",
  ]);
});

test("nothing has no rows", async () => {
  expect(await linesOf("", 10)).toEqual([]);
});
