/** The ensemble, as `npm run example -- ensemble` runs it. */
import { join } from "node:path";
import { printLines } from "../../client/cli/print.js";
import { readSampleRows } from "../../client/invocation.js";
import { askLedger } from "../../client/ledger.js";
import { packageRoot } from "../../local/stack/package-root.js";
import { ask } from "../ask.js";
import type { Example, ExampleContext } from "../example.js";
import { load } from "./load.js";

const CUSTOMER = "diabetes";

export const example: Example = {
  title: "CatBoost and XGBoost in one job, tuned together, blended behind a serverless endpoint",
  fleet: "diabetes-ensemble",
  fleetFile: join(packageRoot(), "examples/ensemble/fleet.ts"),
  // The patients enrolled in 2025: three quarters of them, then all.
  cycles: ["2025-10-01", "2026-01-01"],
  settings: {},
  load,
  show,
};

async function show({ shell, connections, run }: ExampleContext): Promise<void> {
  const { bold, dim } = shell.colors;
  const searched = await trials(run, connections);
  const lines = searched.map(
    ({ eta, max_depth, rmse }) =>
      `  eta ${Number(eta).toFixed(3)}  max_depth ${max_depth}  RMSE of the blend ${rmse.toFixed(2)}`,
  );
  printLines(shell, [bold("One search over both models"), ...lines, ""]);

  const sample = await readSampleRows(connections, { fleet: run.fleet, customer: CUSTOMER });
  const rows = sample.rows.slice(0, 3);
  const answer = await ask(connections, { fleet: run.fleet, customer: CUSTOMER, rows });
  printLines(shell, [
    bold("One call, both models: the mean of the two"),
    ...answer.predictions.map((value, row) => `  ${value.toFixed(1)}  for ${rows[row] ?? ""}`),
    dim("  the article's four jobs downloaded the data once for two models, and so do these"),
    "",
    bold("A serverless endpoint sleeps when nobody calls it"),
    `  cold  ${(await coldMs(run, connections)).toFixed(0)} ms: the first call to this version, which verified it, started a container`,
    `  warm  ${answer.warmMs.toFixed(1)} ms: the median of the calls after it`,
    dim("  a minute without a call (on AWS it is not told how long), and one is cold again:"),
    dim(`  npx modelfleet invoke ${run.fleet} ${CUSTOMER} --sample`),
  ]);
}

/** Of the call that verified the version which serves: the endpoint had just been made, or changed. */
async function coldMs(
  { fleet }: ExampleContext["run"],
  connections: ExampleContext["connections"],
): Promise<number> {
  const [served] = await askLedger<{ cold: number }>(
    connections,
    `select (verification->>'latencyMs')::float8 as cold from publications
      where fleet = $1 and state = 'serving' order by version desc limit 1`,
    [fleet],
  );
  return served?.cold ?? NaN;
}

interface Trial {
  readonly eta: string;
  readonly max_depth: string;
  readonly rmse: number;
}

async function trials(
  { fleet, cycle }: ExampleContext["run"],
  connections: ExampleContext["connections"],
): Promise<Trial[]> {
  return askLedger<Trial>(
    connections,
    `select t.hyperparameters->>'eta' as eta, t.hyperparameters->>'max_depth' as max_depth,
            t.objective_value as rmse
       from tuning_trials t join tuning_jobs j using (tuning_job_name)
      where j.fleet = $1 and j.cycle = $2 and t.objective_value is not null
      order by t.objective_value`,
    [fleet, cycle],
  );
}
