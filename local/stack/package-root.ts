/** The modelfleet package itself: its folder and version, whether this code runs from its sources or from dist/. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error("modelfleet's package.json is not above its own code");
    folder = parent;
  }
  return folder;
}

const packageSchema = z.object({ version: z.string() });

export function packageVersion(): string {
  const text = readFileSync(join(packageRoot(), "package.json"), "utf8");
  return packageSchema.parse(JSON.parse(text)).version;
}
