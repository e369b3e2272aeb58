/** The worker's process: settings in, clients opened, both task queues served until it is told to stop. */
import { hostname } from "node:os";
import {
  Runtime,
  Worker,
  type WorkerDeploymentOptions,
  type WorkerOptions,
} from "@temporalio/worker";
import { TASK_QUEUES } from "../workflows/messages.js";
import { createActivities } from "./activities.js";
import { checkStages } from "./check-stages.js";
import { openClients, type WorkerClients } from "./clients.js";
import { healthPages } from "./health.js";
import { serveHttp } from "./http-server.js";
import { showLedger } from "./ledger-metrics.js";
import { logSubject } from "./log-subject.js";
import { jsonLogger } from "./logger.js";
import { telemetryOptions } from "./metrics.js";
import { observeAws } from "./observe-aws.js";
import { readSettings, SettingsInvalid, type WorkerSettings } from "./settings.js";
import { endWithin, shutdownTimes } from "./shutdown.js";
import { readTelemetrySettings } from "./telemetry-settings.js";
import { traceActivities } from "./trace-activities.js";
import { startTracing } from "./tracing.js";
import { translateErrors } from "./translate-errors.js";
import { buildIdOf, workflowBundle, type WorkflowBundle } from "./workflow-bundle.js";

export interface RunWorkerOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** Called when both task queues are served. `build` is there when workers are versioned. */
  readonly onReady?: (worker: {
    readonly account: string;
    readonly region: string;
    readonly build?: string;
  }) => void;
}

/**
 * Serves until SIGINT or SIGTERM, then lets what runs come to an end. Throws SettingsInvalid, or the error of
 * the part that cannot be reached.
 */
export async function runWorker({ environment, onReady }: RunWorkerOptions): Promise<void> {
  const settings = await readSettings(environment);
  const telemetry = readTelemetrySettings(environment);
  // Before any connection: the first one would make a runtime with default settings.
  const logger = jsonLogger(environment.MODELFLEET_LOG_LEVEL);
  const { metricMeter: meter } = Runtime.install({
    logger,
    telemetryOptions: telemetryOptions(telemetry.metricsAddress),
  });
  const workers: Worker[] = [];
  const stayAlive = endWithin({
    seconds: settings.shutdownSeconds,
    serves: () => workers.length > 0,
    end: () => process.exit(1),
  });
  const http = await serveHealth(settings, workers);
  const tracing = await startTracing(environment);
  const clients = await openClients(settings, environment, observeAws(meter)).catch(
    async (error: unknown) => {
      await tracing.close();
      await http?.close();
      throw error;
    },
  );
  const { ledger } = clients;
  const hideLedger =
    telemetry.metricsAddress === null ? undefined : showLedger({ ledger, meter, logger });
  try {
    // Not waited for: a stage that does not answer keeps nobody from work.
    checkStages(clients, logger).catch((error: unknown) => {
      logger.error("stages cannot be checked", { error: String(error) });
    });
    const bundle = await workflowBundle({ encodeFailures: clients.dataConverter !== undefined });
    const deployment = versioning(settings, bundle);
    workers.push(...(await createWorkers(settings, clients, bundle, deployment)));
    const running = workers.map((worker) => worker.run());
    const build = deployment?.version;
    onReady?.({
      account: clients.account,
      region: settings.region,
      ...(build === undefined ? {} : { build: `${build.deploymentName}.${build.buildId}` }),
    });
    await Promise.all(running);
  } finally {
    hideLedger?.();
    await http?.close();
    await clients.close();
    await tracing.close();
    stayAlive();
  }
}

async function serveHealth(settings: WorkerSettings, workers: readonly Worker[]) {
  if (settings.health === undefined) return undefined;
  const states = () =>
    Object.fromEntries(workers.map((worker) => [worker.options.taskQueue, worker.getState()]));
  return serveHttp(settings.health, healthPages(states)).catch((error: unknown) => {
    const told = error instanceof Error ? error.message : String(error);
    throw new SettingsInvalid(`MODELFLEET_HEALTH_PORT cannot be served: ${told}`);
  });
}

async function createWorkers(
  settings: WorkerSettings,
  clients: WorkerClients,
  bundle: WorkflowBundle,
  deployment: WorkerDeploymentOptions | undefined,
): Promise<Worker[]> {
  const activities = createActivities(settings, clients);
  const { native, namespace, dataConverter } = clients;
  const { code, failureConverterPath } = bundle;
  const common = {
    connection: native,
    namespace,
    identity: `modelfleet@${hostname()}:${process.pid}`,
    // The first is the outermost: what leaves is translated, and so is what a span tells of it.
    interceptors: { activity: [traceActivities, translateErrors, logSubject] },
    ...shutdownTimes(settings.shutdownSeconds),
    ...(deployment === undefined ? {} : { workerDeploymentOptions: deployment }),
    ...(dataConverter === undefined || failureConverterPath === undefined
      ? {}
      : { dataConverter: { ...dataConverter, failureConverterPath } }),
  } satisfies Partial<WorkerOptions>;
  const control = await Worker.create({
    ...common,
    taskQueue: TASK_QUEUES.control,
    workflowBundle: { code },
    activities: activities.control,
    // A cached workflow takes about 1 MB; the ones beyond replay when they wake.
    maxCachedWorkflows: 300,
    maxConcurrentWorkflowTaskExecutions: 40,
    // AWS calls wait more than they compute; the budget, not the slots, holds them back.
    maxConcurrentActivityTaskExecutions: 100,
  });
  const warehouse = await Worker.create({
    ...common,
    taskQueue: TASK_QUEUES.warehouse,
    activities: activities.warehouse,
    // One export fills a core and up to 200 MB.
    maxConcurrentActivityTaskExecutions: 2,
  });
  return [control, warehouse];
}

/**
 * With a deployment named, a workflow stays on the build that it began with, unless it lives too long for that (those
 * say so themselves: AUTO_UPGRADE beside their definition). Undefined without: any worker takes any task.
 */
function versioning(
  { deployment }: WorkerSettings,
  bundle: WorkflowBundle,
): WorkerDeploymentOptions | undefined {
  if (deployment === undefined) return undefined;
  const { name, buildId = buildIdOf(bundle) } = deployment;
  return {
    useWorkerVersioning: true,
    version: { deploymentName: name, buildId },
    defaultVersioningBehavior: "PINNED",
  };
}
