/** What of one checkpoint folder is in S3, and what a look at the folder says is to be done. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { inParallel } from "./in-parallel.js";

/** Tells one content of a file from another without reading it; a renamed file has another inode. */
export interface Stamp {
  readonly size: number;
  readonly mtimeMs: number;
  readonly inode: number;
}

export interface FileToUpload {
  /** Relative to the folder, with `/`. */
  readonly name: string;
  readonly stamp: Stamp;
}

export interface Findings {
  readonly toUpload: readonly FileToUpload[];
  /** Files that were in S3 because of this folder, and are no longer in the folder. */
  readonly gone: readonly string[];
}

/** Of a file that is in S3 as it was at `stamp`. */
interface Known {
  readonly stamp: Stamp;
  /** Numbers of looks: when its name was last seen, and when it was last compared. */
  seen: number;
  compared: number;
}

/**
 * A look reads all names and compares so many of the files that S3 has: 40,000 finished checkpoints cost
 * a look each second some 50 ms, while one that is written again and again is compared at every look.
 */
const comparedAtALook = 2_000;

/** Files that are compared at a time: one by one, a busy machine would make a look of seconds. */
const parallelLooks = 16;

export type CheckpointFiles = ReturnType<typeof createCheckpointFiles>;

/** Starts with what was restored: it is in S3 as it is here. */
export function createCheckpointFiles(folder: string) {
  const known = new Map<string, Known>();
  /** Seen at the look before, and not yet in S3 like this: who stands still over two looks is complete. */
  let settling = new Map<string, Stamp>();
  let look = 0;

  const isDue = (file: Known): boolean =>
    look - file.compared >= Math.ceil(known.size / comparedAtALook);

  /** `last`: nobody writes any more, so that every file is compared and none has to settle. */
  const find = async ({ last }: { last: boolean }): Promise<Findings> => {
    look++;
    const settlingNow = new Map<string, Stamp>();
    const toUpload: FileToUpload[] = [];
    await inParallel(namesBelow(folder), parallelLooks, async (name) => {
      const file = known.get(name);
      if (file !== undefined) file.seen = look;
      if (file !== undefined && !last && !isDue(file) && !settling.has(name)) return;
      const stamp = await stampOf(join(folder, name));
      if (stamp === undefined) return;
      if (file !== undefined) file.compared = look;
      if (isSame(file?.stamp, stamp)) return;
      if (last || isSame(settling.get(name), stamp)) toUpload.push({ name, stamp });
      settlingNow.set(name, stamp);
    });
    settling = settlingNow;
    // A folder that is gone altogether says nothing about its files.
    const isThere = (await lstat(folder).catch(missing)) !== undefined;
    const gone = isThere ? [...known].filter(([, { seen }]) => seen < look) : [];
    return { toUpload, gone: gone.map(([name]) => name) };
  };

  return {
    find,

    /** What is in the folder now is what S3 holds. */
    async knowAll(): Promise<void> {
      await inParallel(namesBelow(folder), parallelLooks, async (name) => {
        const stamp = await stampOf(join(folder, name));
        if (stamp !== undefined) known.set(name, { stamp, seen: look, compared: look });
      });
    },

    /** Compared at the very next look: it may have changed while it was read. */
    uploaded({ name, stamp }: FileToUpload): void {
      known.set(name, { stamp, seen: look, compared: 0 });
    },

    deleted(names: readonly string[]): void {
      for (const name of names) known.delete(name);
    },
  };
}

/** Names of the plain files below a folder, relative to it; links, pipes and sockets stay where they are. */
async function* namesBelow(folder: string, prefix = ""): AsyncGenerator<string> {
  // The names of one folder at once: a tenth of the time that opendir takes to hand them out one by one.
  const entries = await readdir(join(folder, prefix), { withFileTypes: true }).catch(missing);
  for (const entry of entries ?? []) {
    const name = prefix + entry.name;
    if (entry.isDirectory()) yield* namesBelow(folder, `${name}/`);
    else if (entry.isFile()) yield name;
  }
}

async function stampOf(path: string): Promise<Stamp | undefined> {
  const found = await lstat(path).catch(missing);
  return found && { size: found.size, mtimeMs: found.mtimeMs, inode: found.ino };
}

/** Of a file or folder that was removed after its name was read. */
function missing(error: unknown): undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
  return undefined;
}

function isSame(one: Stamp | undefined, other: Stamp): boolean {
  return one?.size === other.size && one.mtimeMs === other.mtimeMs && one.inode === other.inode;
}
