/** The local SageMaker server: taken up where it was left, served, and ended in good order. */
import { mkdir, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { configSchema } from "./config.schema.js";
import type { ServerConfig, ServerConfigInput } from "./config.schema.js";
import { createHttpServer } from "./http-server.js";
import { loadServiceModels } from "./model.js";
import { createParts } from "./parts.js";
import { startPythonHost } from "./python-host.js";
import { migrate } from "./schema.js";

export interface RunningServer {
  readonly url: string;
  close(): Promise<void>;
}

/** What training scripts and model servers import before they do anything else. */
const preload = [
  "numpy",
  "pandas",
  "xgboost",
  "sklearn.compose",
  "sklearn.linear_model",
  "catboost",
];

/** Statements at a time; Postgres' default is 100 for all its clients. */
const databaseConnections = 12;

export async function startServer(input: ServerConfigInput): Promise<RunningServer> {
  const config = configSchema.parse(input);
  const log = pino({ name: "sagemaker" }, pino.destination(2));
  await clearWorkFolders(config);
  const models = await loadServiceModels(config.python);
  const db = new pg.Pool({ connectionString: config.database, max: databaseConnections });
  // An idle connection that Postgres closes is replaced when one is needed.
  db.on("error", (error) => log.warn({ err: error }, "database connection lost"));
  await migrate(db);

  const logDir = join(config.stateDir, "logs");
  const host = startPythonHost({ python: config.python, logDir, preload });
  // Nobody may be waiting yet: who needs Python is told why there is none.
  host.catch((error: unknown) => log.error({ err: error }, "python does not start"));
  const closing = new AbortController();
  const parts = createParts({
    ...{ config, db, models, log, closing: closing.signal },
    python: () => host,
  });
  await parts.pools.resume();
  await parts.policies.load();
  await parts.runs.resume();
  await parts.jobs.resume();
  await parts.tuningRuns.resume();
  await parts.life.resume();
  const http = createHttpServer(parts.protocols);
  const url = await listen(http, config);

  const close = async (): Promise<void> => {
    closing.abort();
    parts.pools.close();
    await stopListening(http);
    const runsEnded = Promise.all([
      parts.tuningRuns.close(),
      parts.runs.close(),
      parts.jobs.close(),
      parts.search.close(),
    ]);
    await parts.fleets.close();
    await host.then(
      (up) => up.close(),
      () => undefined,
    );
    await runsEnded;
    parts.objects.close();
    await Promise.all([parts.counts.settled(), parts.metrics.settled()]);
    await db.end();
  };
  return { url, close };
}

/** Folders of containers that ran when the server last ended: their jobs are lost, their logs are not. */
async function clearWorkFolders({ stateDir }: ServerConfig): Promise<void> {
  for (const folder of ["jobs", "endpoints"])
    await rm(join(stateDir, folder), { recursive: true, force: true });
  await mkdir(join(stateDir, "logs"), { recursive: true });
}

async function listen(http: Server, { host, port }: ServerConfig): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, host, resolve);
  });
  const address = http.address();
  const actual = typeof address === "object" && address !== null ? address.port : port;
  return `http://${host}:${actual}`;
}

async function stopListening(http: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => http.close(() => resolve()));
  http.closeIdleConnections();
  await closed;
}
