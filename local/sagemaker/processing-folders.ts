/** The folders and files under /opt/ml that a processing container finds, one set per host. */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, normalize } from "node:path";
import { downloadChannel } from "./channels.js";
import type { ServerConfig } from "./config.schema.js";
import { containerKeys } from "./session-credentials.js";
import type { Documents } from "./documents.js";
import type { Objects } from "./objects.js";

export type ProcessingJob = Documents["processing-job"];

export interface ProcessingHost {
  /** `algo-1`, `algo-2`, …: host names as SageMaker gives them. */
  readonly name: string;
  /** The container's /opt/ml. */
  readonly baseDir: string;
}

/** The folder of a LocalPath relative to /opt/ml; undefined for one that is not below /opt/ml/processing. */
export function localFolder(path: string): string | undefined {
  const folder = normalize(path).replace(/\/+$/, "");
  return folder.startsWith("/opt/ml/processing/") ? folder.slice("/opt/ml/".length) : undefined;
}

/** Makes the folders of every host with the two settings files; outputs' folders are there from the start. */
export async function layOutHosts(folder: string, job: ProcessingJob): Promise<ProcessingHost[]> {
  const count = job.ProcessingResources.ClusterConfig.InstanceCount ?? 1;
  const hosts = Array.from({ length: count }, (_, index) => {
    const name = `algo-${index + 1}`;
    return { name, baseDir: join(folder, name) };
  });
  const names = hosts.map(({ name }) => name).sort(); // Lexicographic: algo-10 before algo-2.
  for (const { name, baseDir } of hosts) {
    for (const each of ["config", "output", "processing", ...outputFolders(job)])
      await mkdir(join(baseDir, each), { recursive: true });
    const config = (file: string, content: unknown) =>
      writeFile(join(baseDir, "config", `${file}.json`), JSON.stringify(content));
    await config("processingjobconfig", configOf(job));
    await config("resourceconfig", { current_host: name, hosts: names });
  }
  return hosts;
}

/** Folders, relative to /opt/ml, whose contents the server uploads. */
const outputFolders = (job: ProcessingJob): string[] =>
  (job.ProcessingOutputConfig?.Outputs ?? []).flatMap(({ S3Output, AppManaged }) => {
    const folder = localFolder(S3Output?.LocalPath ?? "");
    return folder === undefined || AppManaged === true ? [] : [folder];
  });

/** The request and the job's ARN: none of what Describe tells about its course. */
function configOf(job: ProcessingJob): Partial<ProcessingJob> {
  const { ProcessingJobStatus, CreationTime, LastModifiedTime, ...request } = job;
  return request;
}

/** Brings the data of every input to every host. */
export async function fetchInputs(
  objects: Objects,
  job: ProcessingJob,
  hosts: readonly ProcessingHost[],
  signal: AbortSignal,
): Promise<void> {
  for (const { S3Input, AppManaged } of job.ProcessingInputs ?? []) {
    const folder = localFolder(S3Input?.LocalPath ?? "");
    if (S3Input === undefined || folder === undefined || AppManaged === true) continue;
    const { S3Uri, S3DataType, S3DataDistributionType = "FullyReplicated" } = S3Input;
    const S3DataSource = { S3Uri, S3DataType, S3DataDistributionType };
    const channel = { ChannelName: basename(folder), DataSource: { S3DataSource } };
    const parents = hosts.map(({ baseDir }) => join(baseDir, dirname(folder)));
    await downloadChannel(objects, channel, parents, signal);
  }
}

/** What a container of this job has in its environment; the request's own entries win. */
export function containerEnvironment(
  job: ProcessingJob,
  { baseDir }: ProcessingHost,
  { region, s3 }: Pick<ServerConfig, "region" | "s3">,
): Record<string, string> {
  const storage = {
    AWS_ENDPOINT_URL_S3: s3.endpoint,
    ...containerKeys(s3, job.RoleArn),
  };
  return {
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    PYTHONUNBUFFERED: "1",
    // What the job itself installs stays with the job: the interpreter belongs to all.
    PIP_TARGET: join(baseDir, "site-packages"),
    PYTHONPATH: join(baseDir, "site-packages"),
    ...(job.NetworkConfig?.EnableNetworkIsolation === true ? {} : storage),
    ...job.Environment,
  };
}
