/** Whom Postgres runs as: ourselves, or an unprivileged user when we are root, which Postgres refuses. */
import { runCommand } from "./run-command.js";
import { StackError } from "./stack-error.js";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const userName = "postgres";

/** Undefined when Postgres can run as who we are. */
export async function postgresOwner(): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const known = await lookUp();
  if (known !== undefined) return known;
  await runCommand("groupadd", ["--system", userName]);
  const args = [
    "--system",
    "--gid",
    userName,
    "--no-create-home",
    "--shell",
    "/bin/false",
    userName,
  ];
  const { lines } = await runCommand("useradd", args);
  const made = await lookUp();
  if (made !== undefined) return made;
  throw new StackError(
    "PostgresUserMissing",
    `Postgres does not run as root, and the user "${userName}" could not be made: ${lines.at(-1) ?? ""}`,
    `make one (useradd --system ${userName}), or run modelfleet as a user who is not root`,
  );
}

/** Whether the user may open the path: every folder above it must let that user pass. */
export async function mayReach(path: string, owner: Owner): Promise<boolean> {
  const { code } = await runCommand("test", ["-r", path], { user: owner, cwd: "/" });
  return code === 0;
}

async function lookUp(): Promise<Owner | undefined> {
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map(async (flag) => (await runCommand("id", [flag, userName])).lines[0]),
  );
  if (uid === undefined || gid === undefined || !/^\d+$/.test(uid + gid)) return undefined;
  return { uid: Number(uid), gid: Number(gid) };
}
