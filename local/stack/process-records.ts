/** What a stack has started, on disk: one file per process, so `down` ends exactly these. */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { StackFolder } from "./place.js";
import { writePrivateFile } from "./private-file.js";

const recordSchema = z.strictObject({
  name: z.string(),
  pid: z.int().positive(),
  /** With the pid, the identity of the process: see process-table.ts. */
  startedAt: z.string(),
  since: z.iso.datetime(),
  /** `starting` until it served for the first time: one found so later was interrupted in its start. */
  state: z.enum(["starting", "running"]),
  command: z.string(),
  version: z.string().nullable(),
  port: z.int().nullable(),
  log: z.string(),
});
export type ProcessRecord = z.infer<typeof recordSchema>;

export function writeRecord(folder: StackFolder, record: ProcessRecord): void {
  mkdirSync(folder.processes, { recursive: true, mode: 0o700 });
  writePrivateFile(recordFile(folder, record.name), `${JSON.stringify(record, null, 2)}\n`);
}

export function readRecord(folder: StackFolder, name: string): ProcessRecord | undefined {
  return parseRecord(recordFile(folder, name));
}

export function listRecords(folder: StackFolder): ProcessRecord[] {
  return fileNames(folder.processes)
    .filter((file) => file.endsWith(".json"))
    .map((file) => parseRecord(join(folder.processes, file)))
    .filter((record) => record !== undefined);
}

export function removeRecord(folder: StackFolder, name: string): void {
  rmSync(recordFile(folder, name), { force: true });
}

function recordFile(folder: StackFolder, name: string): string {
  return join(folder.processes, `${name}.json`);
}

function parseRecord(file: string): ProcessRecord | undefined {
  try {
    const parsed = recordSchema.safeParse(JSON.parse(readFileSync(file, "utf8")));
    // A record that cannot be read names no process for certain, so nothing may be ended because of it.
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

function fileNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
