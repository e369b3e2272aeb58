/** Unpacks a model.tar.gz that anybody may have made, so that nothing can land outside of its folder. */
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import type { Header } from "tar-stream";

/** The archive is broken or holds what a model may not hold; the message says what. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
}

export interface UnpackOptions {
  /** Must not exist: it appears only when all of the archive is in it. */
  readonly folder: string;
  /** More unpacked bytes than this are refused: a small archive can hold a very large one. */
  readonly limitBytes: number;
}

/** Returns the number of bytes unpacked. Nothing is left behind when it fails. */
export async function unpackArchive(archive: Readable, options: UnpackOptions): Promise<number> {
  const partial = `${options.folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  try {
    const bytes = await unpackInto(partial, archive, options.limitBytes);
    await rename(partial, options.folder);
    return bytes;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function unpackInto(folder: string, archive: Readable, limitBytes: number): Promise<number> {
  const entries = extract();
  const feeding = pipeline(archive, createGunzip(), entries);
  feeding.catch(() => {}); // Told by the loop below, which ends with the same error.
  let bytes = 0;
  let count = 0;
  try {
    for await (const entry of entries) {
      const path = join(folder, safePath(entry.header));
      bytes += entry.header.size ?? 0;
      count += 1;
      if (bytes > limitBytes) {
        throw new ArchiveError(`it unpacks to more than ${limitBytes} bytes`);
      }
      if (entry.header.type === "directory") {
        await mkdir(path, { recursive: true });
        entry.resume();
      } else {
        await mkdir(dirname(path), { recursive: true });
        await pipeline(entry, createWriteStream(path, { mode: 0o644 }));
      }
    }
    await feeding;
  } catch (error) {
    throw asArchiveError(error);
  }
  if (count === 0) throw new ArchiveError("it is empty");
  return bytes;
}

/** Files and folders only. Links could point out of the folder, so AWS refuses all of them too. */
function safePath(header: Header): string {
  const { name, type } = header;
  if (type !== "file" && type !== "directory" && type !== "contiguous-file") {
    throw new ArchiveError(`entry ${JSON.stringify(name)} is a ${type}: only files and folders`);
  }
  const path = normalize(name);
  if (path.startsWith("/") || path.split("/").includes("..") || name.includes("\0")) {
    throw new ArchiveError(`entry ${JSON.stringify(name)} leads out of the model's folder`);
  }
  return path;
}

/** zlib and tar-stream say `incorrect header check` and the like: the archive's fault, not the disk's. */
function asArchiveError(error: unknown): unknown {
  if (error instanceof ArchiveError || !(error instanceof Error)) return error;
  const code = "code" in error ? String(error.code) : "";
  const isFormat =
    code.startsWith("Z_") || /tar|header|unexpected end|premature close/i.test(error.message);
  return isFormat ? new ArchiveError(error.message, { cause: error }) : error;
}
