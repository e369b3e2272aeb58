/** Opens the worker's connections: AWS behind its budget of calls, the ledger, Temporal. */
import { S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Client, Connection } from "@temporalio/client";
import { loadClientConnectConfig } from "@temporalio/envconfig";
import { NativeConnection } from "@temporalio/worker";
import type pg from "pg";
import { spendBudget } from "../activities/api-budget.js";
import { migrateLedger } from "../activities/ledger/migrate.js";
import { openLedger } from "../activities/ledger/pool.js";
import { LIMITS } from "../fleet/limits.js";
import type { WorkerSettings } from "./settings.js";

export interface WorkerClients {
  readonly account: string;
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly sagemaker: SageMakerClient;
  readonly runtime: SageMakerRuntimeClient;
  /** For activities: they signal workflows. */
  readonly temporal: Client;
  /** For the workers themselves. */
  readonly native: NativeConnection;
  readonly namespace: string;
  readonly close: () => Promise<void>;
}

/** Temporal owns the retries; one quick second attempt here covers a connection that was closed while idle. */
const attempts = { maxAttempts: 2 };

export async function openClients(settings: WorkerSettings): Promise<WorkerClients> {
  const { region } = settings;
  const account = await callerAccount(region);
  const ledger = openLedger({ url: settings.ledgerUrl, maxConnections: 10 });
  await migrateLedger(ledger);
  const budgetLedger = openLedger({ url: settings.ledgerUrl, maxConnections: 2, durable: false });
  const sagemaker = new SageMakerClient({ region, ...attempts });
  spendBudget(sagemaker, { account, region, ledger: budgetLedger });
  const s3 = new S3Client({ region, ...attempts });
  const runtime = new SageMakerRuntimeClient({
    region,
    ...attempts,
    // The container may take its whole time; the answer then still has to travel.
    requestHandler: { requestTimeout: (LIMITS.invocationTimeoutSeconds + 10) * 1000 },
  });
  const { connectionOptions, namespace = "default" } = loadClientConnectConfig();
  const native = await NativeConnection.connect(connectionOptions);
  const connection = await Connection.connect(connectionOptions);
  const temporal = new Client({ connection, namespace });
  const close = async () => {
    await Promise.allSettled([
      native.close(),
      connection.close(),
      ledger.end(),
      budgetLedger.end(),
    ]);
    for (const client of [s3, sagemaker, runtime]) client.destroy();
  };
  return { account, ledger, s3, sagemaker, runtime, temporal, native, namespace, close };
}

/** The AWS account that the credentials belong to; the spec's stage must name the same. */
async function callerAccount(region: string): Promise<string> {
  const sts = new STSClient({ region, ...attempts });
  try {
    const { Account } = await sts.send(new GetCallerIdentityCommand({}));
    if (Account === undefined) throw new Error("GetCallerIdentity answered without an account");
    return Account;
  } finally {
    sts.destroy();
  }
}
