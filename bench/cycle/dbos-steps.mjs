/**
 * The no-op work in DBOS for TypeScript: per customer a workflow of six durable steps, 50 in flight, state in
 * Postgres. Workflows are started straight from a loop, without a queue: the fastest form that still resumes
 * every started customer after a crash. Plain JavaScript: no TypeScript compiler stands in its memory or its time.
 *
 * usage: dbos-steps.mjs DATABASE_URL CUSTOMERS IN_FLIGHT
 */
import { DBOS } from "@dbos-inc/dbos-sdk";
import { inFlight } from "../in-flight.mjs";

const STEPS = 6;
const WARM_UP = 5;
const [systemDatabaseUrl, customers, limit] = process.argv.slice(2);

const step = async (number) => number;
const customerSteps = DBOS.registerWorkflow(
  async () => {
    let sum = 0;
    for (let number = 0; number < STEPS; number++) {
      sum += await DBOS.runStep(() => step(number), { name: "step" });
    }
    return sum;
  },
  { name: "customerSteps" },
);

DBOS.setConfig({ name: "bench", systemDatabaseUrl, logLevel: "error" });
await DBOS.launch();
await inFlight({ count: WARM_UP, limit: 1 }, (number) => run(`warm-up-${number}`));
const started = performance.now();
await inFlight({ count: Number(customers), limit: Number(limit) }, (number) =>
  run(`customer-${number}`),
);
const seconds = (performance.now() - started) / 1000;
await DBOS.shutdown();
process.stdout.write(`${JSON.stringify({ seconds, customers: Number(customers) })}\n`);

async function run(workflowID) {
  const handle = await DBOS.startWorkflow(customerSteps, { workflowID })();
  await handle.getResult();
}
