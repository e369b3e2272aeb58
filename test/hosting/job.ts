/** Lays out a training job's /opt/ml as the control plane does. */
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface JobLayout {
  readonly hyperparameters?: Record<string, string>;
  readonly channels?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Files of the code folder, or a folder to copy. */
  readonly code: Readonly<Record<string, string>> | string;
  /** Of all instances, and which of them this is; one that is alone if left out. */
  readonly hosts?: readonly [current: string, ...all: string[]];
}

/** training/xgboost_regression/, as a submit directory. */
export const regressionSource = fileURLToPath(
  new URL("../../training/xgboost_regression", import.meta.url),
);

export function layOutJob(parent: string, job: JobLayout): string {
  const base = mkdtempSync(join(parent, "job-"));
  for (const folder of ["input/config", "input/data", "model", "output/data", "code"]) {
    mkdirSync(join(base, folder), { recursive: true });
  }
  const channels = job.channels ?? {};
  for (const [channel, files] of Object.entries(channels)) {
    writeFiles(join(base, "input/data", channel), files);
  }
  if (typeof job.code === "string") cpSync(job.code, join(base, "code"), { recursive: true });
  else writeFiles(join(base, "code"), job.code);
  writeConfig(base, "hyperparameters", {
    sagemaker_program: "train.py",
    sagemaker_submit_directory: "s3://bucket/code/sourcedir.tar.gz",
    ...job.hyperparameters,
  });
  writeConfig(
    base,
    "inputdataconfig",
    Object.fromEntries(Object.keys(channels).map(channelConfig)),
  );
  const [current, ...hosts] = job.hosts ?? ["algo-1", "algo-1"];
  writeConfig(base, "resourceconfig", {
    current_host: current,
    hosts,
    current_instance_type: "ml.m5.large",
    current_group_name: "homogeneousCluster",
    instance_groups: [
      {
        instance_group_name: "homogeneousCluster",
        instance_type: "ml.m5.large",
        hosts,
      },
    ],
    network_interface_name: "eth0",
  });
  return base;
}

function channelConfig(channel: string): [string, object] {
  return [channel, { TrainingInputMode: "File", S3DistributionType: "FullyReplicated" }];
}

export function writeFiles(folder: string, files: Readonly<Record<string, string | Buffer>>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

function writeConfig(base: string, name: string, content: object): void {
  writeFileSync(join(base, "input/config", `${name}.json`), JSON.stringify(content));
}
