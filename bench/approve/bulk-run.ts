/** One bulk decision: a cycle leaves releases waiting, the command decides them, and every one is looked at after. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { BatchDescribeModelPackageCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { Client, Connection } from "@temporalio/client";
import type pg from "pg";
import { openConnections } from "../../client/connections.js";
import { runCycle } from "../../client/run-cycle.js";
import { createNoopRows, CYCLE_AT, noopFleet } from "../cycle/noop-fleet.js";
import { startWorker, type BenchWorker } from "../cycle/worker-process.js";
import { withLedger } from "../ledger.js";
import { required, type BenchStack, type Tell } from "../stack.js";

export interface BulkRun {
  readonly models: number;
  /** From the command's start to its exit. */
  readonly commandSeconds: number;
  /** Until the registry and the ledger hold every decision. */
  readonly recordedSeconds: number;
  readonly servingSeconds: number;
  readonly lost: number;
  readonly twice: number;
}

export interface BulkRunOptions {
  readonly models: number;
  readonly killWorker: boolean;
}

const IN_FLIGHT = 50;
const PATIENCE_SECONDS = 1800;
const RESTART_AFTER_SECONDS = 2;
const HISTORIES_AT_A_TIME = 16;
const root = join(import.meta.dirname, "..", "..");

export async function measureBulk(
  stack: BenchStack,
  { models, killWorker }: BulkRunOptions,
  tell: Tell,
): Promise<BulkRun> {
  const fleet = `${killWorker ? "killed" : "approve"}-${models}`;
  let worker: BenchWorker = await startWorker(stack, fleet);
  try {
    return await withLedger(stack, async (ledger) => {
      await leaveWaiting(stack, ledger, { fleet, models });
      tell(`${models} releases of ${fleet} wait`);
      const started = performance.now();
      const elapsed = () => (performance.now() - started) / 1000;
      const command = decide(stack, fleet);
      if (killWorker) {
        await until(ledger, fleet, ({ pending }) => pending <= (models * 2) / 3);
        process.kill(worker.pid, "SIGKILL");
        tell("worker killed");
        await delay(RESTART_AFTER_SECONDS * 1000);
        await worker.stop();
        worker = await startWorker(stack, `${fleet}-again`);
      }
      await command;
      const commandSeconds = elapsed();
      await until(ledger, fleet, ({ pending }) => pending === 0);
      const recordedSeconds = elapsed();
      await until(ledger, fleet, ({ pending, approved }) => pending + approved === 0);
      const servingSeconds = elapsed();
      tell(
        `decided in ${commandSeconds.toFixed(1)} s, serving after ${servingSeconds.toFixed(1)} s`,
      );
      const checked = await check(stack, ledger, fleet);
      return { models, commandSeconds, recordedSeconds, servingSeconds, ...checked };
    });
  } finally {
    await worker.stop();
  }
}

/** A cycle whose policy leaves every decision to a person. */
async function leaveWaiting(
  stack: BenchStack,
  ledger: pg.Pool,
  { fleet, models }: { readonly fleet: string; readonly models: number },
): Promise<void> {
  const table = await rowsOf(stack, models);
  const loaded = await noopFleet(models, table, IN_FLIGHT);
  const spec = { ...loaded.spec, name: fleet };
  const asking = {
    ...loaded,
    spec: { ...spec, gate: { ...spec.gate, autoApprove: false as const } },
  };
  const connections = openConnections(process.env);
  try {
    const { workflowId } = await runCycle(connections, asking, { at: CYCLE_AT, force: false });
    await (await connections.temporal()).workflow.getHandle(workflowId).result();
  } finally {
    await connections.close();
  }
  const { pending } = await standing(ledger, fleet);
  if (pending !== models) throw new Error(`${pending} of ${models} releases wait`);
}

const tables = new Map<number, Promise<string>>();
function rowsOf(stack: BenchStack, models: number): Promise<string> {
  const made = tables.get(models) ?? createNoopRows(stack.warehouseUrl, models);
  tables.set(models, made);
  return made;
}

/** As a user types it, in a process of its own. */
async function decide(stack: BenchStack, fleet: string): Promise<void> {
  const words = ["approve", fleet, "--where", "rmse < 40", "--yes", "--by", "bench"];
  const child = spawn(process.execPath, [join(root, "bin", "modelfleet.js"), ...words], {
    env: { ...process.env, ...stack.environment, MODELFLEET_ENV_FILE: "" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [said] = await Promise.all([text(child.stderr), once(child, "exit")]);
  if (child.exitCode !== 0) throw new Error(`approve ended with ${child.exitCode}: ${said}`);
}

interface Standing {
  readonly pending: number;
  /** Decided, and not yet serving. */
  readonly approved: number;
}

async function standing(ledger: pg.Pool, fleet: string): Promise<Standing> {
  const { rows } = await ledger.query<Standing>(
    `select count(*) filter (where state = 'pending')::int as pending,
            count(*) filter (where state = 'approved')::int as approved
       from releases where fleet = $1`,
    [fleet],
  );
  return rows[0] ?? { pending: 0, approved: 0 };
}

async function until(
  ledger: pg.Pool,
  fleet: string,
  reached: (standing: Standing) => boolean,
): Promise<void> {
  const deadline = Date.now() + PATIENCE_SECONDS * 1000;
  for (;;) {
    const now = await standing(ledger, fleet);
    if (reached(now)) return;
    if (Date.now() > deadline) throw new Error(`stands still: ${JSON.stringify(now)}`);
    await delay(100);
  }
}

/** Every release, one by one: in the ledger, in the registry, and in its history. */
async function check(
  stack: BenchStack,
  ledger: pg.Pool,
  fleet: string,
): Promise<{ lost: number; twice: number }> {
  const { rows } = await ledger.query<{ arn: string; workflow_id: string; state: string }>(
    "select model_package_arn as arn, workflow_id, state from releases where fleet = $1",
    [fleet],
  );
  const approved = await approvedIn(rows.map(({ arn }) => arn));
  const lost = rows.filter(({ arn, state }) => state !== "serving" || !approved.has(arn)).length;
  const twice = await decidedTwice(
    stack,
    rows.map((row) => row.workflow_id),
  );
  return { lost, twice };
}

async function approvedIn(arns: readonly string[]): Promise<Set<string>> {
  const registry = new SageMakerClient({});
  const approved = new Set<string>();
  try {
    for (let from = 0; from < arns.length; from += 100) {
      const { ModelPackageSummaries = {} } = await registry.send(
        new BatchDescribeModelPackageCommand({ ModelPackageArnList: arns.slice(from, from + 100) }),
      );
      for (const [arn, { ModelApprovalStatus }] of Object.entries(ModelPackageSummaries))
        if (ModelApprovalStatus === "Approved") approved.add(arn);
    }
  } finally {
    registry.destroy();
  }
  return approved;
}

async function decidedTwice(stack: BenchStack, workflowIds: readonly string[]): Promise<number> {
  const connection = await Connection.connect({
    address: required(stack.environment, "TEMPORAL_ADDRESS"),
  });
  const client = new Client({
    connection,
    namespace: required(stack.environment, "TEMPORAL_NAMESPACE"),
  });
  let twice = 0;
  const queue = workflowIds.values();
  const lane = async () => {
    for (const workflowId of queue) {
      const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
      const accepted = (events ?? []).filter(
        (event) => event.workflowExecutionUpdateAcceptedEventAttributes,
      );
      if (accepted.length > 1) twice += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: HISTORIES_AT_A_TIME }, lane));
  } finally {
    await connection.close();
  }
  return twice;
}
