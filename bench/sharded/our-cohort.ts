/** One cycle of the energy example, from its start to the moment when every model that passed serves. */
import { setTimeout as delay } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import type { Connections } from "../../client/connections.js";
import { loadFleetFile } from "../../client/fleet-file.js";
import { callerAccount } from "../../client/health-aws.js";
import { runCycle } from "../../client/run-cycle.js";
import { packageRoot } from "../../local/stack/package-root.js";
import { startWorker } from "../cycle/worker-process.js";
import { withLedger } from "../ledger.js";
import { sampleMemory } from "../memory-samples.js";
import { required, type BenchStack, type Tell } from "../stack.js";

export const CYCLE_AT = "2025-03-01";
const PATIENCE_SECONDS = 3600;

export interface OurCohort {
  readonly instances: number;
  readonly customers: number;
  readonly fleet: string;
  readonly cycle: string;
  /** Of the job, from its script's start to its end, as SageMaker tells it. */
  readonly jobSeconds: number;
  /** Until every customer was judged and the cohort registered. */
  readonly registeredSeconds: number;
  readonly servingSeconds: number;
  readonly worker: readonly number[];
  readonly server: readonly number[];
}

export async function measureCohort(
  stack: BenchStack,
  connections: Connections,
  { customers, instances }: { readonly customers: number; readonly instances: number },
  tell: Tell,
): Promise<OurCohort> {
  const loaded = await loadFleetFile(`${packageRoot()}/examples/energy`, () =>
    callerAccount(connections),
  );
  const { training } = loaded.spec;
  if (training.kind !== "sharded") throw new Error("the energy example is no sharded fleet");
  const fleet = `energy-${instances}`;
  const spec = { ...loaded.spec, name: fleet, training: { ...training, instances } };
  const address = required(stack.environment, "TEMPORAL_ADDRESS");
  const namespace = required(stack.environment, "TEMPORAL_NAMESPACE");
  const client = new Client({ connection: await Connection.connect({ address }), namespace });
  const worker = await startWorker(stack, fleet);
  const serverPid = stack.processes.find(({ name }) => name === "sagemaker")?.pid ?? process.pid;
  const server = sampleMemory(serverPid);
  try {
    const started = performance.now();
    const elapsed = () => (performance.now() - started) / 1000;
    const run = await runCycle(connections, { ...loaded, spec }, { at: CYCLE_AT, force: false });
    await client.workflow.getHandle(run.workflowId).result();
    const registeredSeconds = elapsed();
    tell(
      `${customers} customers on ${instances} instances registered in ${registeredSeconds.toFixed(1)} s`,
    );
    await untilServing(stack, fleet, customers);
    const servingSeconds = elapsed();
    tell(`… and serving after ${servingSeconds.toFixed(1)} s`);
    return {
      ...{ instances, customers, fleet, cycle: run.cycle, registeredSeconds, servingSeconds },
      jobSeconds: await jobSeconds(stack, fleet),
      worker: await worker.memory(),
      server: await server.stop(),
    };
  } finally {
    await server.stop();
    await worker.stop();
    await client.connection.close();
  }
}

async function untilServing(stack: BenchStack, fleet: string, customers: number): Promise<void> {
  const deadline = Date.now() + PATIENCE_SECONDS * 1000;
  await withLedger(stack, async (ledger) => {
    for (;;) {
      const { rows } = await ledger.query<{ state: string; customers: number; reason: string }>(
        `select state, count(*)::int as customers, min(reason) as reason
           from customers where fleet = $1 group by state`,
        [fleet],
      );
      const serving = rows.find(({ state }) => state === "serving")?.customers ?? 0;
      if (serving === customers) return;
      const waiting = rows.some(({ state }) =>
        ["evaluated", "approved", "pending"].includes(state),
      );
      if (!waiting || Date.now() > deadline)
        throw new Error(`only ${serving} of ${customers} models serve: ${JSON.stringify(rows)}`);
      await delay(200);
    }
  });
}

async function jobSeconds(stack: BenchStack, fleet: string): Promise<number> {
  const name = await withLedger(stack, async (ledger) => {
    const { rows } = await ledger.query<{ name: string }>(
      "select job_name as name from jobs where fleet = $1 order by round desc limit 1",
      [fleet],
    );
    return rows[0]?.name ?? "";
  });
  const { DescribeTrainingJobCommand, SageMakerClient } = await import("@aws-sdk/client-sagemaker");
  const sagemaker = new SageMakerClient({});
  try {
    const job = await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: name }));
    const training = job.SecondaryStatusTransitions?.find(({ Status }) => Status === "Training");
    const [from, to] = [training?.StartTime, training?.EndTime];
    if (from === undefined || to === undefined)
      throw new Error(`${name} tells no time of training`);
    return (to.getTime() - from.getTime()) / 1000;
  } finally {
    sagemaker.destroy();
  }
}
