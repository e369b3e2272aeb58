/** The real parts that activities work on, for one test file: ledger, warehouse, S3, SageMaker, Temporal. */
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { Client, Connection } from "@temporalio/client";
import { MockActivityEnvironment } from "@temporalio/testing";
import { DefaultLogger } from "@temporalio/worker";
import pg from "pg";
import { afterAll, beforeAll } from "vitest";
import { migrateLedger } from "../../activities/ledger/migrate.js";
import { openLedger } from "../../activities/ledger/pool.js";
import type { StageAccess } from "../../activities/stage-access.js";
import { startTestStack, type TestStack } from "../stack.js";

export interface Parts {
  readonly account: string;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
  /** So many that no test waits for a place unless it asks for fewer. */
  readonly maxTrainingJobs: number;
  readonly warehouseUrl: string;
  readonly ledgerUrl: string;
  readonly sagemakerUrl: string;
  readonly ledger: pg.Pool;
  readonly warehouse: pg.Pool;
  readonly s3: S3Client;
  readonly sagemaker: SageMakerClient;
  readonly temporal: Client;
  /** The same clients for every stage. */
  readonly stageAccess: StageAccess;
  /** None is set. */
  readonly secret: (name: string) => Promise<string | undefined>;
}

/** Starts before the first test of the file and is gone after the last. */
export function useParts(
  basePort: number,
  faults: Readonly<Record<string, unknown>> = {},
): () => Parts {
  let stack: TestStack | undefined;
  let parts: Parts | undefined;
  beforeAll(async () => {
    stack = await startTestStack({ basePort, faults });
    parts = await connectParts(stack.environment);
  });
  afterAll(async () => {
    await parts?.ledger.end();
    await parts?.warehouse.end();
    await parts?.temporal.connection.close();
    parts?.s3.destroy();
    parts?.sagemaker.destroy();
    await stack?.close();
  });
  return () => {
    if (parts === undefined) throw new Error("the parts start before the first test, not earlier");
    return parts;
  };
}

export async function connectParts(environment: Readonly<Record<string, string>>): Promise<Parts> {
  const read = (name: string): string => {
    const value = environment[name];
    if (value === undefined) throw new Error(`the stack has no setting ${name}`);
    return value;
  };
  const region = read("AWS_REGION");
  const credentials = {
    accessKeyId: read("AWS_ACCESS_KEY_ID"),
    secretAccessKey: read("AWS_SECRET_ACCESS_KEY"),
  };
  const ledger = openLedger({ url: read("MODELFLEET_LEDGER_URL"), maxConnections: 10 });
  await migrateLedger(ledger);
  const connection = await Connection.connect({ address: read("TEMPORAL_ADDRESS") });
  const roleArn = read("MODELFLEET_ROLE_ARN");
  const account = roleArn.split(":")[4] ?? "";
  const bucket = read("MODELFLEET_BUCKET");
  const sagemakerUrl = read("AWS_ENDPOINT_URL_SAGEMAKER");
  const s3 = new S3Client({
    region,
    credentials,
    endpoint: read("AWS_ENDPOINT_URL_S3"),
    forcePathStyle: true,
  });
  const sagemaker = new SageMakerClient({
    region,
    credentials,
    endpoint: sagemakerUrl,
    maxAttempts: 2,
  });
  const runtime = new SageMakerRuntimeClient({
    region,
    credentials,
    endpoint: sagemakerUrl,
    maxAttempts: 1,
  });
  const clients = { account, region, bucket, roleArn, s3, sagemaker, runtime };
  return {
    account,
    region,
    bucket,
    roleArn,
    stageAccess: async () => clients,
    secret: async () => undefined,
    maxTrainingJobs: 1000,
    warehouseUrl: read("WAREHOUSE_URL"),
    ledgerUrl: read("MODELFLEET_LEDGER_URL"),
    sagemakerUrl,
    ledger,
    warehouse: new pg.Pool({ connectionString: read("WAREHOUSE_URL"), max: 4 }),
    s3,
    sagemaker,
    temporal: new Client({ connection, namespace: read("TEMPORAL_NAMESPACE") }),
  };
}

/** The text of an object, or null when there is none. */
export async function readObject({ s3, bucket }: Parts, key: string): Promise<string | null> {
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return (await Body?.transformToString("utf8")) ?? null;
  } catch (error) {
    if (error instanceof Error && error.name === "NoSuchKey") return null;
    throw error;
  }
}

/** What a worker gives an activity, without its log: failures are what many tests are about. */
export const activityEnvironment = (): MockActivityEnvironment =>
  new MockActivityEnvironment({}, { logger: new DefaultLogger("ERROR") });

/** Runs an activity as a worker would. */
export const run = <Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: Input,
): Promise<Output> => activityEnvironment().run(activity, input);
