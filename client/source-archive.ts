/** Packs a source folder into the same bytes wherever and whenever that is done, and hashes its contents. */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import { ClientError } from "./errors.js";

export interface SourceArchive {
  /** sha256 over the paths and contents, hex: independent of file times, owners and of gzip's version. */
  readonly hash: string;
  readonly files: readonly string[];
  /** A gzipped tar. */
  readonly bytes: () => Promise<Buffer>;
}

interface SourceFile {
  readonly path: string;
  readonly contents: Buffer;
}

// A source folder is a few scripts. More is a data set or a virtual environment that was left in it.
const MAXIMUM_BYTES = 50 * 1024 * 1024;

export async function readSourceArchive(folder: string): Promise<SourceArchive> {
  const files = await readSources(folder);
  const hash = createHash("sha256");
  for (const { path, contents } of files) {
    // Lengths keep apart what concatenation would make equal.
    hash.update(`${Buffer.byteLength(path)}:${path}:${contents.length}:`).update(contents);
  }
  return {
    hash: hash.digest("hex"),
    files: files.map((file) => file.path),
    bytes: () => packed(files),
  };
}

async function readSources(folder: string): Promise<SourceFile[]> {
  const paths = await sourcePaths(folder);
  const files: SourceFile[] = [];
  let size = 0;
  for (const path of paths) {
    const contents = await readFile(join(folder, path));
    size += contents.length;
    if (size > MAXIMUM_BYTES) {
      throw new ClientError(
        `the source folder ${folder} holds more than ${MAXIMUM_BYTES / 1024 / 1024} MB`,
        "keep only scripts in it; data and environments belong elsewhere",
      );
    }
    files.push({ path, contents });
  }
  return files;
}

/** All files beneath, without caches and dotfiles, sorted by code unit, with forward slashes. */
async function sourcePaths(folder: string, beneath = ""): Promise<string[]> {
  const paths: string[] = [];
  for (const name of await readdir(join(folder, beneath))) {
    if (name.startsWith(".") || name === "__pycache__" || name.endsWith(".pyc")) continue;
    const path = beneath === "" ? name : `${beneath}/${name}`;
    const found = await stat(join(folder, path)); // Follows links: the archive holds what they point to.
    if (found.isDirectory()) paths.push(...(await sourcePaths(folder, path)));
    else if (found.isFile()) paths.push(path);
  }
  return paths.sort((a, b) => (a < b ? -1 : 1));
}

async function packed(files: readonly SourceFile[]): Promise<Buffer> {
  const tar = pack();
  const gzip = tar.pipe(createGzip());
  const bytes = buffer(gzip);
  for (const { path, contents } of files) {
    tar.entry({ name: path, mode: 0o644, mtime: new Date(0) }, contents);
  }
  tar.finalize();
  return bytes;
}
