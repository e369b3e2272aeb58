/** The pipeline, as `npm run example -- pipeline` runs it. */
import { join } from "node:path";
import { printLines } from "../../client/cli/print.js";
import { readSampleRows } from "../../client/invocation.js";
import { readCustomers } from "../../client/ledger.js";
import { packageRoot } from "../../local/stack/package-root.js";
import { ask } from "../ask.js";
import type { Example, ExampleContext } from "../example.js";
import { load } from "./load.js";

const SHOWN = 3;

export const example: Example = {
  title: "Raw rows through one preprocessor to a model for each location, behind one endpoint",
  fleet: "house-prices",
  fleetFile: join(packageRoot(), "examples/pipeline/fleet.ts"),
  cycles: ["2026-01-01", "2026-04-01"],
  settings: { locations: 10, houses: 500 },
  load,
  show,
};

async function show({ shell, connections, run }: ExampleContext): Promise<void> {
  const { bold, dim } = shell.colors;
  const { fleet, cycle } = run;
  const serving = await readCustomers(connections, { fleet, cycle, states: ["serving"] });
  const lines: string[] = [];
  for (const { customer } of serving.slice(0, SHOWN)) {
    const sample = await readSampleRows(connections, { fleet, customer });
    const [row = ""] = sample.rows;
    const answer = await ask(connections, { fleet, customer, rows: [row] });
    const price = (answer.predictions[0] ?? NaN).toLocaleString("en-US", {
      maximumFractionDigits: 0,
    });
    lines.push(
      `  ${customer.padEnd(16)} ${row}`,
      `  ${"".padEnd(16)} $${price}, took ${answer.firstMs.toFixed(0)} ms, then ${answer.warmMs.toFixed(0)} ms`,
    );
  }
  printLines(shell, [
    bold(
      "Raw rows, 'y' and 'n' and all, to one endpoint: the preprocessor, then the location's model",
    ),
    ...lines,
    dim("  in the article: $439,972.62, took 1,166 ms, and 53 ms once the model was loaded"),
  ]);
}
