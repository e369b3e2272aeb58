/** One cycle of the no-op fleet, from its start to the moment when every customer's model serves. */
import { setTimeout as delay } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import type pg from "pg";
import { openConnections } from "../../client/connections.js";
import { runCycle } from "../../client/run-cycle.js";
import { cpuBetween, cpuSeconds, type CpuSeconds } from "../cpu-time.js";
import { withLedger } from "../ledger.js";
import { required, type BenchStack, type Tell } from "../stack.js";
import { createNoopRows, CYCLE_AT, noopFleet } from "./noop-fleet.js";
import { callsBetween, startWorker, type AwsCalls } from "./worker-process.js";
import { workflowCosts, type TypeCost } from "./workflow-costs.js";

export interface OurCycle {
  readonly customers: number;
  /** Until the cycle's workflow ended: every challenger is registered. */
  readonly registeredSeconds: number;
  /** Until every model was published, verified and pointed to. */
  readonly servingSeconds: number;
  /** The worker's, oldest first. */
  readonly residentBytes: readonly number[];
  readonly calls: AwsCalls;
  /** Of the worker and of the stack's parts. */
  readonly cpuSeconds: CpuSeconds;
  readonly costs: ReadonlyMap<string, TypeCost>;
}

export interface OurCycleSize {
  readonly customers: number;
  readonly inFlight: number;
  readonly profile?: string | undefined;
}

const REST_SECONDS = 10;
const PATIENCE_SECONDS = 3600;

export async function measureOurCycle(
  stack: BenchStack,
  { customers, inFlight, profile }: OurCycleSize,
  tell: Tell,
): Promise<OurCycle> {
  const table = await createNoopRows(stack.warehouseUrl, customers);
  const fleet = await noopFleet(customers, table, inFlight);
  const name = fleet.spec.name;
  const address = required(stack.environment, "TEMPORAL_ADDRESS");
  const namespace = required(stack.environment, "TEMPORAL_NAMESPACE");
  const client = new Client({ connection: await Connection.connect({ address }), namespace });
  const connections = openConnections(process.env);
  const worker = await startWorker(stack, name, profile);
  try {
    const processes = [{ name: "worker", pid: worker.pid }, ...stack.processes];
    const callsBefore = await worker.calls();
    const cpuBefore = cpuSeconds(processes);
    const since = new Date();
    const started = performance.now();
    const elapsed = () => (performance.now() - started) / 1000;
    const { workflowId } = await runCycle(connections, fleet, { at: CYCLE_AT, force: false });
    const report: unknown = await client.workflow.getHandle(workflowId).result();
    const registeredSeconds = elapsed();
    tell(`${customers} customers registered in ${registeredSeconds.toFixed(1)} s`);
    await withLedger(stack, (ledger) => untilServing(ledger, name, customers, report));
    const servingSeconds = elapsed();
    tell(`… and serving after ${servingSeconds.toFixed(1)} s`);
    const cpu = cpuBetween(cpuBefore, cpuSeconds(processes));
    const calls = callsBetween(callsBefore, await worker.calls());
    // The watcher and the endpoint's workflow end by themselves when nothing is left to do.
    await delay(REST_SECONDS * 1000);
    const residentBytes = await worker.memory();
    const costs = await workflowCosts(client, name, since);
    return {
      ...{ customers, registeredSeconds, servingSeconds, residentBytes },
      ...{ calls, cpuSeconds: cpu, costs },
    };
  } finally {
    await worker.stop();
    await connections.close();
    await client.connection.close();
  }
}

async function untilServing(
  ledger: pg.Pool,
  fleet: string,
  customers: number,
  report: unknown,
): Promise<void> {
  const deadline = Date.now() + PATIENCE_SECONDS * 1000;
  for (;;) {
    const { rows } = await ledger.query<{
      state: string;
      customers: string;
      reason: string | null;
    }>(
      `select state, count(*) as customers, min(reason) as reason
         from customers where fleet = $1 group by state`,
      [fleet],
    );
    const ended = ["serving", "rejected", "failed", "denied", "skipped", "champion-kept"];
    if (rows.every(({ state }) => ended.includes(state)) || Date.now() > deadline) {
      const serving = Number(rows.find(({ state }) => state === "serving")?.customers ?? 0);
      if (serving === customers) return;
      throw new Error(
        `only ${serving} of ${customers} models serve: ${JSON.stringify({ rows, report })}`,
      );
    }
    await delay(200);
  }
}
