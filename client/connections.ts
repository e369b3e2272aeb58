/** Opens what a command needs, when it needs it; what cannot be reached is told within seconds. */
import type { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import type { Client } from "@temporalio/client";
import type { Pool } from "pg";
import { secretReader } from "../settings/secrets.js";
import { ClientError, messageOf } from "./errors.js";
import { ledgerUrl, setting, type Environment } from "./settings.js";
import { startClientTracing, type ClientTracing } from "./tracing.js";

/** A part that does not answer within this time is reported, not waited for. */
export const REACH_TIMEOUT_MS = 10_000;

/** As whom AWS is asked, and where. */
export interface AwsAccess {
  readonly region: string;
  /** Asked again before they expire; by default those of the environment. */
  readonly credentials?: NonNullable<S3ClientConfig["credentials"]>;
}

export interface Connections {
  readonly environment: Environment;
  temporal(): Promise<Client>;
  ledger(): Promise<Pool>;
  /** The same, with AWS as somebody else or elsewhere; closed with these. */
  as(access: AwsAccess): Connections;
  s3(): Promise<S3Client>;
  runtime(): Promise<SageMakerRuntimeClient>;
  /** Only to look: what changes something there is a worker's. */
  sagemaker(): Promise<SageMakerClient>;
  cloudwatch(): Promise<CloudWatchClient>;
  close(): Promise<void>;
}

export function openConnections(environment: Environment): Connections {
  const closers: (() => unknown)[] = [];
  const once = <T>(open: () => Promise<T>, close: (opened: T) => unknown) => {
    let opened: Promise<T> | undefined;
    return () =>
      (opened ??= open().then((value) => {
        closers.push(() => close(value));
        return value;
      }));
  };
  const aws = (accessOf: () => AwsAccess) => ({
    s3: once(
      () => openS3(accessOf()),
      (client) => client.destroy(),
    ),
    runtime: once(
      () => openRuntime(accessOf()),
      (client) => client.destroy(),
    ),
    sagemaker: once(
      () => openSageMaker(accessOf()),
      (client) => client.destroy(),
    ),
    cloudwatch: once(
      () => openCloudWatch(accessOf()),
      (client) => client.destroy(),
    ),
  });
  const connections: Connections = {
    environment,
    as: (access) => ({ ...connections, ...aws(() => access) }),
    ...aws(() => ({ region: setting(environment, "AWS_REGION") })),
    temporal: once(
      async () => {
        const tracing = await startClientTracing(environment);
        closers.push(tracing.close);
        return connectTemporal(environment, tracing);
      },
      (client) => client.connection.close(),
    ),
    ledger: once(
      async () => openPool(await ledgerUrl(environment), "-c search_path=modelfleet"),
      (pool) => pool.end(),
    ),
    close: async () => {
      await Promise.allSettled(closers.splice(0).map(async (close) => close()));
    },
  };
  return connections;
}

async function connectTemporal(
  environment: Environment,
  { interceptors }: ClientTracing,
): Promise<Client> {
  const { Client, Connection } = await import("@temporalio/client");
  const { temporalSettings } = await import("../settings/temporal.js");
  const { address, connectionOptions, namespace, dataConverter } = await temporalSettings(
    environment,
    secretReader(environment),
  );
  try {
    const connection = await Connection.connect({
      ...connectionOptions,
      connectTimeout: REACH_TIMEOUT_MS,
    });
    return new Client({
      connection,
      namespace,
      interceptors: { workflow: [...interceptors] },
      ...(dataConverter === undefined ? {} : { dataConverter }),
    });
  } catch (error) {
    throw new ClientError(
      `Temporal does not answer at ${address}`,
      "modelfleet local up, or correct TEMPORAL_ADDRESS; modelfleet doctor checks every part",
      { cause: error },
    );
  }
}

export async function openPool(url: string, options?: string): Promise<Pool> {
  const { default: pg } = await import("pg");
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    connectionTimeoutMillis: REACH_TIMEOUT_MS,
    application_name: "modelfleet client",
    ...(options === undefined ? {} : { options }),
  });
  // An idle connection that dies is replaced by the pool; without a listener it would end the process.
  pool.on("error", () => undefined);
  return pool;
}

async function openS3(access: AwsAccess): Promise<S3Client> {
  const { S3Client } = await import("@aws-sdk/client-s3");
  return new S3Client({ ...access, forcePathStyle: true, ...impatient });
}

async function openRuntime(access: AwsAccess): Promise<SageMakerRuntimeClient> {
  const { SageMakerRuntimeClient } = await import("@aws-sdk/client-sagemaker-runtime");
  // A cold model may take the whole 60 s that SageMaker grants an invocation.
  return new SageMakerRuntimeClient({
    ...access,
    maxAttempts: 3,
    requestHandler: { connectionTimeout: REACH_TIMEOUT_MS, requestTimeout: 65_000 },
  });
}

async function openSageMaker(access: AwsAccess): Promise<SageMakerClient> {
  const { SageMakerClient } = await import("@aws-sdk/client-sagemaker");
  return new SageMakerClient({ ...access, ...impatient });
}

async function openCloudWatch(access: AwsAccess): Promise<CloudWatchClient> {
  const { CloudWatchClient } = await import("@aws-sdk/client-cloudwatch");
  return new CloudWatchClient({ ...access, ...impatient });
}

const impatient = {
  maxAttempts: 2,
  requestHandler: { connectionTimeout: REACH_TIMEOUT_MS, requestTimeout: 30_000 },
};

/** Host and port of a connection URL: what may be shown of it. */
export function placeOf(url: string): string {
  try {
    const { hostname, port, pathname } = new URL(url);
    return `${hostname}:${port === "" ? "5432" : port}${pathname}`;
  } catch (error) {
    return `(not a URL: ${messageOf(error)})`;
  }
}
