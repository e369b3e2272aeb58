/** Packs a source folder into the same bytes wherever and whenever that is done, and hashes its contents. */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { buffer } from "node:stream/consumers";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import { ClientError } from "./errors.js";

export interface SourceArchive {
  /** sha256 over the paths and contents, hex: independent of file times, owners and of gzip's version. */
  readonly hash: string;
  readonly files: readonly string[];
  /** A file's contents by its path in the archive; undefined when there is none. */
  readonly contents: (path: string) => Buffer | undefined;
  /** A gzipped tar. */
  readonly bytes: () => Promise<Buffer>;
}

interface SourceFile {
  readonly path: string;
  readonly contents: Buffer;
}

// A source folder is a few scripts. More is a data set or a virtual environment that was left in it.
const MAXIMUM_BYTES = 50 * 1024 * 1024;

/**
 * `folder` becomes the root of the archive; each of `dependencies`, folders or files, lies in it under its own name.
 * Throws ClientError when two files would lie in one place, or when it is too large for scripts.
 */
export async function readSourceArchive(
  folder: string,
  dependencies: readonly string[] = [],
): Promise<SourceArchive> {
  const files = await readSources(folder, dependencies);
  const hash = createHash("sha256");
  for (const { path, contents } of files) {
    // Lengths keep apart what concatenation would make equal.
    hash.update(`${Buffer.byteLength(path)}:${path}:${contents.length}:`).update(contents);
  }
  return {
    hash: hash.digest("hex"),
    files: files.map((file) => file.path),
    contents: (path) => files.find((file) => file.path === path)?.contents,
    bytes: () => packed(files),
  };
}

async function readSources(folder: string, dependencies: readonly string[]): Promise<SourceFile[]> {
  const places = await archivePlaces(folder, dependencies);
  const files: SourceFile[] = [];
  let size = 0;
  for (const [path, place] of [...places].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const contents = await readFile(place);
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

/** Where each file of the archive is now, by its path in the archive. */
async function archivePlaces(
  folder: string,
  dependencies: readonly string[],
): Promise<Map<string, string>> {
  const places = new Map<string, string>();
  for (const path of await sourcePaths(folder)) places.set(path, join(folder, path));
  for (const dependency of dependencies) {
    const name = basename(dependency);
    const isFolder = (await stat(dependency)).isDirectory();
    const inside = isFolder ? await sourcePaths(dependency) : [""];
    for (const path of inside) {
      const target = isFolder ? `${name}/${path}` : name;
      const place = join(dependency, path);
      const there = places.get(target);
      if (there !== undefined)
        throw new ClientError(
          `${place} and ${there} would both be packed as ${target}`,
          "rename one of them",
        );
      places.set(target, place);
    }
  }
  return places;
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
