/** A fleet whose jobs do nothing: all that its cycle costs is what is around the jobs. */
import { join } from "node:path";
import pg from "pg";
import type { LoadedFleet } from "../../client/fleet-file.js";
import { readSourceArchive } from "../../client/source-archive.js";
import { METRIC_DEFINITIONS } from "../../fleet/metrics.js";
import { fleetSpecSchema } from "../../fleet/spec.schema.js";

/** Every customer has enough rows for each split to get some. */
const ROWS_PER_CUSTOMER = 60;
/** When the cycle is for, a month after the rows. */
export const CYCLE_AT = "2024-02-01T00:00:00.000Z";

export async function createNoopRows(url: string, customers: number): Promise<string> {
  const table = `noop_${customers}`;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(
      `create table ${table} as
       select 'customer-' || lpad(customer::text, 6, '0') as customer,
              timestamptz '2024-01-01 00:00:00Z' + n * interval '1 minute' as happened_at,
              (customer * 31 + n * 17) % 1000 / 10.0::float8 as x,
              (customer * 13 + n * 7) % 1000 / 10.0::float8 as y
         from generate_series(1, ${customers}) as customer, generate_series(1, ${ROWS_PER_CUSTOMER}) as n`,
    );
    await client.query(`vacuum analyze ${table}`);
  } finally {
    await client.end();
  }
  return table;
}

export async function noopFleet(
  customers: number,
  table: string,
  inFlight: number,
): Promise<LoadedFleet> {
  const folder = join(import.meta.dirname, "noop_model");
  const source = await readSourceArchive(folder);
  // As good as each other, whatever they say: the first model of every customer is approved by the policy.
  const metrics = METRIC_DEFINITIONS.filter(({ Name }) => !Name.startsWith("champion:"));
  const spec = fleetSpecSchema.parse({
    name: `noop-${customers}`,
    source: {
      kind: "postgres",
      connection: "WAREHOUSE_URL",
      query: `select customer, x, y from ${table} where happened_at >= :floor and happened_at < :ceiling`,
      customer: "customer",
      target: "y",
      window: { months: 1 },
      split: { validation: 0.3, test: 0.3 },
      minimumRows: 3,
    },
    training: {
      kind: "script",
      source: folder,
      sourceHash: source.hash,
      image: "111111111111.dkr.ecr.us-east-1.amazonaws.com/modelfleet-noop:1",
      hyperparameters: {
        artifact: "true",
        ...Object.fromEntries(metrics.map(({ Name }) => [`metric:${Name}`, "1"])),
      },
    },
    gate: { autoApprove: { betterThanBaseline: -1 } },
    endpoint: { kind: "multi-model" },
    stages: [{ name: "bench", account: "111111111111" }],
    concurrency: inFlight,
    failureBudget: 0,
  });
  return { path: folder, spec, sources: [source] };
}
