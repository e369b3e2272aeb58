/** What a training job leaves in S3: model and output of all its hosts, merged. */
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { packTarGz } from "./archive.js";
import { s3Location } from "./arns.js";
import type { Objects } from "./objects.js";
import type { Host } from "./training-files.js";
import type { TrainingJob } from "./training-status.js";

/** Uploads model.tar.gz and output.tar.gz; of an empty folder nothing is uploaded. */
export async function uploadArtifacts(
  objects: Objects,
  job: TrainingJob,
  hosts: readonly Host[],
  warn: (line: string) => void,
): Promise<void> {
  const root = `${job.OutputDataConfig?.S3OutputPath.replace(/\/$/, "") ?? ""}/${job.TrainingJobName}/output`;
  const upload = async (name: string, folder: string) => {
    const files = await mergeHosts(hosts, folder, warn);
    if (files.size === 0) return;
    if (job.OutputDataConfig?.CompressionType === "NONE") {
      for (const [file, path] of files)
        await objects.write(s3Location(`${root}/${name}/${file}`), createReadStream(path));
    } else {
      await objects.write(s3Location(`${root}/${name}.tar.gz`), packTarGz(files));
    }
  };
  await upload("model", "model");
  await upload("output", join("output", "data"));
}

/** Name in the archive → path; of equal names the last host's file wins, as on AWS. */
async function mergeHosts(
  hosts: readonly Host[],
  folder: string,
  warn: (line: string) => void,
): Promise<Map<string, string>> {
  const merged = new Map<string, string>();
  for (const host of hosts) {
    const root = join(host.baseDir, folder);
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      const name = relative(root, path).split(sep).join("/");
      if (entry.isSymbolicLink()) warn(`${name} is a link: left out of the upload`);
      if (!entry.isFile()) continue;
      if (merged.has(name)) warn(`${name} of ${host.name} overwrites that of another host`);
      merged.set(name, path);
    }
  }
  return merged;
}
