/** Opens the worker's connections: AWS behind its budget of calls, the ledger, Temporal. */
import { S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Client, Connection } from "@temporalio/client";
import { NativeConnection } from "@temporalio/worker";
import type pg from "pg";
import { spendBudget } from "../activities/api-budget.js";
import { migrateLedger } from "../activities/ledger/migrate.js";
import { openLedger } from "../activities/ledger/pool.js";
import type { StageAccess } from "../activities/stage-access.js";
import type { Environment } from "../settings/environment.js";
import { temporalSettings, type TemporalSettings } from "../settings/temporal.js";
import type { Observe } from "./observe-aws.js";
import type { WorkerSettings } from "./settings.js";
import { openRuntime, openStages } from "./stage-clients.js";

export interface WorkerClients {
  readonly account: string;
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly sagemaker: SageMakerClient;
  readonly runtime: SageMakerRuntimeClient;
  /** For what is in a stage; the clients above are of the worker's own account. */
  readonly stageAccess: StageAccess;
  /** For activities: they signal workflows. */
  readonly temporal: Client;
  /** For the workers themselves. */
  readonly native: NativeConnection;
  readonly namespace: string;
  /** Encrypts what Temporal stores; undefined while that is plain. */
  readonly dataConverter: TemporalSettings["dataConverter"];
  readonly close: () => Promise<void>;
}

/** Temporal owns the retries; one quick second attempt here covers a connection that was closed while idle. */
const attempts = { maxAttempts: 2 };

/** `observe` is given every client of AWS before its first call. */
export async function openClients(
  settings: WorkerSettings,
  environment: Environment,
  observe: Observe,
): Promise<WorkerClients> {
  const { region } = settings;
  // First, as it may be wrong: nothing is open yet.
  const { connectionOptions, namespace, dataConverter } = await temporalSettings(
    environment,
    settings.secret,
  );
  const account = await callerAccount(region);
  const ledger = openLedger({ url: settings.ledgerUrl, maxConnections: 10 });
  await migrateLedger(ledger);
  const budgetLedger = openLedger({ url: settings.ledgerUrl, maxConnections: 2, durable: false });
  const sagemaker = new SageMakerClient({ region, ...attempts });
  spendBudget(sagemaker, { account, region, ledger: budgetLedger });
  const s3 = new S3Client({ region, ...attempts });
  const runtime = openRuntime({ region });
  for (const client of [s3, sagemaker, runtime]) observe(client);
  const { bucket, roleArn } = settings;
  const home = { account, region, bucket, roleArn, s3, sagemaker, runtime };
  const { stageAccess, ...stages } = openStages({ home, ledger: budgetLedger, observe });
  const native = await NativeConnection.connect(connectionOptions);
  const connection = await Connection.connect(connectionOptions);
  const temporal = new Client({
    connection,
    namespace,
    ...(dataConverter === undefined ? {} : { dataConverter }),
  });
  const close = async () => {
    await Promise.allSettled([
      native.close(),
      connection.close(),
      ledger.end(),
      budgetLedger.end(),
    ]);
    for (const client of [s3, sagemaker, runtime]) client.destroy();
    stages.close();
  };
  const aws = { account, s3, sagemaker, runtime, stageAccess };
  return { ...aws, ledger, temporal, native, namespace, dataConverter, close };
}

/** The AWS account that the credentials belong to; the spec's stage must name the same. */
export async function callerAccount(region: string): Promise<string> {
  const sts = new STSClient({ region, ...attempts });
  try {
    const { Account } = await sts.send(new GetCallerIdentityCommand({}));
    if (Account === undefined) throw new Error("GetCallerIdentity answered without an account");
    return Account;
  } finally {
    sts.destroy();
  }
}
