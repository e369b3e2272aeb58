/** The user's cache folder: what is downloaded or built once and shared by all stacks. */
import { homedir } from "node:os";
import { join } from "node:path";

export function cacheFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const configured = environment.XDG_CACHE_HOME;
  if (configured !== undefined && configured !== "") return join(configured, "modelfleet");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "modelfleet");
  return join(homedir(), ".cache", "modelfleet");
}
