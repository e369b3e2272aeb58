/** Thousands of forecasts, as `npm run example -- energy` runs them. */
import { join } from "node:path";
import { InvokeEndpointCommand } from "@aws-sdk/client-sagemaker-runtime";
import { printLines } from "../../client/cli/print.js";
import { readPointer } from "../../client/invocation.js";
import { askLedger } from "../../client/ledger.js";
import { packageRoot } from "../../local/stack/package-root.js";
import type { Example, ExampleContext } from "../example.js";
import { load } from "./load.js";

/** Customers whose forecasts are shown. */
const SHOWN = 3;

export const example: Example = {
  title:
    "Prophet models of thousands of customers from one sharded training job, behind one multi-model endpoint",
  fleet: "energy",
  fleetFile: join(packageRoot(), "examples/energy/fleet.ts"),
  // January and February, then February and March.
  cycles: ["2025-03-01", "2025-04-01"],
  settings: { customers: 1000 },
  load,
  show,
};

async function show(context: ExampleContext): Promise<void> {
  const { shell, run } = context;
  const { bold, dim } = shell.colors;
  const served = await servedCustomers(context);
  const lines: string[] = [];
  for (const customer of served) {
    const { forecast, latencyMs } = await forecastOf(context, customer);
    const values = forecast.map(({ consumption }) => consumption.toFixed(0).padStart(5)).join("");
    lines.push(
      `  customer ${customer}  from ${forecast[0]?.time ?? ""}  ${values}  ${dim(`${latencyMs.toFixed(0)} ms`)}`,
    );
  }
  printLines(shell, [
    bold(`Forecasts of ${run.fleet} for {"period": 7}: a value for each of the next seven days`),
    ...lines,
    dim("  the first call of a model loads it from S3"),
  ]);
}

async function servedCustomers({ connections, run }: ExampleContext): Promise<string[]> {
  const rows = await askLedger<{ customer: string }>(
    connections,
    `select c.customer from customers c
      where c.fleet = $1 and c.cycle = $2 and c.state = 'serving'
      order by c.customer_key limit $3`,
    [run.fleet, run.cycle, SHOWN],
  );
  return rows.map(({ customer }) => customer);
}

export interface Forecast {
  readonly forecast: readonly { readonly time: string; readonly consumption: number }[];
  readonly latencyMs: number;
}

/** The next seven days of one customer, from its serving model. */
export async function forecastOf(
  { connections, run: { fleet } }: Pick<ExampleContext, "connections" | "run">,
  customer: string,
): Promise<Forecast> {
  const pointer = await readPointer(connections, { fleet, customer });
  const runtime = await connections.runtime();
  const started = performance.now();
  const { Body } = await runtime.send(
    new InvokeEndpointCommand({
      EndpointName: pointer.endpointName,
      TargetModel: pointer.targetModel ?? undefined,
      ContentType: "application/json",
      Accept: "application/json",
      Body: JSON.stringify({ period: 7 }),
    }),
  );
  const latencyMs = performance.now() - started;
  const { forecast } = JSON.parse(Body.transformToString()) as Pick<Forecast, "forecast">;
  return { forecast, latencyMs };
}
