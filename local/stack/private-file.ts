/** Writes a file that only its owner may read, whole or not at all. */
import { randomBytes } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";

export function writePrivateFile(path: string, text: string): void {
  const draft = `${path}.${randomBytes(4).toString("hex")}`;
  writeFileSync(draft, text, { mode: 0o600, flag: "wx" });
  renameSync(draft, path);
}
