/** `modelfleet rollback`: the version before serves a customer again. */
import { userInfo } from "node:os";
import type { Command } from "commander";
import { servedAs } from "../../fleet/release.js";
import { openConnections, type Connections } from "../connections.js";
import { UsageError } from "../errors.js";
import {
  planRollback,
  rollBack,
  watchWithdrawal,
  type RollbackPlan,
  type StartedWithdrawal,
  type WithdrawalSnapshot,
} from "../rollback.js";
import { workflowPage } from "../settings.js";
import { confirm } from "./confirm.js";
import { EXIT } from "./exit-codes.js";
import { wholeNumber, withExamples, withJson } from "./options.js";
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";

interface RollbackFlags {
  readonly to?: number;
  readonly because?: string;
  readonly by?: string;
  readonly yes?: true;
  readonly json?: true;
}

export function configureRollback(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .argument("<customer>", "the customer")
    .option(
      "--to <number>",
      "the version that shall serve (default: the newest that may)",
      wholeNumber,
    )
    .option("--because <text>", "why the version that serves has to go (required)")
    .option("--by <name>", "who decides (default: your user name)")
    .option("--yes", "do not ask on a terminal");
  withJson(command);
  withExamples(command, [
    'modelfleet rollback flight-delays XNA --because "answers too slowly"',
    'modelfleet rollback flight-delays XNA --to 2 --because "wrong data in May" --yes',
  ]);
  command.action((fleet: string, customer: string, flags: RollbackFlags) =>
    rollback(shell, { fleet, customer }, flags),
  );
}

async function rollback(
  shell: Shell,
  named: { fleet: string; customer: string },
  flags: RollbackFlags,
): Promise<void> {
  const because = (flags.because ?? "").trim();
  if (because === "") throw new UsageError("a rollback needs its reason", 'add --because "why"');
  const connections = openConnections(shell.environment());
  try {
    const to = flags.to === undefined ? {} : { to: flags.to };
    const plan = await planRollback(connections, { ...named, ...to });
    if (!(await isConfirmed(shell, plan, flags))) return say(shell, "nothing was changed");
    const by = flags.by ?? userInfo().username;
    const started = await rollBack(connections, plan, { by, because });
    const last = await followed(shell, connections, started);
    if (flags.json) printJson(shell, describe(connections, plan, started, { by, because, last }));
    else if (last?.isDone === true) printLines(shell, doneLines(shell, plan, last));
  } finally {
    await connections.close();
  }
}

/** What will happen, and on a terminal the question whether it shall. */
async function isConfirmed(
  shell: Shell,
  { customer, serving, next }: RollbackPlan,
  { yes, json }: RollbackFlags,
): Promise<boolean> {
  const instead =
    next === null
      ? "no other version may serve: the customer will have no model"
      : `version ${next} will serve again`;
  if (!json) say(shell, `version ${serving.version} serves ${safe(customer)}; ${instead}`);
  if (yes || json || shell.stdin.isTTY !== true) return true;
  return confirm(shell, `Take version ${serving.version} out of service?`, "add --yes");
}

/** The last that was seen of it; Ctrl-C only ends the watching. */
async function followed(
  shell: Shell,
  connections: Connections,
  started: StartedWithdrawal,
): Promise<WithdrawalSnapshot | undefined> {
  const stop = new AbortController();
  const detach = () => stop.abort();
  process.on("SIGINT", detach);
  let last: WithdrawalSnapshot | undefined;
  try {
    for await (const snapshot of watchWithdrawal(connections, started, stop.signal)) {
      sayChange(shell, last, snapshot);
      last = snapshot;
    }
  } finally {
    process.removeListener("SIGINT", detach);
  }
  if (last?.isDone === true) return last;
  say(shell, "the withdrawal goes on without this terminal");
  const { fleet, customerKey, version } = started;
  say(shell, `  look again:  modelfleet lineage ${fleet} ${customerKey} --version ${version}`);
  shell.exit(EXIT.stillRunning);
  return last;
}

function sayChange(
  shell: Shell,
  before: WithdrawalSnapshot | undefined,
  { reason, withoutWorker, state }: WithdrawalSnapshot,
): void {
  const { dim, yellow } = shell.progressColors;
  if (withoutWorker && before?.withoutWorker !== true)
    say(shell, yellow("no worker runs, so nothing happens yet: modelfleet worker"));
  if (state === "asked" && before?.state !== "asked")
    say(shell, dim("denied on record; the endpoint's workflow is replacing it"));
  if (reason !== null && reason !== before?.reason) say(shell, dim(safe(reason)));
}

function doneLines(
  shell: Shell,
  { customer, serving, fleet }: RollbackPlan,
  { servesNow }: WithdrawalSnapshot,
): string[] {
  const name = safe(customer);
  if (servesNow === null)
    return [`${shell.colors.yellow("removed")}  ${name} of ${fleet} has no model now`];
  const { version, targetModel } = servesNow;
  return [
    `${shell.colors.green("serves")}  ${name} version ${version} ${servedAs(targetModel)}, instead of version ${serving.version}`,
  ];
}

function describe(
  connections: Connections,
  { fleet, customer, customerKey, serving }: RollbackPlan,
  { workflowId }: StartedWithdrawal,
  told: { by: string; because: string; last: WithdrawalSnapshot | undefined },
) {
  const { by, because, last } = told;
  return {
    ...{ fleet, customer, customerKey, withdrawn: serving.version, by, because },
    state: last?.state ?? null,
    servesNow: last?.servesNow ?? null,
    reason: last?.reason ?? null,
    workflowId,
    webPage: workflowPage(connections.environment, { workflowId }) ?? null,
  };
}
