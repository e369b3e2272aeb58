/** Finds the settings of the stack to talk to: the file that `modelfleet local up` writes, else the shell. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { ClientError } from "./errors.js";

const STACK_FILE = join(".modelfleet", "local", "env");

/**
 * Adds the settings of `MODELFLEET_ENV_FILE` (empty: none), or else of the nearest `.modelfleet/local/env`
 * in `directory` and above, to `environment`, in place. Returns the file it took.
 */
export function loadEnvironment(
  environment: NodeJS.ProcessEnv,
  directory: string,
): string | undefined {
  const file = environmentFile(environment.MODELFLEET_ENV_FILE, directory);
  if (file === undefined) return undefined;
  const settings = parseEnv(readFileSync(file, "utf8"));
  // The file wins: local endpoints must never be called with the AWS keys of the shell, nor the reverse.
  Object.assign(environment, settings);
  if (settings.AWS_ACCESS_KEY_ID !== undefined) delete environment.AWS_PROFILE;
  return file;
}

function environmentFile(named: string | undefined, directory: string): string | undefined {
  if (named === undefined) return nearest(directory);
  if (named === "") return undefined;
  const file = resolve(directory, named);
  if (existsSync(file)) return file;
  throw new ClientError(
    `MODELFLEET_ENV_FILE names ${file}, which does not exist`,
    "correct it, or unset it to use the nearest .modelfleet/local/env",
  );
}

function nearest(directory: string): string | undefined {
  for (let folder = resolve(directory); ; folder = dirname(folder)) {
    const file = join(folder, STACK_FILE);
    if (existsSync(file)) return file;
    if (dirname(folder) === folder) return undefined;
  }
}
