/** The Postgres part: one cluster with the databases of warehouse, ledger and SageMaker server. */
import {
  chownSync,
  existsSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { awaitReady } from "./await-ready.js";
import { launch, type Launched } from "./launch.js";
import { serverEnvironment, type Part } from "./part.js";
import type { StackFolder } from "./place.js";
import { postgresBinaries, type PostgresBinaries } from "./postgres-binaries.js";
import { openPostgresFolder, type PostgresFolder } from "./postgres-folder.js";
import { postgresOwner, type Owner } from "./postgres-user.js";
import { findProcess } from "./process-table.js";
import type { OnProgress } from "./progress.js";
import { runCommand } from "./run-command.js";
import { StackError } from "./stack-error.js";

export const DATABASES = ["warehouse", "modelfleet", "sagemaker"] as const;
const userName = "modelfleet";

export interface PostgresOptions {
  readonly folder: StackFolder;
  readonly port: number;
  readonly password: string;
  readonly onProgress: OnProgress;
}

export function postgresUrl(
  options: Pick<PostgresOptions, "port" | "password">,
  database: (typeof DATABASES)[number] | "postgres",
): string {
  return `postgres://${userName}:${options.password}@127.0.0.1:${options.port}/${database}`;
}

export function postgresPart(options: PostgresOptions): Part {
  return {
    name: "postgres",
    title: "Postgres",
    ports: [options.port],
    start: (onLaunched) => start(options, onLaunched),
  };
}

async function start(
  options: PostgresOptions,
  onLaunched: (launched: Launched) => void,
): Promise<void> {
  const owner = await postgresOwner();
  const binaries = await postgresBinaries(owner);
  const folder = await openPostgresFolder(options.folder.postgres, owner);
  const launched = await initialiseAndLaunch(options, { owner, binaries, folder }).finally(
    folder.close,
  );
  onLaunched(launched);
  await awaitReady({
    title: "Postgres",
    launched,
    timeoutSeconds: 60, // After a crash it replays its log first.
    probe: () => createDatabases(options),
  });
}

interface Means {
  readonly owner: Owner | undefined;
  readonly binaries: PostgresBinaries;
  readonly folder: PostgresFolder;
}

async function initialiseAndLaunch(options: PostgresOptions, means: Means): Promise<Launched> {
  const { owner, binaries, folder } = means;
  const cluster = join(options.folder.postgres, "data");
  if (!existsSync(cluster)) await initialise(options, means, cluster);
  dropStalePidFile(cluster);
  return launch(options.folder, {
    name: "postgres",
    command: binaries.postgres,
    args: ["-D", join(folder.path, "data"), ...settings(options.port)],
    env: serverEnvironment(),
    cwd: "/",
    port: options.port,
    version: binaries.version,
    descriptor: folder.descriptor,
    ...(owner !== undefined && { user: owner }),
  });
}

function settings(port: number): string[] {
  return Object.entries({
    listen_addresses: "127.0.0.1",
    port,
    // No socket file: its path may be longer than a socket's may be, and TCP on loopback serves all clients.
    unix_socket_directories: "",
    max_connections: 200,
    max_wal_size: "2GB",
    // No replica will ever follow; loading a table in one transaction then writes it once, not twice.
    wal_level: "minimal",
    max_wal_senders: 0,
    jit: "off",
    timezone: "UTC",
    log_timezone: "UTC",
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** In a folder beside, then renamed: a first start that was interrupted leaves no half cluster. */
async function initialise(
  options: PostgresOptions,
  { owner, binaries, folder }: Means,
  cluster: string,
): Promise<void> {
  options.onProgress({
    part: "postgres",
    state: "working",
    message: "making the database cluster",
  });
  const draft = `${cluster}.new`;
  const passwordFile = join(options.folder.postgres, "password");
  rmSync(draft, { recursive: true, force: true });
  writeFileSync(passwordFile, options.password, { mode: 0o600 });
  if (owner !== undefined) chownSync(passwordFile, owner.uid, owner.gid);
  const { code, lines } = await runCommand(
    binaries.initdb,
    [
      `--pgdata=${join(folder.path, "data.new")}`,
      `--username=${userName}`,
      `--pwfile=${join(folder.path, "password")}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      // The same order of text on every machine, whatever locales it has.
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--no-instructions",
      // A crash of the machine within the first seconds costs an empty cluster; syncing costs everyone seconds.
      "--no-sync",
    ],
    {
      env: serverEnvironment(),
      cwd: "/",
      descriptor: folder.descriptor,
      ...(owner !== undefined && { user: owner }),
    },
  );
  rmSync(passwordFile, { force: true });
  if (code === 0) return renameSync(draft, cluster);
  throw new StackError(
    "PartDied",
    `initdb could not make the database cluster: ${lines.slice(-3).join("; ")}`,
    `check that ${options.folder.postgres} is writable and its disk has room`,
  );
}

/** A postmaster.pid left by a kill blocks the start when its pid now belongs to another program of ours. */
function dropStalePidFile(cluster: string): void {
  const file = join(cluster, "postmaster.pid");
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, "utf8").split("\n")[0]);
  if (!Number.isInteger(pid) || !isPostmaster(pid, cluster)) rmSync(file, { force: true });
}

function isPostmaster(pid: number, cluster: string): boolean {
  if (findProcess(pid) === undefined) return false;
  if (process.platform !== "linux") return true; // Left to Postgres' own check of its shared memory.
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(cluster);
  } catch {
    return false;
  }
}

/** Also the probe: true once all databases are there. */
async function createDatabases(options: PostgresOptions): Promise<boolean> {
  const client = new pg.Client({ connectionString: postgresUrl(options, "postgres") });
  client.on("error", () => undefined); // The probe's next query tells.
  try {
    await client.connect();
    const { rows } = await client.query<{ datname: string }>("SELECT datname FROM pg_database");
    const known = new Set(rows.map((row) => row.datname));
    for (const database of DATABASES.filter((name) => !known.has(name))) {
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`);
    }
    return true;
  } finally {
    await client.end().catch(() => undefined);
  }
}
