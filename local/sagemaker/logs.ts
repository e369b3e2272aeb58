/** Finds the log files of jobs and endpoints by name. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Files `<folder>/<account>/<region>/<name>.log`, the newest first. */
export async function findLogs(folder: string, name: string): Promise<string[]> {
  const found: { file: string; modifiedMs: number }[] = [];
  for (const account of await subfolders(folder))
    for (const region of await subfolders(join(folder, account))) {
      const file = join(folder, account, region, `${name}.log`);
      const status = await stat(file).catch(() => undefined);
      if (status !== undefined) found.push({ file, modifiedMs: status.mtimeMs });
    }
  return found.sort((a, b) => b.modifiedMs - a.modifiedMs).map(({ file }) => file);
}

const subfolders = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);
