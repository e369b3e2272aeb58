/** `npm run example -- accounts`: models go from stage to stage, and a denial takes one out of all of them. */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { cellText } from "../../client/cli/stage-matrix.js";
import { printLines, say, tableLines } from "../../client/cli/print.js";
import { decideModel } from "../../client/decisions.js";
import { readModels, type Model } from "../../client/models.js";
import { readStageMatrix, type MatrixRow, type StageMatrix } from "../../client/stage-matrix.js";
import { packageRoot } from "../../local/stack/package-root.js";
import type { Example, ExampleContext } from "../example.js";
import { load } from "../housing/load.js";

const FLEET = "accounts";
const LOOK_MS = 500;

export const example: Example = {
  title: "three stages with lags between them, a denial, and the way back in each",
  fleet: FLEET,
  fleetFile: join(packageRoot(), "examples/accounts/fleet.ts"),
  cycles: ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01", "2020-06-01"],
  settings: { cities: 3, houses: 400 },
  load,
  show,
};

async function show(context: ExampleContext): Promise<void> {
  const { shell, connections, run } = context;
  say(shell, "\nFrom stage to stage");
  const models = await readModels(connections, { fleet: FLEET, cycle: run.cycle });
  const through = await follow(context, (matrix) =>
    models.every((model) => model.decidedBy === null || isThrough(matrix, model)),
  );
  const denied = through.customers.find(({ stages }) => (stages.at(-1)?.version ?? 0) > 1);
  if (denied === undefined)
    return say(shell, "\nRun it again: the next month's models follow, and one is denied.");
  await deny(context, denied);
  const gone = denied.stages.at(-1)?.version;
  const after = await follow(context, ({ customers }) =>
    customers
      .filter(({ customerKey }) => customerKey === denied.customerKey)
      .every(({ stages }) => stages.every(({ version }) => version !== gone)),
  );
  const serves = after.customers.find(({ customerKey }) => customerKey === denied.customerKey);
  const versions = serves?.stages.map(({ stage, version }) => `${stage} ${version ?? "nothing"}`);
  say(shell, `${denied.customer} is served again: ${versions?.join(", ") ?? ""}`);
}

async function deny({ shell, connections }: ExampleContext, row: MatrixRow): Promise<void> {
  const { customer, customerKey } = row;
  const version = row.stages.at(-1)?.version ?? 0;
  const note = "prices of last month look wrong";
  say(shell, `\nmodelfleet deny ${FLEET} ${customer} --version ${version} --note "${note}"`);
  const model = { fleet: FLEET, customer, customerKey, version };
  await decideModel(connections, model, { verdict: "deny", by: "ann", note });
}

/** In production, or rejected on its way there. */
const isThrough = ({ customers }: StageMatrix, { customerKey, version }: Model): boolean => {
  const row = customers.find((one) => one.customerKey === customerKey);
  const serves = row?.stages.at(-1)?.version ?? 0;
  return (
    serves >= version || row?.stages.some(({ coming }) => coming?.state === "rejected") === true
  );
};

/** Prints the matrix whenever a stage has changed, until it is as wanted. */
async function follow(
  { shell, connections }: ExampleContext,
  isDone: (matrix: StageMatrix) => boolean,
): Promise<StageMatrix> {
  for (let printed = ""; ;) {
    const matrix = await readStageMatrix(connections, { fleet: FLEET });
    const text = JSON.stringify(matrix);
    if (text !== printed) printLines(shell, ["", ...matrixLines(shell, matrix)]);
    printed = text;
    if (isDone(matrix)) return matrix;
    await wait(LOOK_MS);
  }
}

const matrixLines = (shell: ExampleContext["shell"], matrix: StageMatrix): string[] =>
  tableLines(
    shell,
    [{ title: "city" }, ...matrix.stages.map((title) => ({ title }))],
    matrix.customers.map(({ customer, stages }) => [
      customer,
      ...stages.map((cell) => cellText(cell, Date.now())),
    ]),
  );
