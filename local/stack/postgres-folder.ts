/** The folder of a stack's Postgres, and the path by which Postgres reaches it even in a folder closed to it. */
import { chownSync, closeSync, mkdirSync, openSync } from "node:fs";
import { mayReach, type Owner } from "./postgres-user.js";
import { StackError } from "./stack-error.js";

export interface PostgresFolder {
  /** The folder as Postgres' processes name it. */
  readonly path: string;
  /** Handed to each of them as descriptor 3, where that name needs it. */
  readonly descriptor: number | undefined;
  readonly close: () => void;
}

/**
 * Root's folders are closed to the user that Postgres then runs as, and so are those of the tests. A process may
 * follow its own open descriptor to a folder without passing the folders above it, so root opens the folder and
 * hands it down. Postgres changes into its data folder at the start and works from there.
 */
export async function openPostgresFolder(
  folder: string,
  owner: Owner | undefined,
): Promise<PostgresFolder> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (owner === undefined) return { path: folder, descriptor: undefined, close: () => undefined };
  chownSync(folder, owner.uid, owner.gid);
  if (process.platform === "linux") {
    const descriptor = openSync(folder, "r");
    return { path: "/proc/self/fd/3", descriptor, close: () => closeSync(descriptor) };
  }
  if (await mayReach(folder, owner)) {
    return { path: folder, descriptor: undefined, close: () => undefined };
  }
  throw new StackError(
    "PostgresUserMissing",
    `Postgres does not run as root, and the user it runs as instead may not enter ${folder}`,
    "run modelfleet as a user who is not root, or give it a --state folder that all may enter",
  );
}
