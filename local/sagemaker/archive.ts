/** Packs files as a tar.gz stream. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import tar from "tar-stream";
import type { Pack } from "tar-stream";

/** Packs files (name in the archive → path on disk) in the order of their names. */
export function packTarGz(files: ReadonlyMap<string, string>): Readable {
  const pack = tar.pack();
  const gzip = createGzip();
  // An error ends both streams; whoever reads the result gets it from there.
  pipeline(pack, gzip).catch((error: unknown) => gzip.destroy(toError(error)));
  addFiles(pack, files).catch((error: unknown) => pack.destroy(toError(error)));
  return gzip;
}

async function addFiles(pack: Pack, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [name, path] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { size, mode, mtime } = await stat(path);
    await pipeline(createReadStream(path), pack.entry({ name, size, mode: mode & 0o777, mtime }));
  }
  pack.finalize();
}

const toError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));
