/** Training jobs that run a Python script for real: started, waited for, and what they leave read. */
import { buffer } from "node:stream/consumers";
import { Readable } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import { CreateTrainingJobCommand, DescribeTrainingJobCommand } from "@aws-sdk/client-sagemaker";
import type {
  Channel,
  CreateTrainingJobCommandInput,
  DescribeTrainingJobCommandOutput,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import tar from "tar-stream";
import type { Header } from "tar-stream";
import { expect, vi } from "vitest";
import type { Faults } from "../../local/sagemaker/config.schema.js";
import { bucket, putObject, sagemakerClient } from "./cloud.js";
import type { Cloud } from "./cloud.js";
import { aTrainingJob, unique, xgboostImage } from "./requests.js";

export interface Archived extends Partial<Header> {
  readonly name: string;
  readonly content?: string;
}

export async function tarGz(entries: readonly Archived[]): Promise<Buffer> {
  const pack = tar.pack();
  for (const { content = "", ...header } of entries) pack.entry(header, content);
  pack.finalize();
  return gzipSync(await buffer(pack));
}

/** Names and contents. */
export async function untar(archive: Buffer): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const entries = Readable.from([gunzipSync(archive)]).pipe(tar.extract());
  for await (const entry of entries) files[entry.header.name] = (await buffer(entry)).toString();
  return files;
}

export interface ScriptJob extends Partial<CreateTrainingJobCommandInput> {
  readonly script: string;
  /** More files beside train.py. */
  readonly beside?: readonly Archived[];
}

export const channel = (ChannelName: string, S3Uri: string, changes: object = {}): Channel => ({
  ChannelName,
  DataSource: { S3DataSource: { S3DataType: "S3Prefix", S3Uri, ...changes } },
});

export const checkpointsIn = (folder: string) => ({ S3Uri: `s3://${bucket}/${folder}` });

export const instances = (InstanceCount: number, changes: object = {}) => ({
  InstanceType: "ml.m5.large" as const,
  InstanceCount,
  VolumeSizeInGB: 5,
  ...changes,
});

export type ScriptJobs = ReturnType<typeof scriptJobs>;

/** What the tests of one file do with its server. */
export function scriptJobs(cloud: () => Cloud, url: () => string) {
  let connected: SageMakerClient | undefined;
  const client = () => (connected ??= sagemakerClient(url()));

  const describe = (TrainingJobName: string) =>
    client().send(new DescribeTrainingJobCommand({ TrainingJobName }));

  return {
    client,
    describe,

    /** Uploads the script and starts a job that runs it; returns the job's name. */
    async start({ script, beside = [], HyperParameters, ...changes }: ScriptJob): Promise<string> {
      const archive = await tarGz([{ name: "train.py", content: script }, ...beside]);
      const code = await putObject(cloud(), `${unique("code")}/sourcedir.tar.gz`, archive);
      const request = aTrainingJob({
        AlgorithmSpecification: { TrainingImage: xgboostImage, TrainingInputMode: "File" },
        ...changes,
        HyperParameters: {
          ...HyperParameters,
          sagemaker_program: "train.py",
          sagemaker_submit_directory: code,
        },
      });
      await client().send(new CreateTrainingJobCommand(request));
      return request.TrainingJobName ?? "";
    },

    /** Waits until the job says so; a job that ended otherwise shows how. */
    async until(
      name: string,
      wanted: Partial<DescribeTrainingJobCommandOutput>,
    ): Promise<DescribeTrainingJobCommandOutput> {
      const check = async () => {
        const job = await describe(name);
        expect(job).toMatchObject(wanted);
        return job;
      };
      return vi.waitFor(check, { timeout: 60_000, interval: 50 });
    },

    steps: ({ SecondaryStatusTransitions = [] }: DescribeTrainingJobCommandOutput) =>
      SecondaryStatusTransitions.map(({ Status }) => Status),

    log: async (name: string) => (await fetch(`${url()}/_local/training-jobs/${name}/log`)).text(),

    /** All others are over. */
    inject: (faults: { [Name in keyof Faults]?: unknown }) =>
      fetch(`${url()}/_local/faults`, { method: "PUT", body: JSON.stringify(faults) }),
  };
}
