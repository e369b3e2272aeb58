/** What processing containers leave in S3: files of their output folders, and their last message. */
import { createReadStream } from "node:fs";
import type { Dirent } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { s3Location } from "./arns.js";
import { JobFailure } from "./job-failure.js";
import type { Objects } from "./objects.js";
import { localFolder } from "./processing-folders.js";
import type { ProcessingHost, ProcessingJob } from "./processing-folders.js";

/** Uploads at a time: enough to hide the store's latency for small files. */
const parallelUploads = 8;

/** AWS API, ExitMessage: at most 1 KB. */
const exitMessageBytes = 1024;

export interface OutputFiles {
  /** Uploads what is new or has changed since the last time; of equal names the last host's wins. */
  upload(mode: "Continuous" | "EndOfJob"): Promise<void>;
}

export function createOutputFiles(
  objects: Objects,
  job: ProcessingJob,
  hosts: readonly ProcessingHost[],
  warn: (line: string) => void,
): OutputFiles {
  /** Path → size and time of the version that is in S3. */
  const uploaded = new Map<string, string>();
  const warned = new Set<string>();
  const warnOnce = (line: string): void => {
    if (!warned.has(line)) warn(line);
    warned.add(line);
  };

  const uploadFile = async ({ path, url }: OutputFile): Promise<void> => {
    const status = await stat(path).catch(() => undefined);
    if (status === undefined) return; // Gone since the folder was read: the script's own doing.
    const version = `${status.size}/${status.mtimeMs}`;
    if (uploaded.get(path) === version) return;
    // No more than it had when it was looked at: it may be growing.
    const body =
      status.size === 0 ? Buffer.alloc(0) : createReadStream(path, { end: status.size - 1 });
    await objects.write(s3Location(url), body);
    uploaded.set(path, version);
  };

  return {
    async upload(mode) {
      const files = (await findFiles(job, hosts, mode, warnOnce)).values();
      const uploadRemaining = async () => {
        for (const file of files) await uploadFile(file);
      };
      await Promise.all(Array.from({ length: parallelUploads }, uploadRemaining));
    },
  };
}

interface OutputFile {
  readonly path: string;
  readonly url: string;
}

async function findFiles(
  job: ProcessingJob,
  hosts: readonly ProcessingHost[],
  mode: "Continuous" | "EndOfJob",
  warn: (line: string) => void,
): Promise<OutputFile[]> {
  const files = new Map<string, OutputFile>();
  for (const { S3Output, AppManaged } of job.ProcessingOutputConfig?.Outputs ?? []) {
    const folder = localFolder(S3Output?.LocalPath ?? "");
    if (S3Output?.S3UploadMode !== mode || folder === undefined || AppManaged === true) continue;
    for (const host of hosts) {
      const root = join(host.baseDir, folder);
      const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(
        noneWhenGone,
      );
      for (const entry of entries) {
        const path = join(entry.parentPath, entry.name);
        const name = relative(root, path).split(sep).join("/");
        if (entry.isSymbolicLink()) warn(`${name} is a link: left out of the upload`);
        if (!entry.isFile()) continue;
        const url = `${S3Output.S3Uri.replace(/\/+$/, "")}/${name}`;
        if (files.has(url)) warn(`${name} of ${host.name} overwrites that of another host`);
        files.set(url, { path, url });
      }
    }
  }
  return [...files.values()];
}

/** A script may take away the folder that was made for it. */
function noneWhenGone(error: unknown): Dirent[] {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
  throw error;
}

/**
 * The first 1 KB of what all hosts wrote to /opt/ml/output/message; undefined when none did.
 * Throws JobFailure when it is not UTF-8, as AWS fails such a job.
 */
export async function exitMessage(hosts: readonly ProcessingHost[]): Promise<string | undefined> {
  const parts = await Promise.all(hosts.map(readMessage));
  const bytes = Buffer.concat(parts).subarray(0, exitMessageBytes);
  if (bytes.length === 0) return undefined;
  try {
    // As a stream: a character that the limit cut in two is no error.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
  } catch {
    throw new JobFailure("ClientError: /opt/ml/output/message is not valid UTF-8.");
  }
}

async function readMessage({ baseDir }: ProcessingHost): Promise<Buffer> {
  const file = await open(join(baseDir, "output", "message")).catch(() => undefined);
  if (file === undefined) return Buffer.alloc(0);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(exitMessageBytes), 0);
    return buffer.subarray(0, bytesRead);
  } catch {
    return Buffer.alloc(0); // A folder of that name, or the like: no message.
  } finally {
    await file.close();
  }
}
