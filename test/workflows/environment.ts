/** A Temporal dev server for one test file, workers on it, and the replay of every history it saw. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TestWorkflowEnvironment } from "@temporalio/testing";
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from "@temporalio/worker";
import type { Client } from "@temporalio/client";
import { afterAll, beforeAll, expect, onTestFinished, vi } from "vitest";
import { TASK_QUEUES } from "../../workflows/messages.js";
import { attributeKeys } from "../../workflows/search-attributes.js";
import { withoutTraces } from "./histories.js";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Temporal {
  client(): Client;
  /** A worker with these activities on a task queue; stopped when the test has ended, if not before. */
  worker(activities: object, options?: WorkerChoice): Promise<RunningWorker>;
  /** Marks a workflow whose history is stored by `npm run record-histories` under this name. */
  keep(name: string, workflowId: string): void;
}

export interface WorkerChoice {
  readonly taskQueue?: string;
  /** Also serve the warehouse's queue. */
  readonly warehouse?: boolean;
}

export interface RunningWorker {
  readonly taskQueue: string;
  stop(): Promise<void>;
}

let queues = 0;

/** Call at the top of a test file. `serverArguments` go to `temporal server start-dev`. */
export function useTemporal(serverArguments: readonly string[] = []): Temporal {
  // With fakes for activities a test takes seconds; one that hangs is not waited for as long as whole stacks are.
  vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
  let environment: TestWorkflowEnvironment | undefined;
  let code = "";
  const kept = new Map<string, string>();

  beforeAll(async () => {
    quietWorkers();
    environment = await TestWorkflowEnvironment.createLocal({
      server: {
        executable: { type: "existing-path", path: temporalBinary() },
        searchAttributes: Object.values(attributeKeys),
        extraArgs: ["--output", "none", ...serverArguments],
        log: { format: "pretty", level: "never" },
      },
      client: { identity: "test" },
    });
    code = await workflowBundle();
  });

  afterAll(async () => {
    try {
      storeHistories(opened(environment).address, kept);
      await replayAll(opened(environment).client, code);
    } finally {
      await environment?.teardown();
    }
  });

  return {
    client: () => opened(environment).client,
    keep: (name, workflowId) => void kept.set(name, workflowId),
    worker: async (activities, choice = {}) => {
      const taskQueue = choice.taskQueue ?? `queue-${process.pid}-${++queues}`;
      const connection = opened(environment).nativeConnection;
      // Forced in the end: an activity that a failed test holds open must not hold up the others.
      const shutdown = { shutdownGraceTime: 100, shutdownForceTime: "30s" } as const;
      const common = { connection, identity: "worker", activities, ...shutdown };
      const workers = [await Worker.create({ ...common, taskQueue, workflowBundle: { code } })];
      if (choice.warehouse === true)
        workers.push(await Worker.create({ ...common, taskQueue: TASK_QUEUES.warehouse }));
      const runs = workers.map((worker) => worker.run());
      const stop = async (): Promise<void> => {
        for (const worker of workers) if (worker.getState() === "RUNNING") worker.shutdown();
        await Promise.all(runs);
      };
      onTestFinished(stop);
      return { taskQueue, stop };
    },
  };
}

/** Tests fail workflows on purpose: what workflows and Temporal's core say about that, nobody reads. */
export function quietWorkers(): void {
  const logger = new DefaultLogger("ERROR", ({ message, meta }) => {
    if (meta?.sdkComponent !== "workflow") console.error(message, meta);
  });
  const filter = { core: "ERROR", other: "ERROR" } as const;
  Runtime.install({ logger, telemetryOptions: { logging: { filter } } });
}

function opened(environment: TestWorkflowEnvironment | undefined): TestWorkflowEnvironment {
  if (environment === undefined) throw new Error("the dev server is not up: use it inside a test");
  return environment;
}

function temporalBinary(): string {
  const path = process.env.MODELFLEET_TEST_TEMPORAL ?? "";
  if (!existsSync(path))
    throw new Error(
      "MODELFLEET_TEST_TEMPORAL must hold the path of a `temporal` binary: npm test sets it",
    );
  return path;
}

/** Bundling takes seconds, so test files share it: kept in the temporary folder by a hash of the sources. */
export async function workflowBundle(): Promise<string> {
  const hash = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
  for (const folder of ["fleet", "workflows"])
    for (const name of readdirSync(join(root, folder)).sort())
      if (name.endsWith(".ts")) hash.update(name).update(readFileSync(join(root, folder, name)));
  const file = join(tmpdir(), `modelfleet-test-bundle-${hash.digest("hex").slice(0, 16)}.js`);
  if (existsSync(file)) return readFileSync(file, "utf8");
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(root, "workflows/index.ts"),
    workflowInterceptorModules: [join(root, "workflows/interceptors.ts")],
    logger: new DefaultLogger("ERROR"),
  });
  writeFileSync(`${file}.${process.pid}`, code);
  renameSync(`${file}.${process.pid}`, file); // Whole or not at all: another file may be reading.
  return code;
}

/** Cheap, and catches most non-determinism: every run of the file must replay. */
async function replayAll(client: Client, code: string): Promise<void> {
  const histories = client.workflow.list().intoHistories();
  const failures: string[] = [];
  for await (const result of Worker.runReplayHistories({ workflowBundle: { code } }, histories))
    if (result.error) failures.push(`${result.workflowId}: ${result.error.message}`);
  expect(failures).toEqual([]);
}

/** By the CLI, whose JSON is the documented form of a stored history. */
function storeHistories(address: string, kept: ReadonlyMap<string, string>): void {
  if (process.env.MODELFLEET_RECORD_HISTORIES === undefined) return;
  for (const [name, workflowId] of kept) {
    const show = ["workflow", "show", "--workflow-id", workflowId, "--output", "json"];
    const text = execFileSync(temporalBinary(), [...show, "--address", address], {
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    });
    const history = JSON.stringify(withoutTraces(JSON.parse(text)), null, 1);
    writeFileSync(join(root, "test/histories", `${name}.json`), `${history}\n`);
  }
}
