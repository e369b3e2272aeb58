/** `npm run example -- accounts`: models go from account to account, and a denial takes one out of all of them. */
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { applyAccounts, planAccounts } from "../../client/accounts.js";
import { planLines, stepText } from "../../client/cli/accounts.js";
import { checkLines } from "../../client/cli/doctor.js";
import { cellText } from "../../client/cli/stage-matrix.js";
import { printLines, say, tableLines } from "../../client/cli/print.js";
import { decideModel } from "../../client/decisions.js";
import { ClientError } from "../../client/errors.js";
import { checkHealth } from "../../client/health.js";
import { readModels, type Model } from "../../client/models.js";
import { readStageMatrix, type MatrixRow, type StageMatrix } from "../../client/stage-matrix.js";
import { packageRoot } from "../../local/stack/package-root.js";
import type { Example, ExampleContext, PrepareContext } from "../example.js";
import { load } from "../housing/load.js";

const FLEET = "accounts";
const FILE = "examples/accounts";
const LOOK_MS = 500;

export const example: Example = {
  title: "three AWS accounts, lags between them, a denial, and the way back in each",
  fleet: FLEET,
  fleetFile: join(packageRoot(), "examples/accounts/fleet.ts"),
  cycles: ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01", "2020-06-01"],
  accounts: [
    { name: "qa", id: "222222222222" },
    { name: "prod", id: "333333333333" },
  ],
  settings: { cities: 3, houses: 400 },
  load,
  prepare,
  show,
};

/** What the accounts lack is made before anything is trained. */
async function prepare({ shell, connections, loaded }: PrepareContext): Promise<void> {
  const { green } = shell.progressColors;
  command(shell, `accounts plan ${FILE}`);
  const plan = await planAccounts(connections, loaded.spec);
  printLines(shell, planLines(shell, plan));
  const [problem] = plan.problems;
  if (problem !== undefined)
    throw new ClientError(
      problem.found,
      problem.mend ?? "docs/accounts.md says what must be there",
    );
  if (plan.steps.length > 0) {
    command(shell, `accounts apply ${FILE} --yes`);
    await applyAccounts(connections, loaded.spec, plan, (step) =>
      say(shell, `${green("made")}  ${stepText(step)}`),
    );
  }
  command(shell, `doctor ${FILE}`);
  const checks = await checkHealth(connections, [loaded.spec]);
  printLines(shell, checkLines(shell, checks));
}

async function show(context: ExampleContext): Promise<void | "again"> {
  const { shell, connections, run } = context;
  command(shell, `status ${FLEET} --stages`);
  const models = await readModels(connections, { fleet: FLEET, cycle: run.cycle });
  const through = await follow(context, (matrix) =>
    models.every((model) => model.decidedBy === null || isThrough(matrix, model)),
  );
  const denied = through.customers.find(({ stages }) => (stages.at(-1)?.version ?? 0) > 1);
  if (denied === undefined) {
    say(shell, "\nEvery stage serves the first versions. Those of the next month follow.");
    return "again";
  }
  await deny(context, denied);
  command(shell, `status ${FLEET} --stages`);
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
  command(shell, `deny ${FLEET} ${customer} --version ${version} --note "${note}"`);
  const model = { fleet: FLEET, customer, customerKey, version };
  await decideModel(connections, model, { verdict: "deny", by: userInfo().username, note });
}

/** What a person would type for what comes next. */
function command(shell: ExampleContext["shell"], words: string): void {
  say(shell, `\n${shell.progressColors.bold(`modelfleet ${words}`)}`);
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
