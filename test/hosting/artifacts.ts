/** Archives as tests need them, good and bad, and an S3 that is a Map. */
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import type { Header } from "tar-stream";

export async function tarGz(files: Record<string, string | Buffer>): Promise<Buffer> {
  const entries = Object.entries(files).map(([name, content]) => ({ header: { name }, content }));
  return tarGzOf(entries);
}

export interface TarEntry {
  readonly header: Partial<Header> & { name: string };
  readonly content?: string | Buffer;
}

export async function tarGzOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const { header, content } of entries) {
    if (content === undefined) archive.entry(header);
    else archive.entry(header, content);
  }
  archive.finalize();
  return buffer(archive.pipe(createGzip()));
}

export interface FakeS3 {
  readonly objects: Map<string, Buffer>;
  readonly reads: string[];
  readObject(url: string): Promise<Readable>;
}

/** Counts reads, and misses as the AWS SDK does. */
export function fakeS3(): FakeS3 {
  const objects = new Map<string, Buffer>();
  const reads: string[] = [];
  return {
    objects,
    reads,
    readObject: async (url) => {
      reads.push(url);
      const content = objects.get(url);
      if (content !== undefined) return Readable.from([content]);
      throw Object.assign(new Error("The specified key does not exist."), { name: "NoSuchKey" });
    },
  };
}
