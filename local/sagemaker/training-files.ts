/** The folders and files under /opt/ml that a training container finds, one set per host. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { s3Location } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import { downloadChannel } from "./channels.js";
import type { ServerConfig } from "./config.schema.js";
import { containerKeys } from "./session-credentials.js";
import { JobFailure } from "./job-failure.js";
import { ArchiveError, unpackArchive } from "./model-archive.js";
import type { Objects } from "./objects.js";
import { removeFolder } from "./remove-folder.js";
import type { TrainingJob } from "./training-status.js";

/** The two hyperparameters of script mode; the SageMaker SDKs JSON-encode what they send. */
const submitDirectory = "sagemaker_submit_directory";

/** Code that unpacks to more than this is a mistake, or an attack. */
const maxCodeBytes = 1024 ** 3;

export interface Host {
  /** `algo-1`, `algo-2`, …: host names as SageMaker gives them. */
  readonly name: string;
  /** The container's /opt/ml. */
  readonly baseDir: string;
}

export const jobFolder = (stateDir: string, { account, region, name }: ResourceKey): string =>
  join(stateDir, "jobs", account, region, name);

export const logFile = (stateDir: string, { account, region, name }: ResourceKey): string =>
  join(stateDir, "logs", "training-jobs", account, region, `${name}.log`);

/** Makes the folders of every host, as empty as a new container's, with the three settings files. */
export async function layOutHosts(folder: string, job: TrainingJob): Promise<Host[]> {
  await removeFolder(folder);
  const count = job.ResourceConfig?.InstanceCount ?? 1;
  const hosts = Array.from({ length: count }, (_, index) => {
    const name = `algo-${index + 1}`;
    return { name, baseDir: join(folder, name) };
  });
  const names = hosts.map(({ name }) => name).sort(); // Lexicographic: algo-10 before algo-2.
  await Promise.all(hosts.map((host) => layOutHost(host, names, job)));
  return hosts;
}

async function layOutHost(host: Host, hosts: readonly string[], job: TrainingJob): Promise<void> {
  const folders = ["input/config", "input/data", "model", "output/data", "checkpoints"];
  for (const each of folders) await mkdir(join(host.baseDir, each), { recursive: true });
  const instanceType = job.ResourceConfig?.InstanceType ?? "";
  const group = { instance_group_name: "homogeneousCluster", instance_type: instanceType, hosts };
  const config = (name: string, content: unknown) =>
    writeFile(join(host.baseDir, "input/config", `${name}.json`), JSON.stringify(content));
  await config("hyperparameters", job.HyperParameters ?? {});
  await config("inputdataconfig", inputDataConfig(job));
  await config("resourceconfig", {
    current_host: host.name,
    current_instance_type: instanceType,
    current_group_name: "homogeneousCluster",
    hosts,
    instance_groups: [group],
    network_interface_name: "eth0",
  });
}

function inputDataConfig(job: TrainingJob): Record<string, unknown> {
  const jobMode = job.AlgorithmSpecification?.TrainingInputMode ?? "File";
  const channels = (job.InputDataConfig ?? []).map((channel) => [
    channel.ChannelName,
    {
      TrainingInputMode: channel.InputMode ?? jobMode,
      // The name in this file differs from the API's S3DataDistributionType.
      S3DistributionType:
        channel.DataSource.S3DataSource?.S3DataDistributionType ?? "FullyReplicated",
      RecordWrapperType: channel.RecordWrapperType ?? "None",
      ...(channel.ContentType !== undefined && { ContentType: channel.ContentType }),
    },
  ]);
  return Object.fromEntries(channels) as Record<string, unknown>;
}

/** Brings the channels' data and the user's code to every host. */
export async function fetchInputs(
  objects: Objects,
  job: TrainingJob,
  hosts: readonly Host[],
  signal: AbortSignal,
): Promise<void> {
  const dataFolders = hosts.map(({ baseDir }) => join(baseDir, "input", "data"));
  const channels = job.InputDataConfig ?? [];
  await Promise.all([
    ...channels.map((channel) => downloadChannel(objects, channel, dataFolders, signal)),
    ...hosts.map((host) => fetchCode(objects, job, host)),
  ]);
}

async function fetchCode(objects: Objects, job: TrainingJob, host: Host): Promise<void> {
  const url = unquote(job.HyperParameters?.[submitDirectory]);
  if (url === undefined || !url.startsWith("s3://")) return;
  const location = s3Location(url);
  const archive = await objects.read(location).catch((error: unknown) => {
    const name = error instanceof Error ? error.name : String(error);
    throw new JobFailure(`ClientError: Cannot download the user code from ${url}: ${name}`);
  });
  const code = { folder: join(host.baseDir, "code"), limitBytes: maxCodeBytes };
  await unpackArchive(archive, code).catch((error: unknown) => {
    if (!(error instanceof ArchiveError)) throw error;
    throw new JobFailure(`AlgorithmError: Framework Error: cannot unpack ${url}: ${error.message}`);
  });
}

/** The SageMaker Python SDK sends `"\"s3://…\""`, others the plain text. */
function unquote(value: string | undefined): string | undefined {
  return value?.startsWith('"') === true && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** What a container of this job has in its environment; the request's own entries win. */
export function containerEnvironment(
  job: TrainingJob,
  { region, s3 }: Pick<ServerConfig, "region" | "s3">,
): Record<string, string> {
  const storage = {
    AWS_ENDPOINT_URL_S3: s3.endpoint,
    ...containerKeys(s3, job.RoleArn),
  };
  return {
    TRAINING_JOB_NAME: job.TrainingJobName,
    TRAINING_JOB_ARN: job.TrainingJobArn,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    ...(job.EnableNetworkIsolation === true ? {} : storage),
    ...job.Environment,
  };
}
