/** What the SageMaker server stands on, for one test file: Postgres, S3, and settings for servers beside them. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll } from "vitest";
import type { ServerConfigInput } from "../../local/sagemaker/config.schema.js";
import { startServer } from "../../local/sagemaker/server.js";
import type { RunningServer } from "../../local/sagemaker/server.js";
import type { Launched } from "../../local/stack/launch.js";
import { stopSteps } from "../../local/stack/part.js";
import { stackFolder } from "../../local/stack/place.js";
import { stackPorts } from "../../local/stack/ports.js";
import { postgresPart, postgresUrl } from "../../local/stack/postgres.js";
import { s3Part } from "../../local/stack/s3.js";
import { stopProcess } from "../../local/stack/stop-process.js";

export const account = "111111111111";
export const otherAccount = "222222222222";
export const region = "us-east-1";
export const bucket = `modelfleet-${account}`;
export const roleArn = `arn:aws:iam::${account}:role/modelfleet-execution`;

export const userKeys = { accessKeyId: "AKIALOCALUSER", secretAccessKey: "user-secret" };
export const otherKeys = { accessKeyId: "AKIAOTHERUSER", secretAccessKey: "other-secret" };
/** Only the gateway has it: the servers of these tests reach S3 as themselves. */
const sessionKey = randomBytes(32).toString("base64");
const serverKeys = { accessKeyId: "AKIALOCALSERVER", secretAccessKey: "server-secret" };

export interface Cloud {
  readonly config: ServerConfigInput;
  readonly s3: S3Client;
}

/** Starts before the first test of the file and is gone after the last. Takes 12 ports: 17400, 17412 … 17484. */
export function useCloud(basePort: number): () => Cloud {
  let cloud: Cloud | undefined;
  const home = mkdtempSync(join(tmpdir(), "mf-"));
  const launched: Launched[] = [];
  beforeAll(async () => {
    cloud = await startCloud(home, basePort, launched);
  });
  afterAll(async () => {
    cloud?.s3.destroy();
    for (const { record } of launched) await stopProcess(record, stopSteps(record.name));
    rmSync(home, { recursive: true, force: true });
  });
  return () => {
    if (cloud === undefined) throw new Error("the cloud starts before the first test, not earlier");
    return cloud;
  };
}

/** One server for all tests of a file. */
export function useServer(cloud: () => Cloud, settings: Partial<ServerConfigInput> = {}) {
  let server: RunningServer | undefined;
  beforeAll(async () => {
    server = await startServer({ ...cloud().config, ...settings });
  });
  afterAll(async () => server?.close());
  return () => {
    if (server === undefined)
      throw new Error("the server starts before the first test, not earlier");
    return server.url;
  };
}

async function startCloud(home: string, basePort: number, launched: Launched[]): Promise<Cloud> {
  const folder = stackFolder({ name: "test", baseDir: home });
  const ports = stackPorts(basePort);
  const password = "test";
  const weed = join(setting("MODELFLEET_TEST_BINARIES"), "weed");
  const parts = [
    postgresPart({ folder, port: ports.postgres, password, onProgress: () => undefined }),
    s3Part({
      ...{ folder, ports, region, bucket },
      identities: { accounts: [], userKeys, sagemakerKeys: serverKeys, sessionKey },
      tool: async () => ({ path: weed, version: "test" }),
    }),
  ];
  await Promise.all(parts.map((part) => part.start((one) => launched.push(one))));
  const endpoint = `http://127.0.0.1:${ports.s3}`;
  return {
    config: {
      port: ports.sagemaker,
      region,
      database: postgresUrl({ port: ports.postgres, password }, "sagemaker"),
      s3: { endpoint, ...serverKeys },
      accounts: [
        {
          id: account,
          accessKeys: [{ ...userKeys, user: "local" }],
          roles: ["modelfleet-execution"],
        },
        { id: otherAccount, accessKeys: [{ ...otherKeys, user: "other" }], roles: ["reader"] },
      ],
      stateDir: folder.sagemaker,
      python: setting("MODELFLEET_TEST_PYTHON"),
    },
    s3: new S3Client({ endpoint, region, credentials: userKeys, forcePathStyle: true }),
  };
}

export function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined)
    throw new Error(`${name} is not set: the global setup of the tests does`);
  return value;
}

type Keys = typeof userKeys & { readonly sessionToken?: string };

/** No retries: a test wants to see what the server answers, not what the SDK makes of it. */
const clientSettings = (url: string, keys: Keys) => ({
  endpoint: url,
  region,
  credentials: keys,
  maxAttempts: 1,
});

export const sagemakerClient = (url: string, keys: Keys = userKeys) =>
  new SageMakerClient(clientSettings(url, keys));
export const runtimeClient = (url: string, keys: Keys = userKeys) =>
  new SageMakerRuntimeClient(clientSettings(url, keys));
export const stsClient = (url: string, keys: Keys = userKeys) =>
  new STSClient(clientSettings(url, keys));

export async function putObject(
  { s3 }: Cloud,
  key: string,
  body: string | Buffer,
): Promise<string> {
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  return `s3://${bucket}/${key}`;
}

export async function readObject({ s3 }: Cloud, key: string): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

export async function keysUnder({ s3 }: Cloud, prefix: string): Promise<string[]> {
  const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
  return (page.Contents ?? []).map(({ Key = "" }) => Key);
}
