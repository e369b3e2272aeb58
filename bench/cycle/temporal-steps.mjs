/**
 * The no-op work in Temporal alone, on the same server as modelfleet: per customer a workflow of six activities,
 * 50 in flight. It tells what of a cycle's price is the engine's and what is ours.
 *
 * usage: temporal-steps.mjs ADDRESS NAMESPACE WORKFLOW_BUNDLE CUSTOMERS IN_FLIGHT
 */
import { Client, Connection } from "@temporalio/client";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { inFlight } from "../in-flight.mjs";

const WARM_UP = 5;
const TASK_QUEUE = "bench-steps";
const [address, namespace, codePath, customers, limit] = process.argv.slice(2);

Runtime.install({ logger: new DefaultLogger("ERROR") });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  namespace,
  taskQueue: TASK_QUEUE,
  workflowBundle: { codePath },
  activities: { step: async (number) => number },
});
const client = new Client({ connection: await Connection.connect({ address }), namespace });
// Two runs on one server must not meet each other's workflows.
const runId = `${process.pid}-${Date.now()}`;

const seconds = await worker.runUntil(async () => {
  await inFlight({ count: WARM_UP, limit: 1 }, (number) => run(`warm-up-${number}`));
  const started = performance.now();
  await inFlight({ count: Number(customers), limit: Number(limit) }, (number) =>
    run(`customer-${number}`),
  );
  return (performance.now() - started) / 1000;
});
process.stdout.write(`${JSON.stringify({ seconds, customers: Number(customers) })}\n`);
process.exit(0);

async function run(name) {
  const workflowId = `bench-steps/${runId}/${name}`;
  await client.workflow.execute("customerSteps", { taskQueue: TASK_QUEUE, workflowId, args: [] });
}
