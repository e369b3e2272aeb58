/** The worker's process: settings in, clients opened, both task queues served until it is told to stop. */
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import {
  bundleWorkflowCode,
  Runtime,
  Worker,
  type WorkerOptions,
  type WorkflowBundleOption,
} from "@temporalio/worker";
import { TASK_QUEUES } from "../workflows/messages.js";
import { createActivities } from "./activities.js";
import { openClients, type WorkerClients } from "./clients.js";
import { jsonLogger } from "./logger.js";
import { readSettings } from "./settings.js";
import { translateErrors } from "./translate-errors.js";

export interface RunWorkerOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** Called when both task queues are served. */
  readonly onReady?: (worker: { readonly account: string; readonly region: string }) => void;
}

/**
 * Serves until SIGINT or SIGTERM, then lets what runs come to an end. Throws SettingsInvalid, or the error of
 * the part that cannot be reached.
 */
export async function runWorker({ environment, onReady }: RunWorkerOptions): Promise<void> {
  const settings = readSettings(environment);
  // Before any connection: the first one would make a runtime with default settings.
  Runtime.install({ logger: jsonLogger(environment.MODELFLEET_LOG_LEVEL) });
  const clients = await openClients(settings);
  try {
    const activities = createActivities(settings, clients);
    const control = await Worker.create({
      ...commonOptions(clients),
      taskQueue: TASK_QUEUES.control,
      workflowBundle: await workflowBundle(),
      activities: activities.control,
      // A cached workflow takes about 1 MB; the ones beyond replay when they wake.
      maxCachedWorkflows: 300,
      maxConcurrentWorkflowTaskExecutions: 40,
      // AWS calls wait more than they compute; the budget, not the slots, holds them back.
      maxConcurrentActivityTaskExecutions: 100,
    });
    const warehouse = await Worker.create({
      ...commonOptions(clients),
      taskQueue: TASK_QUEUES.warehouse,
      activities: activities.warehouse,
      // One export fills a core and up to 200 MB.
      maxConcurrentActivityTaskExecutions: 2,
    });
    const running = [control.run(), warehouse.run()];
    onReady?.({ account: clients.account, region: settings.region });
    await Promise.all(running);
  } finally {
    await clients.close();
  }
}

function commonOptions({ native, namespace }: WorkerClients) {
  return {
    connection: native,
    namespace,
    identity: `modelfleet@${hostname()}:${process.pid}`,
    interceptors: { activity: [translateErrors] },
    shutdownGraceTime: "20s",
    shutdownForceTime: "40s",
  } as const satisfies Partial<WorkerOptions>;
}

/** Made by the build; made here when the worker runs from the sources. */
async function workflowBundle(): Promise<WorkflowBundleOption> {
  const built = fileURLToPath(new URL("../workflow-bundle.js", import.meta.url));
  if (existsSync(built)) return { codePath: built };
  return bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL("../workflows/index.js", import.meta.url)),
  });
}
